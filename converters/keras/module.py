"""A Keras model as a torch module that takes pictures with the channels first."""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from types import ModuleType
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.data.inputs import ImageInput, Input
from coreml_updatable.errors import SourceError

from .inputs import has_channels_first
from .reading import import_keras

LISTED = 6


def module_of(model: Any, inputs: Sequence[Input], cut: str = "", *, features: bool = False) -> nn.Module:
    """Return the model in evaluation mode, up to the layer ``cut`` if given; several outputs as a dictionary.

    With ``features``, a map or a sequence that it returns gets its channels first.
    """
    keras = import_keras()
    _pool_as_torch_does(keras, model)
    front = _in_front_of(keras, model, cut) if cut else model
    names = [str(item) for item in getattr(front, "output_names", None) or ()]
    pictures = [
        isinstance(given, ImageInput) and not has_channels_first(given, tensor)
        for given, tensor in zip(inputs, model.inputs, strict=True)
    ]

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.front = front

        def forward(self, *batches: Tensor) -> Any:
            pairs = zip(batches, pictures, strict=True)
            seen = [batch.permute(0, 2, 3, 1) if picture else batch for batch, picture in pairs]
            answer = self.front(seen if len(seen) > 1 else seen[0], training=False)
            several = isinstance(answer, list | tuple) and len(answer) == len(names)
            if features and isinstance(answer, Tensor) and answer.ndim in (3, 4):
                return answer.permute(0, answer.ndim - 1, *range(1, answer.ndim - 1))
            return dict(zip(names, answer, strict=True)) if several else answer

    return Module()


def _in_front_of(keras: ModuleType, model: Any, cut: str) -> Any:
    """Return the part of ``model`` that computes the input of its layer ``cut``."""
    names = [str(layer.name) for layer in model.layers]
    if cut not in names:
        near = get_close_matches(cut, names, n=LISTED, cutoff=0.4) or names[-LISTED:]
        raise SourceError(f"--cut {cut}: the model has no layer with that name; it has {', '.join(near)}")
    read = model.get_layer(cut).input
    if isinstance(read, list | dict):
        raise SourceError(f"--cut {cut}: this layer reads several tensors, expected one; choose a later layer")
    return keras.Model(model.inputs, read)


def _pool_as_torch_does(keras: ModuleType, model: Any) -> None:
    """Core ML has no pooling over the middle axes, but over the last two, like torch."""
    for layer in model._flatten_layers():
        if type(layer) is keras.layers.GlobalAveragePooling2D and layer.data_format == "channels_last":
            layer.call = partial(_mean_of_pictures, keepdims=layer.keepdims)


def _mean_of_pictures(inputs: Tensor, *, keepdims: bool) -> Tensor:
    """[n, height, width, channels] -> [n, channels], or [n, 1, 1, channels]."""
    pooled = functional.adaptive_avg_pool2d(inputs.permute(0, 3, 1, 2), 1)
    return pooled.permute(0, 2, 3, 1) if keepdims else pooled.flatten(1)
