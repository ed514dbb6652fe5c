"""A pretrained extractor with a new head for the recipe's labels."""

from pathlib import Path

import torch
from torch import nn

from coreml_updatable.data.inputs import ImageInput
from coreml_updatable.errors import SourceError

from .._shared.wording import first_line
from .architectures import create
from .downloading import downloaded_state
from .heads import last_layer, replace_module
from .weights import State, load_state, read_state


def load_backbone(
    architecture: str, weights: str | None, path: Path | None, image: ImageInput, classes: int, trusted: bool = False
) -> nn.Module:
    """Return the architecture with ``weights``: None (all new), "pretrained" (downloaded) or the file ``path``.

    The head is replaced by a new linear layer, the only one that requires a gradient. A head in
    the file ``path`` with one class per label of the recipe counts as already trained and is kept.
    """
    if weights is None:
        return create(architecture, classes)
    if path is None:
        state, where = downloaded_state(architecture), f"{architecture}'s own weights"
    else:
        state, where = read_state(path, trusted), path.name
    example = torch.zeros(1, image.channels, image.height, image.width)
    network = filled(architecture, state, where, example)
    known = _classes_of(network, _head_of(network, architecture, example))
    network = reparameterised(network, architecture)
    network.requires_grad_(False)
    if path is None or known != classes:
        _replace_head(network, _head_of(network, architecture, example), classes)
    return network


def filled(architecture: str, state: State, where: str, example: torch.Tensor) -> nn.Module:
    """Return the architecture with the weights ``state`` from ``where`` and their number of classes."""
    network = create(architecture)
    head = _head_of(network, architecture, example)
    known = _classes_in(state, head)
    if known is not None and known != _classes_of(network, head):
        network = create(architecture, known)
    load_state(network, state, where)
    return network.eval()


def _head_of(network: nn.Module, architecture: str, example: torch.Tensor) -> str:
    try:
        return last_layer(network, example)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise SourceError(
            f"{architecture} cannot take a picture of shape {list(example.shape)} ({first_line(error)}); choose "
            "another size (--input, or the recipe's [input])"
        ) from error


def _classes_in(state: State, head: str) -> int | None:
    weight = state.get(f"{head}.weight")
    return int(weight.shape[0]) if weight is not None and weight.ndim > 0 else None


def _classes_of(network: nn.Module, head: str) -> int:
    return int(network.get_parameter(f"{head}.weight").shape[0])


def _replace_head(network: nn.Module, name: str, classes: int) -> None:
    old = network.get_submodule(name)
    if isinstance(old, nn.Linear):
        replace_module(network, name, nn.Linear(old.in_features, classes))
        return
    assert isinstance(old, nn.Conv2d)
    if not isinstance(getattr(network, "classifier", None), nn.Sequential) or name.partition(".")[0] != "classifier":
        raise SourceError(f"the head {name!r} is a convolution, expected a linear layer; choose another architecture")
    # SqueezeNet: a 1x1 convolution, then the mean over the picture; the mean of the features comes to the same.
    network.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(old.in_channels, classes))


def reparameterised(network: nn.Module, architecture: str) -> nn.Module:
    """timm's multi-branch networks folded into what they are at inference: half the layers, the same answers."""
    if not architecture.startswith("timm:"):
        return network
    from timm.utils.model import reparameterize_model

    folded: nn.Module = reparameterize_model(network.eval())
    return folded
