"""Convert a trained torch module, from any framework, together with its own predictions."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from coreml_updatable.bounds import TooMuchError
from coreml_updatable.converting.contract import ConvertedSource, Row, SourceRequest
from coreml_updatable.converting.source_bounds import within_bounds
from coreml_updatable.data.inputs import ArrayInput, Float64Array, ImageInput, Input
from coreml_updatable.errors import SourceError

from .._shared.picture_rows import picture_rows
from .._shared.picture_scaling import mean_and_std, notes_on_scaling
from .answers import one_answer
from .cutting import with_new_head
from .graph import batch_of
from .normalising import scale_and_shift
from .outcome import ClassOutput, logits_of, outcome
from .pixels import as_it_takes_them
from .tracing import core_ml_of, example

TOLERANCE = 1e-4


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
    inside: nn.Module | None = None,
    in_front_of: str = "",
) -> ConvertedSource:
    """``network`` takes a batch of each input: pictures float32 [n, channels, height, width], arrays [n, ...].

    Pictures come as ``request.mean`` and ``std`` say of values in 0..1; where they say nothing, as 0..255 if the
    network scales such itself, else as 0..1, with a note either way. What it answers is told from its graph
    (``torch_outcome``): logits get a softmax, one sigmoid or logit becomes two classes. Labels are the request's,
    else ``labels``, else 0, 1, 2 ... Where ``network`` is a simpler form of ``original``, the answers that count
    are those of the latter. ``inside`` is the module whose parts users know by name, and ``in_front_of`` the part
    in front of which ``network`` ends already.
    """
    _expect_within_bounds(network.eval(), inputs)
    request, scaling = as_it_takes_them(network, inputs, request)
    single = one_answer(network, _example_batches(inputs, request), request)
    notes = (*notes, *scaling, *notes_on_scaling(inputs, request))
    facts = dict(facts or {})
    if request.head == "new":
        single, note, more = with_new_head(single, inputs, request, network if inside is None else inside, in_front_of)
        result = logits_of(single, len(request.labels), (note,))
        labels, original, reference = (), None, f"{reference} with a new head"
        facts |= more
    else:
        result = outcome(single, inputs, request.labels or labels)
    known = request.labels or labels
    if known and len(known) != result.classes:
        raise SourceError(
            f"labels: found {len(known)} for a network with {result.classes} outputs; name one for each, or give it "
            "a new head for yours: --head new --labels ..."
        )
    notes = (*notes, *result.notes)
    if not known:
        notes = (*notes, f"the source has no labels; they are the numbers 0 to {result.classes - 1}")
    given = _Normalized(result.network.eval(), inputs, request, softmax=result.softmax)
    asked = _Normalized(single if original is None else _like(original.eval(), inputs, request), inputs, request)
    return ConvertedSource(
        model=core_ml_of(given, inputs),
        labels=known or tuple(range(result.classes)),
        answers=lambda rows: _numpy(result.probabilities(_said(asked, inputs, rows))),
        precise=lambda rows: _precise(result, asked, inputs, rows),
        rounding=lambda rows: _rounding(result, asked, inputs, rows),
        scores=_scores(result, asked, inputs, request),
        reference=reference,
        tolerance=TOLERANCE,
        rows=rows or picture_rows(inputs),
        notes=notes,
        facts={"parameters": sum(parameter.numel() for parameter in network.parameters()), **facts},
    )


def _expect_within_bounds(network: nn.Module, inputs: Sequence[Input]) -> None:
    """A TooMuchError for a network that takes more memory or work for one row than a run may."""
    try:
        with torch.no_grad(), within_bounds("source", sum(parameter.numel() for parameter in network.parameters())):
            network(*(batch_of(value, example(value)) for value in inputs))
    except TooMuchError:
        raise
    except Exception:  # noqa: BLE001 - a module from outside may raise anything; who runs it next says so
        return


def _example_batches(inputs: Sequence[Input], request: SourceRequest) -> list[Tensor]:
    """Return a batch of one row of each input, as the network receives it."""
    return _Normalized(nn.Identity(), inputs, request).scaled([batch_of(value, example(value)) for value in inputs])


def _like(original: nn.Module, inputs: Sequence[Input], request: SourceRequest) -> nn.Module:
    return one_answer(original, _example_batches(inputs, request), request)


def _scores(
    result: ClassOutput, asked: "_Normalized", inputs: Sequence[Input], request: SourceRequest
) -> Callable[[Sequence[Row]], Float64Array] | None:
    scores = result.scores
    if scores is not None:
        return lambda rows: _numpy(scores(_said(asked, inputs, rows)))
    if result.inner is None:
        return None
    inner = _Normalized(result.inner.eval(), inputs, request)
    return lambda rows: _numpy(_said(inner, inputs, rows))


def _precise(
    result: ClassOutput, asked: "_Normalized", inputs: Sequence[Input], rows: Sequence[Row]
) -> Float64Array | None:
    """Return the source's probabilities in 64 bits; None for a network that only runs in 32."""
    try:
        wide = copy.deepcopy(asked).double()
        with torch.no_grad():
            batches = ([_wide(batch) for batch in _batches(inputs, [row])] for row in rows)
            said = torch.cat([wide.on(batch) for batch in batches])
    except (RuntimeError, TypeError, NotImplementedError):
        return None
    return _numpy(result.probabilities(said)) if said.dtype == torch.float64 else None


ROUNDED = 4  # times that weights are moved, each once with oneDNN's sums and once with torch's own


def _rounding(result: ClassOutput, asked: "_Normalized", inputs: Sequence[Input], rows: Sequence[Row]) -> Float64Array:
    """Return how far the source itself may be from ``_precise`` in 32 bits, the largest difference of each row.

    No order of the sums is the right one, and folding a normalization rounds every weight once more.
    """
    exact, largest = _precise(result, asked, inputs, rows), np.zeros(len(rows))
    if exact is None:
        return largest
    generator = torch.Generator().manual_seed(0)
    for draw in range(1 + ROUNDED):
        moved = copy.deepcopy(asked)
        if draw:
            _move(moved, generator)
        for fast in (True, False):
            with torch.backends.mkldnn.flags(enabled=fast):
                answers = _numpy(result.probabilities(_said(moved, inputs, rows)))
            largest = np.maximum(largest, np.abs(answers - exact).max(axis=1))
    return largest


def _move(network: nn.Module, generator: torch.Generator) -> None:
    """Move each weight to one of the two 32-bit numbers beside it."""
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dtype == torch.float32:
                up = torch.rand(weight.shape, generator=generator) < 0.5
                weight.copy_(torch.nextafter(weight, torch.where(up, torch.inf, -torch.inf)))


def _wide(batch: Tensor) -> Tensor:
    return batch.double() if batch.is_floating_point() else batch


class _Normalized(nn.Module):
    """The network with normalization of pictures and a batch axis for arrays, and a softmax after it if needed."""

    def __init__(
        self, network: nn.Module, inputs: Sequence[Input], request: SourceRequest, *, softmax: bool = False
    ) -> None:
        super().__init__()
        self.network = network
        self.softmax = softmax
        self.pictures = [isinstance(given, ImageInput) for given in inputs]
        for index, given in enumerate(inputs):
            if isinstance(given, ImageInput) and (request.mean or request.std):
                scale, shift = scale_and_shift(*mean_and_std(request, given.channels), given.channels)
                if bool((scale == 1).all() and (shift == 0).all()):  # 0..1, said in so many words
                    continue
                self.register_buffer(f"scale{index}", scale)
                self.register_buffer(f"shift{index}", shift)

    def forward(self, *rows: Tensor) -> Tensor:
        """Take one row: pictures [1, channels, height, width], arrays in their own shape."""
        batches = [row if picture else row.unsqueeze(0) for row, picture in zip(rows, self.pictures, strict=True)]
        answer = self.on(batches)
        return torch.softmax(answer, dim=1) if self.softmax else answer

    def on(self, batches: Sequence[Tensor]) -> Tensor:
        answer: Tensor = self.network(*self.scaled(batches))
        return answer

    def scaled(self, batches: Sequence[Tensor]) -> list[Tensor]:
        seen = []
        for index, batch in enumerate(batches):
            scale = getattr(self, f"scale{index}", None)
            seen.append(batch if scale is None else batch * scale + getattr(self, f"shift{index}"))
        return seen


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


def _said(given: _Normalized, inputs: Sequence[Input], rows: Sequence[Row]) -> Tensor:
    """Return float64 [n, numbers], computed row by row, so that batching cannot affect the result."""
    with torch.no_grad():
        return torch.cat([given.on(_batches(inputs, [row])) for row in rows]).double()


def _numpy(values: Tensor) -> Float64Array:
    answers: Float64Array = values.numpy()
    return answers
