"""torchvision's and timm's networks by name, with published weights, those of a file, or random ones."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from coreml_updatable.conversion import ImageInput, SourceRequest
from coreml_updatable.errors import SourceError

from .torch_architectures import create, import_library, published_names, published_weights
from .torch_backbones import filled, reparameterised
from .torch_declared import declared_by, pixels_in_words
from .torch_downloading import downloaded_state
from .torch_given import Given, weights_file
from .torch_weights import read_state

RANDOM = (
    "THE WEIGHTS ARE RANDOM, as asked for: the model knows nothing and its answers are chance; "
    "say --weights pretrained or --weights FILE for one that was trained"
)


def named_network(name: str, request: SourceRequest) -> Given:
    """The architecture ``name`` with the weights that ``request`` names, in the form in which it is run.

    timm's networks of several branches are folded into what they are at inference; the answers that count stay those of
    the network as it was.
    """
    name, tag = _with_tag(name, request.weights)
    known = declared_by(name, _file(request.weights), tag)
    inputs = request.inputs or (ImageInput("image", known.width, known.height, "rgb"),)
    example = _example(name, inputs)
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    if request.weights == "random":
        network = create(name, len(request.labels) or None if request.head == "keep" else None).eval()
        notes, told = (RANDOM,), "random"
    elif request.weights in ("pretrained", tag) or request.weights == name.partition(".")[2]:
        network = filled(name, downloaded_state(name, tag), f"{name}'s own weights", example)
        labels, told = _categories(name, tag, network), tag or request.weights
    else:
        path = weights_file(request.weights)
        network, told = filled(name, read_state(path, request.trust_code), path.name, example), path.name
    if not (request.mean or request.std) and known.mean is not None:
        request = replace(request, mean=known.mean, std=known.std or ())
        notes = (*notes, f"pictures reach it as {pixels_in_words(known.mean, known.std)}, by {known.by}")
    folded = reparameterised(network, name)
    facts = {"architecture": name, "weights": told}
    return Given(
        folded,
        inputs,
        request,
        f"{name} in torch",
        labels if request.head == "keep" else (),
        notes,
        facts,
        original=None if folded is network else network,
    )


def _file(weights: str) -> Path | None:
    return Path(weights) if Path(weights).is_file() else None


def _with_tag(name: str, weights: str) -> tuple[str, str]:
    """The name, with a tag of timm's where ``weights`` is one, and the name of torchvision's set of weights."""
    if not weights:
        raise SourceError(
            f"{name}: no weights are named; say --weights pretrained (downloads them), --weights FILE (.safetensors or "
            ".pt) or --weights random"
        )
    if weights in ("random", "pretrained") or Path(weights).is_file():
        return name, ""
    known = published_names(name)
    if weights not in known:
        listed = ", ".join(known) or "none"
        raise SourceError(
            f"--weights {weights}: no such file, and none that are published for {name} ({listed}); check the path"
        )
    return (f"{name.split('.')[0]}.{weights}", "") if name.startswith("timm:") else (name, weights)


def _example(name: str, inputs: tuple[Any, ...]) -> torch.Tensor:
    if len(inputs) != 1 or not isinstance(inputs[0], ImageInput):
        raise SourceError(
            f"input {inputs[-1].name!r}: does not fit {name}, expected one picture; say --input image:224x224"
        )
    return torch.zeros(1, inputs[0].channels, inputs[0].height, inputs[0].width)


def _categories(name: str, tag: str, network: nn.Module) -> tuple[str, ...]:
    """What published weights call their classes."""
    library, _, short = name.partition(":")
    if library == "torchvision":
        return tuple(published_weights(short, tag).meta.get("categories", ()))
    data = import_library("timm").data
    subset = data.infer_imagenet_subset(network)
    return _distinct(data.ImageNetInfo(subset).label_descriptions()) if subset else ()


def _distinct(labels: Sequence[str]) -> tuple[str, ...]:
    """Of two with the same name (WordNet has them) the second gets a number behind it."""
    return tuple(
        label if label not in labels[:number] else f"{label} {labels[: number + 1].count(label)}"
        for number, label in enumerate(labels)
    )
