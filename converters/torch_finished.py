"""A finished torch module, from whichever framework it came, as a converted source with its own answers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from coreml_updatable.conversion import ArrayInput, ConvertedSource, Float64Array, ImageInput, Row, SourceRequest
from coreml_updatable.errors import SourceError

from .picture_scaling import mean_and_std, notes_on_scaling
from .torch_normalising import scale_and_shift
from .torch_pixels import as_it_takes_them
from .torch_tracing import core_ml_of, example
from .torch_wording import first_line

Input = ImageInput | ArrayInput
TOLERANCE = 1e-4
SUM_TOLERANCE = 1e-3


def finished(
    network: nn.Module,
    inputs: Sequence[Input],
    request: SourceRequest,
    reference: str,
    *,
    labels: tuple[str, ...] = (),
    rows: tuple[Row, ...] = (),
    notes: tuple[str, ...] = (),
    facts: Mapping[str, Any] | None = None,
    original: nn.Module | None = None,
) -> ConvertedSource:
    """``network`` takes a batch of each input: pictures float32 [n, channels, height, width], arrays [n, ...].

    Pictures come as ``request.mean`` and ``std`` say of values in 0..1; where they say nothing, as 0..255 if the
    network scales such itself, else as 0..1, with a note either way. It answers
    logits, probabilities or their logarithms, [n, classes]; logits get a softmax. Labels are the request's, else
    ``labels``, else 0, 1, 2 ... Where ``network`` is a simpler form of ``original``, the answers that count are those
    of the latter.
    """
    request, scaling = as_it_takes_them(network.eval(), inputs, request)
    given = _Given(network, inputs, request)
    answer = _answer(given, inputs)
    classes = answer.shape[1]
    given.kind = _kind_of(given, inputs)
    notes = (*notes, *scaling, *notes_on_scaling(inputs, request))
    known = request.labels or labels
    if known and len(known) != classes:
        raise SourceError(
            f"labels: {len(known)} for a network with {classes} outputs; name one for each, or convert it without "
            "and give it a new head: coreml-updatable mark --head new --labels ..."
        )
    if not known:
        notes = (*notes, f"the source names no labels: they are the numbers 0 to {classes - 1}")
    asked = given if original is None else _Given(original.eval(), inputs, request)
    asked.kind = given.kind
    return ConvertedSource(
        model=core_ml_of(given, inputs),
        labels=known or tuple(range(classes)),
        answers=lambda rows: _answers(asked, inputs, rows),
        reference=reference,
        tolerance=TOLERANCE,
        rows=rows,
        notes=notes,
        facts={"parameters": sum(one.numel() for one in network.parameters()), **(facts or {})},
    )


class _Given(nn.Module):
    """The network behind the normalisation of its pictures and the batch of its arrays, in front of a softmax."""

    def __init__(self, network: nn.Module, inputs: Sequence[Input], request: SourceRequest) -> None:
        super().__init__()
        self.network = network
        self.kind = "logits"
        self.pictures = [isinstance(given, ImageInput) for given in inputs]
        for number, given in enumerate(inputs):
            if isinstance(given, ImageInput) and (request.mean or request.std):
                scale, shift = scale_and_shift(*mean_and_std(request, given.channels), given.channels)
                if bool((scale == 1).all() and (shift == 0).all()):  # 0..1, said in so many words
                    continue
                self.register_buffer(f"scale{number}", scale)
                self.register_buffer(f"shift{number}", shift)

    def forward(self, *rows: Tensor) -> Tensor:
        """One row: pictures [1, channels, height, width], arrays of their own shape."""
        batches = [row if picture else row.unsqueeze(0) for row, picture in zip(rows, self.pictures, strict=True)]
        answer = self.on(batches)
        return torch.softmax(answer, dim=1) if self.kind == "logits" else answer

    def on(self, batches: Sequence[Tensor]) -> Tensor:
        seen = []
        for number, batch in enumerate(batches):
            scale = getattr(self, f"scale{number}", None)
            seen.append(batch if scale is None else batch * scale + getattr(self, f"shift{number}"))
        answer: Tensor = self.network(*seen)
        return answer


def _batches(inputs: Sequence[Input], rows: Sequence[Row]) -> list[Tensor]:
    batches = []
    for given in inputs:
        values = np.stack([np.asarray(row[given.name]) for row in rows])
        if isinstance(given, ArrayInput):
            batches.append(torch.from_numpy(values.astype(np.int32 if given.whole else np.float32)))
        else:
            pixels = values if values.ndim == 4 else values[..., None]
            if given.color == "bgr":  # a row's own order is red, green, blue
                pixels = np.ascontiguousarray(pixels[..., ::-1])
            batches.append(torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255))
    return batches


def _answers(given: _Given, inputs: Sequence[Input], rows: Sequence[Row]) -> Float64Array:
    """float64 [n, classes], a row at a time: what a batch does to a row's answer is no part of the source."""
    with torch.no_grad():
        said = torch.cat([given.on(_batches(inputs, [row])) for row in rows]).double()
    match given.kind:
        case "logits":
            said = said.softmax(1)
        case "logarithms":
            said = said.exp()
    answers: Float64Array = said.numpy()
    return answers


def _answer(given: _Given, inputs: Sequence[Input]) -> Tensor:
    examples = [example(one) for one in inputs]
    batches = [one if isinstance(kind, ImageInput) else one[None] for one, kind in zip(examples, inputs, strict=True)]
    shapes = ", ".join(str(list(batch.shape)) for batch in batches)
    try:
        with torch.no_grad():
            answer = given.on(batches)
    except SourceError:
        raise
    except Exception as error:  # a module from outside may raise anything
        raise SourceError(
            f"the source can not take an input of shape {shapes} ({type(error).__name__}: {first_line(error)}); "
            "name its inputs as it has them with --input"
        ) from error
    found = list(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
    if not isinstance(answer, Tensor) or answer.ndim != 2 or answer.shape[0] != 1 or answer.shape[1] < 2:
        raise SourceError(
            f"the source answers {found} for one input of shape {shapes}, expected [1, classes], two or more; "
            "save the classifier without anything behind its logits or probabilities"
        )
    return answer


def _kind_of(given: _Given, inputs: Sequence[Input]) -> str:
    """Whether the answers are "probabilities", "logarithms" of them or "logits", as a few inputs show."""
    chance = torch.Generator().manual_seed(0)
    answers = []
    with torch.no_grad():
        for _ in range(4):
            drawn = [
                torch.randint(0, 2, one.shape, generator=chance, dtype=torch.int32)
                if isinstance(one, ArrayInput) and one.whole
                else torch.rand(example(one).shape, generator=chance)
                for one in inputs
            ]
            pairs = zip(drawn, inputs, strict=True)
            answers.append(given.on([row if isinstance(one, ImageInput) else row[None] for row, one in pairs]))
    said = torch.cat(answers).double()
    if bool((said >= 0).all()) and bool(((said.sum(1) - 1).abs() < SUM_TOLERANCE).all()):
        return "probabilities"
    if bool((said <= 0).all()) and bool(((said.exp().sum(1) - 1).abs() < SUM_TOLERANCE).all()):
        return "logarithms"
    return "logits"
