"""Select the tensor with the classes from the output of a network, as [1, classes]."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.errors import SourceError

from .._shared.wording import first_line
from .wrapped import Wrapped

NEW_HEAD = "--head new --labels a,b,... adds a new softmax layer after its features"
LOGITS = "logits"  # what transformers calls them among its outputs


def one_answer(network: nn.Module, batches: Sequence[Tensor], request: SourceRequest) -> nn.Module:
    """Return ``network`` if it outputs [1, classes] for ``batches`` of one row, else a module that does.

    Of several tensors it is the one that ``request.answer`` names, the only one, the one called "logits", or the only
    one that is not of integers; ``request.column`` leaves one number of it. In front of a new head it may have any
    shape. A SourceError lists what there is, and says what cannot be a classifier's.
    """
    answer = run(network, batches)
    name = _chosen(answer, request)
    picked = _entries(answer)[name] if name is not None else answer
    shapes = ", ".join(str(list(batch.shape)) for batch in batches)
    if not isinstance(picked, Tensor):
        raise SourceError(
            f"the source returns {type(picked).__name__}, expected logits or probabilities; export the classifier "
            "without the step that picks a label"
        )
    if request.head == "new":  # which follows the features, whatever was made of them
        if name is None:
            return network
        return Wrapped(network, lambda inner, *batches: _entries(inner(*batches))[name]).eval()
    if not picked.is_floating_point():
        raise SourceError(
            f"the source returns numbers of type {picked.dtype}, expected logits or probabilities; export the "
            f"classifier without the step that picks a label, or {NEW_HEAD}"
        )
    result = list(picked.shape)
    longest = max(result, default=1)
    if picked.numel() != longest or longest < 1:
        raise SourceError(
            f"the source returns {result} for one input of shape {shapes}, expected one number per class; to classify "
            "its features, pass --head new --labels a,b"
        )
    column = request.column
    if column is not None and longest == 1:
        raise SourceError(f"--column {column}: has no effect, because the source returns one number; omit it")
    if column is not None and not 0 <= column < longest:
        raise SourceError(f"--column {column}: the source returns {longest} numbers, expected 0 to {longest - 1}")
    if name is None and result == [1, longest] and column is None:
        return network

    def taken(network: nn.Module, *batches: Tensor) -> Tensor:
        answer: Any = network(*batches)
        values: Tensor = answer if name is None else _entries(answer)[name]
        values = values if values.ndim == 2 else values.reshape(1, -1)
        return values if column is None else values[:, column : column + 1]

    return Wrapped(network, taken).eval()


def run(network: nn.Module, batches: Sequence[Tensor]) -> Any:
    """Return the output of ``network``; SourceError if it cannot take ``batches``."""
    try:
        with torch.no_grad():
            return network(*batches)
    except SourceError:
        raise
    except Exception as error:  # a module from outside may raise anything
        shapes = ", ".join(str(list(batch.shape)) for batch in batches)
        linear = next((part.in_features for part in network.modules() if isinstance(part, nn.Linear)), 64)
        example = "image:224x224 for a picture, x:7x6:array for an array" if batches[0].ndim == 4 else f"x:{linear}"
        raise SourceError(
            f"the source cannot take an input of shape {shapes} ({type(error).__name__}: {first_line(error)}); "
            f"describe its inputs with --input, such as {example}"
        ) from error


def _entries(answer: Any) -> Mapping[str, Any]:
    """Return the tensors of an output with several parts, by name or index; empty for other outputs."""
    if isinstance(answer, Mapping):
        entries = {str(name): value for name, value in answer.items()}
    elif isinstance(answer, tuple) and hasattr(answer, "_fields"):
        entries = dict(zip(answer._fields, answer, strict=True))
    elif isinstance(answer, tuple | list):
        entries = {str(index): value for index, value in enumerate(answer)}
    elif is_dataclass(answer) and not isinstance(answer, type):
        entries = {field.name: getattr(answer, field.name) for field in fields(answer)}
    else:
        return {}
    return {name: value for name, value in entries.items() if isinstance(value, Tensor)}


def _chosen(answer: Any, request: SourceRequest) -> str | None:
    """Return the name of the tensor to use; None if the output is a single tensor."""
    entries, wanted = _entries(answer), request.answer
    if isinstance(answer, Tensor):
        if wanted not in ("", "0"):
            raise SourceError(f"--answer {wanted}: the source returns a single tensor; omit the option")
        return None
    listed = ", ".join(f"{name} {list(value.shape)}" for name, value in entries.items()) or "none"
    if wanted:
        if wanted in entries:
            return wanted
        numbered = list(entries)
        if wanted.isdecimal() and int(wanted) < len(numbered):
            return numbered[int(wanted)]
        raise SourceError(f"--answer {wanted}: the source returns no tensor with that name; it returns {listed}")
    if len(entries) == 1:
        return next(iter(entries))
    if LOGITS in entries:
        return LOGITS
    if not entries:
        raise SourceError(f"the source returns a {type(answer).__name__} without tensors, expected logits; change it")
    floating = [name for name, value in entries.items() if value.is_floating_point()]
    if len(floating) == 1:  # beside the label that it picks
        return floating[0]
    classes = [name for name in floating if 1 < entries[name].numel() == max(entries[name].shape)]
    labeled = [name for name in classes if entries[name].numel() == len(request.labels)]
    raise SourceError(
        f"the source returns {len(entries)} tensors ({listed}), expected one; choose the one with the classes, such "
        f"as --answer {next(iter((*labeled, *classes, *entries)))}"
    )
