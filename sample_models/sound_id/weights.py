"""Reading ``yamnet.h5`` as Keras saved it, by h5py alone: every tensor's name and shape is checked, nothing is run."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from .yamnet import CLASSES, EMBEDDING, Body, Convolution

URL = "https://storage.googleapis.com/audioset/yamnet.h5"
MAXIMUM_BYTES = 100_000_000
Tensors = dict[str, Any]


def load_weights(path: Path, body: Body, head: nn.Linear | None = None) -> None:
    """Fill ``body``, and ``head`` of 521 classes, from the file; a ValueError names the first tensor that is missing,
    of another shape, or too many."""
    result = read_tensors(path)
    with torch.no_grad():
        for name, layer in body.layers.items():
            assert isinstance(layer, Convolution)
            kernel = layer.convolution.weight
            depthwise = name.endswith("depthwise_conv")
            out, in_, height, width = kernel.shape
            shape = (height, width, out, 1) if depthwise else (height, width, in_, out)
            values = _taken(result, path, f"{name}/{'depthwise_kernel' if depthwise else 'kernel'}", shape)
            kernel.copy_(torch.from_numpy(values.transpose(2, 3, 0, 1) if depthwise else values.transpose(3, 2, 0, 1)))
            normal = layer.normalization
            nn.init.ones_(normal.weight)
            for tensor, own in ((normal.bias, "beta"), (normal.running_mean, "mean"), (normal.running_var, "variance")):
                assert tensor is not None
                own = own if own == "beta" else f"moving_{own}"
                tensor.copy_(torch.from_numpy(_taken(result, path, f"{name}/bn/{own}", (out,))))
        matrix = _taken(result, path, "dense/kernel", (EMBEDDING, CLASSES))
        bias = _taken(result, path, "dense/bias", (CLASSES,))
        if head is not None:
            head.weight.copy_(torch.from_numpy(matrix.T))
            head.bias.copy_(torch.from_numpy(bias))
    if result:
        raise ValueError(f"{path.name}: has the tensor {min(result)!r} too, which YAMNet has not; fetch {URL} again")


def read_tensors(path: Path) -> Tensors:
    """Name -> float32 array, of all layers; the last layer, whatever Keras numbered it, is called dense."""
    import h5py

    if path.stat().st_size > MAXIMUM_BYTES:
        raise ValueError(f"{path.name}: is larger than {MAXIMUM_BYTES:,} bytes, expected YAMNet's 15 MB; fetch {URL}")
    try:
        with h5py.File(path, "r") as file:
            tensors: Tensors = {}
            for layer in map(_text, file.attrs["layer_names"]):
                group = file[layer]
                for name in map(_text, group.attrs["weight_names"]):
                    tensors[_plain(layer, name)] = np.asarray(group[name], np.float32)
            return tensors
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path.name}: no file of weights as Keras saves them ({error}); fetch {URL} again") from error


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _plain(layer: str, name: str) -> str:
    own = name.removesuffix(":0").rpartition("/")[2]
    return f"{'dense' if layer.startswith(('dense', 'logits')) else layer}/{own}"


def _taken(result: Tensors, path: Path, name: str, shape: tuple[int, ...]) -> Any:
    if name not in result:
        raise ValueError(f"{path.name}: has no tensor {name!r} of shape {list(shape)}; fetch {URL} again")
    values = result.pop(name)
    if values.shape != shape or not np.isfinite(values).all():
        raise ValueError(
            f"{path.name}: tensor {name!r} has the shape {list(values.shape)}, expected {list(shape)} and finite "
            f"numbers; fetch {URL} again"
        )
    return values
