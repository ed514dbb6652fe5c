"""Build a network from the recipe's [source]; ``requires_grad`` marks what is still to be trained."""

from pathlib import Path

import torch
from torch import nn

from coreml_updatable.converting.contract import ConversionRequest
from coreml_updatable.data.inputs import ImageInput, Input
from coreml_updatable.data.sample_code import load_function
from coreml_updatable.errors import SourceError, located

from .._shared.wording import first_line
from .graph import graph_of
from .heads import new_head
from .meaning import meaning_of
from .normalising import normalised
from .source import TorchSource
from .weights import load_state, read_state

# What training with cross entropy would put a second softmax behind; logarithms of a softmax are logits.
NO_LOGITS = ("softmax", "sigmoid", "log sigmoid", "two shares", "second softmax")


def load_network(source: TorchSource, request: ConversionRequest) -> nn.Module:
    """Return a module from pictures float32 [n, channels, height, width] in 0..1 or arrays [n, ...] to logits.

    Everything requires a gradient if the weights are new; only the head if it is new on a pretrained extractor;
    nothing if a weights file contains the head, too.
    """
    classes = len(request.labels)
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    if source.factory is not None:
        network = call_factory(source.factory, request.folder, classes, request.trust_code)
        if source.weights == "pretrained" and new_head(network) is None:
            raise SourceError(
                f'{source.factory}: source.weights is "pretrained", expected a network that is frozen except for one '
                "Linear layer, its head; freeze it with requires_grad_(False) or omit the field"
            )
        if source.weights not in (None, "pretrained"):
            path = weights_path(request.folder, source.weights)
            load_state(network, read_state(path, request.trust_code), path.name)
            network.requires_grad_(False)
    else:
        from .backbones import load_backbone
        from .declared_pictures import declared_by

        assert source.architecture is not None
        if not isinstance(request.input, ImageInput):
            raise SourceError(
                f"source.architecture {source.architecture!r} takes pictures, but the input {request.input.name!r} "
                "is an array; use a factory"
            )
        path = None
        if source.weights not in (None, "pretrained"):
            path = weights_path(request.folder, str(source.weights))
        with located(source.architecture, f"source.architecture {source.architecture!r}"):
            network = load_backbone(
                source.architecture, source.weights, path, request.input, classes, request.trust_code
            )
        known = declared_by(source.architecture, path)
        mean, std = known.mean, known.std
    if isinstance(request.input, ImageInput):
        network = normalised(network, source.mean or mean, source.std or std, request.input.channels)
    elif source.mean or source.std:
        raise SourceError(
            f"source.{'mean' if source.mean else 'std'} is for pictures, but the input {request.input.name!r} is an "
            "array; scale it inside the network"
        )
    check_answer(network, request.input, classes)
    return network


def weights_path(folder: Path, weights: str) -> Path:
    """Resolve a path: relative ones stay in the recipe's folder, absolute ones come from the command line."""
    path = (folder / weights).resolve()
    if not Path(weights).is_absolute() and not path.is_relative_to(folder.resolve()):
        raise SourceError(f"source.weights {weights!r} is outside {folder}; keep the file in the recipe's folder")
    if not path.is_file():
        raise SourceError(f"{weights}: weights file does not exist; check the path")
    return path


def check_answer(network: nn.Module, given: Input, classes: int) -> None:
    """Raise SourceError unless the network returns one number per class for an input of the recipe's size."""
    shape: tuple[int, ...]
    if isinstance(given, ImageInput):
        shape, what = (1, given.channels, given.height, given.width), "picture"
    else:
        shape, what = (1, *given.shape), "row"
    network.eval()
    try:
        with torch.no_grad():
            answer = network(torch.zeros(shape))
    except Exception as error:  # a user's module may raise anything
        raise SourceError(
            f"the network cannot take a {what} of shape {list(shape)} ({type(error).__name__}: "
            f"{first_line(error)}); change the recipe's [input] or the network"
        ) from error
    result = list(answer.shape) if isinstance(answer, torch.Tensor) else type(answer).__name__
    if result != [1, classes]:
        raise SourceError(
            f"the network returns {result} for one {what}, expected logits of shape {[1, classes]}, one per label; "
            "change the network or the recipe's labels"
        )
    kind = meaning_of(graph_of(network, (given,))).kind
    if kind in NO_LOGITS:
        raise SourceError(
            f"the network ends in a {kind.removeprefix('second ')}, expected logits, because training and the model "
            "add a softmax; remove it from the network, which does not change its weights"
        )


def call_factory(reference: str, folder: Path, classes: int, trusted: bool = False) -> nn.Module:
    """Call the function ``reference``, "file.py:name" in ``folder``, with the number of classes."""
    factory = load_function(folder, reference, trusted)
    try:
        network = factory(classes)
    except Exception as error:  # a user's function may raise anything
        raise SourceError(
            f"{reference}: failed with {type(error).__name__}: {first_line(error)}; correct it"
        ) from error
    if not isinstance(network, nn.Module):
        raise SourceError(f"{reference}: returned a {type(network).__name__}, expected a torch.nn.Module; correct it")
    return network
