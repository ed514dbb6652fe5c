"""The one tensor of a network's answer that holds its classes, as [1, classes]."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.errors import SourceError

from .._shared.wording import first_line

LOGITS = "logits"  # what transformers calls them among its outputs


def one_answer(network: nn.Module, batches: Sequence[Tensor], request: SourceRequest) -> nn.Module:
    """``network`` itself where it answers [1, classes] for ``batches`` of one row, else a module that does.

    Of several tensors it is the one that ``request.answer`` names, the only one, or the one called "logits";
    ``request.column`` leaves one number of it. In front of a new head it may have any shape. A SourceError lists what
    there is, and says what cannot be a classifier's.
    """
    answer = run(network, batches)
    name = _chosen(answer, request)
    picked = _entries(answer)[name] if name is not None else answer
    shapes = ", ".join(str(list(batch.shape)) for batch in batches)
    if not isinstance(picked, Tensor) or not picked.is_floating_point():
        kind = f"numbers of type {picked.dtype}" if isinstance(picked, Tensor) else type(picked).__name__
        raise SourceError(
            f"the source answers {kind}, expected logits or probabilities; export the classifier without the step that "
            "picks a label"
        )
    if request.head == "new":
        return network if name is None else _part(network, name)
    found = list(picked.shape)
    longest = max(found, default=1)
    if picked.numel() != longest or longest < 1:
        raise SourceError(
            f"the source answers {found} for one input of shape {shapes}, expected one number for each class; a map or "
            "a sequence is no classification: --head new --labels a,b puts a classifier behind its features"
        )
    column = request.column
    if column is not None and not 0 <= column < longest:
        raise SourceError(f"--column {column}: the source answers {longest} numbers, expected 0 to {longest - 1}")
    if name is None and found == [1, longest] and column is None:
        return network

    class OneAnswer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *batches: Tensor) -> Tensor:
            answer: Any = self.network(*batches)
            values: Tensor = answer if name is None else _entries(answer)[name]
            values = values if values.ndim == 2 else values.reshape(1, -1)
            return values if column is None else values[:, column : column + 1]

    return OneAnswer().eval()


def _part(network: nn.Module, name: str) -> nn.Module:
    """What ``network`` answers under ``name``, in whatever shape."""

    class Part(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *batches: Tensor) -> Any:
            return _entries(self.network(*batches))[name]

    return Part().eval()


def run(network: nn.Module, batches: Sequence[Tensor]) -> Any:
    """What ``network`` answers; a SourceError where it cannot take ``batches``."""
    try:
        with torch.no_grad():
            return network(*batches)
    except SourceError:
        raise
    except Exception as error:  # a module from outside may raise anything
        shapes = ", ".join(str(list(batch.shape)) for batch in batches)
        raise SourceError(
            f"the source cannot take an input of shape {shapes} ({type(error).__name__}: {first_line(error)}); "
            "name its inputs as it has them with --input"
        ) from error


def _entries(answer: Any) -> Mapping[str, Any]:
    """The tensors of an answer that holds several things, by name or number; those of others are none."""
    if isinstance(answer, Mapping):
        entries = {str(name): value for name, value in answer.items()}
    elif isinstance(answer, tuple) and hasattr(answer, "_fields"):
        entries = dict(zip(answer._fields, answer, strict=True))
    elif isinstance(answer, tuple | list):
        entries = {str(number): value for number, value in enumerate(answer)}
    elif is_dataclass(answer) and not isinstance(answer, type):
        entries = {field.name: getattr(answer, field.name) for field in fields(answer)}
    else:
        return {}
    return {name: value for name, value in entries.items() if isinstance(value, Tensor)}


def _chosen(answer: Any, request: SourceRequest) -> str | None:
    """The name of the tensor that counts; None where the answer is one itself."""
    entries, wanted = _entries(answer), request.answer
    if isinstance(answer, Tensor):
        if wanted not in ("", "0"):
            raise SourceError(f"--answer {wanted}: the source answers one tensor alone; leave the option out")
        return None
    listed = ", ".join(f"{name} {list(value.shape)}" for name, value in entries.items()) or "none"
    if wanted:
        if wanted in entries:
            return wanted
        numbered = list(entries)
        if wanted.isdecimal() and int(wanted) < len(numbered):
            return numbered[int(wanted)]
        raise SourceError(f"--answer {wanted}: the source answers no tensor of that name; there are: {listed}")
    if len(entries) == 1:
        return next(iter(entries))
    if LOGITS in entries:
        return LOGITS
    if not entries:
        raise SourceError(f"the source answers a {type(answer).__name__} without tensors, expected logits; change it")
    raise SourceError(
        f"the source answers {len(entries)} tensors ({listed}), expected one; say which holds the classes, like "
        f"--answer {next(iter(entries))}"
    )
