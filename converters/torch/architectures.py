"""Architectures by name: of this project's own (``packaged_weights``), torchvision's and timm's."""

import importlib
import warnings
from difflib import get_close_matches
from types import ModuleType
from typing import Any

import torch
from torch import nn

from coreml_updatable.errors import SourceError
from coreml_updatable.installing import install_command

from . import packaged_weights

MISSING_OPERATOR = "operator torchvision::nms does not exist"
SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# Trained with another normalization, which they apply on top of ImageNet's where asked to.
INCEPTIONS = ("googlenet", "inception_v3")


def split_architecture(architecture: str) -> tuple[str, str]:
    """ "timm:mobilenetv4_conv_small" -> ("timm", "mobilenetv4_conv_small"), known to exist."""
    library, _, name = architecture.partition(":")
    known = _known_names(library)
    if name.split(".")[0] in known:  # timm's names may end in a tag of the weights
        return library, name
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    advice = f"did you mean {', '.join(near)}?" if near else f"it has {len(known)}, such as {', '.join(known[:3])}"
    raise SourceError(f"{architecture}: {library} has no architecture with that name; {advice}")


def _known_names(library: str) -> list[str]:
    if library == "timm":
        return sorted(import_library("timm").list_models())
    models = import_library("torchvision").models
    return sorted(models.list_models(module=models))


def import_library(library: str) -> ModuleType:
    """Import torchvision or timm, also with a CPU-only torch."""
    try:
        torchvision = import_torchvision()
        return torchvision if library == "torchvision" else importlib.import_module(library)
    except ModuleNotFoundError as error:
        raise SourceError(
            f"{error.name} is not installed, which {library}'s architectures need; run: {install_command('vision')}"
        ) from error


def import_torchvision() -> ModuleType:
    """Import torchvision, whose wheel on PyPI is built for CUDA.

    With a CPU-only torch its compiled operators cannot load, and the import fails at the first one. Its networks use
    none of them, so on exactly that error the two missing operators are declared and the import is repeated.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if MISSING_OPERATOR not in str(error):
            raise
    declared = torch.library.Library("torchvision", "DEF")
    for schema in SCHEMAS:
        declared.define(schema)
    torchvision = importlib.import_module("torchvision")
    vars(torchvision)["declared_operators"] = declared  # the declarations last as long as this object does
    return torchvision


def create(architecture: str, classes: int | None = None) -> nn.Module:
    """The architecture with random weights, for ``classes`` or as many as its own weights have."""
    if packaged_weights.is_packaged(architecture):
        return packaged_weights.create(architecture, classes)
    library, name = split_architecture(architecture)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the initial values, which are replaced
        if library == "timm":
            network = import_library("timm").create_model(name, pretrained=False, **_without_none(num_classes=classes))
        else:
            options = {"transform_input": True, "init_weights": False} if name in INCEPTIONS else {}
            models = import_library("torchvision").models
            network = models.get_model(name, weights=None, **options, **_without_none(num_classes=classes))
    assert isinstance(network, nn.Module)
    return network


def _without_none(**options: int | None) -> dict[str, int]:
    return {name: value for name, value in options.items() if value is not None}


def published_names(architecture: str) -> list[str]:
    """What sets of weights are published for it: names of torchvision, or tags of timm."""
    if packaged_weights.is_packaged(architecture):
        return []
    library, name = split_architecture(architecture)
    if library == "timm":
        prefix = f"{name.split('.')[0]}."
        listed = import_library("timm").list_pretrained(f"{prefix}*")
        return [item.removeprefix(prefix) for item in listed]
    return [item.name for item in import_library("torchvision").models.get_model_weights(name)]


def published_weights(name: str, tag: str = "") -> Any:
    """Return torchvision's weights ``tag`` for ``name``, or the newest; None if there are none."""
    known = import_library("torchvision").models.get_model_weights(name)
    if not len(known):
        return None
    return known[tag] if tag else known.DEFAULT
