"""Turn a network's output into a softmax over its classes, or into one sentence that says why it cannot be one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from coreml_updatable.data.inputs import ArrayInput, Input
from coreml_updatable.errors import SourceError

from .answers import NEW_HEAD
from .graph import Graph, batch_of, graph_of
from .head_layer import chosen_of, head_layer_of, scores_of, two_classes
from .meaning import Meaning, meaning_of
from .several_heads import SeveralHeads, mixed_by, of_two_classes, one_head, recombined, several_heads
from .tracing import example

LOOKS = 8
SUM_TOLERANCE = 1e-3
MULTI_LABEL = (
    "{count} independent labels (multi-label), each with its own sigmoid, but Core ML trains classifiers with a "
    "softmax. Convert a two-class model for each label, such as --column 0 --labels no,yes for the first; or "
    f"{NEW_HEAD}"
)
WHY = {
    "second softmax": "a softmax of a softmax; remove one of them and train it again, or {head}",
    "many softmaxes": "several softmaxes, side by side or averaged, which a single layer cannot learn; "
    "convert one of the networks "
    "alone, or {head}",
    "shares": "numbers divided by their sum, which is not a softmax; train it with a softmax at its end, or {head}",
    "unit": "an embedding divided by its length, not classes; {head}",
    "scaled": "a {by} with scaled or shifted outputs; remove the scaling, or {head}",
    "wrong axis": "a softmax along another axis, which does not add up to 1 over the classes; compute it "
    "along the classes (dim=1 "
    "in torch), or {head}",
    "part": "a part of a softmax; use all of its outputs, without --column, or {head}",
    "chosen": "what {by} makes of the answers, which tells no probabilities; export what it has before that, or {head}",
    "bounded": "numbers bounded by {by}, which are neither logits nor probabilities; remove the {by} and "
    "train it with cross "
    "entropy, or {head}",
    "rectified": "numbers from {by}, which are neither logits nor probabilities; remove the {by} and train "
    "it with cross entropy, "
    "or {head}",
}


MIXED = (
    "numbers that {by} makes of several values, of which one at least is not from a linear layer on a vector: Core ML "
    "trains one layer at the end, and these cannot be written as one; {head}"
)


@dataclass(frozen=True)
class ClassOutput:
    """``network`` answers logits [1, classes] where a ``softmax`` is to follow, else probabilities or their logarithms.

    ``probabilities`` makes of what the source itself answers, float64 [n, numbers], float64 [n, classes]; ``scores``
    makes logits of it, up to a number that a row has in common. Where an answer does not tell them it is None, and
    ``inner`` is a part of the source's own graph whose answer does, if any.
    """

    network: nn.Module
    softmax: bool
    classes: int
    probabilities: Callable[[Tensor], Tensor]
    scores: Callable[[Tensor], Tensor] | None = None
    inner: nn.Module | None = None
    notes: tuple[str, ...] = ()


def logits_of(network: nn.Module, classes: int, notes: tuple[str, ...] = ()) -> ClassOutput:
    """``network`` returns logits."""
    return ClassOutput(network, True, classes, lambda said: said.softmax(1), _same, notes=notes)


def outcome(network: nn.Module, inputs: Sequence[Input], known: Sequence[str]) -> ClassOutput:
    """Return the outcome for ``network``, which returns [1, numbers]; ``known`` are its labels, if any.

    A SourceError says what its numbers are if they are not classes, and what can be done.
    """
    graph, answers = graph_of(network, inputs), _looks(network, inputs)
    count = answers.shape[1]
    meaning = _by_numbers(graph, meaning_of(graph), answers)
    if count == 1:
        return _one_number(graph, inputs, meaning, known)
    scores = graph.answer if meaning.kind in ("logits", "features") else meaning.scores
    heads = one_layer(graph, scores, meaning) if scores else None
    mixed = mixed_by(graph, scores) if scores and heads is None else ""
    match meaning.kind:
        case "logits" | "features" | "softmax" | "log softmax" if mixed:
            raise SourceError(f"the source answers {MIXED.format(by=mixed, head=NEW_HEAD)}")
        case "logits" if heads is not None:
            return logits_of(one_head(graph, heads), count, _notes(heads))
        case "softmax" | "log softmax" if heads is not None:
            one = one_head(graph, heads)
            of_answers: Callable[[Tensor], Tensor] = _same if meaning.kind == "softmax" else torch.exp
            return ClassOutput(one, True, count, of_answers, inner=_Part(graph, meaning), notes=_notes(heads))
        case "logits":
            return logits_of(network, count)
        case "features" if len(known) == count:
            note = (
                f"its outputs come from {meaning.by!r}, not from a layer with weights; because there are labels, "
                "they count as logits"
            )
            return logits_of(network, count, (note,))
        case "softmax" | "log softmax" if meaning.scores:
            return _softmax(graph, network, meaning, count)
        case "two shares":
            two = two_classes(graph, meaning, _batches(inputs)) or _two_of_one(graph, meaning)
            if two is not None:
                inner = _Part(graph, meaning, torch.tensor([0.0, float(meaning.sign)]))
                return ClassOutput(two, True, 2, _same, inner=inner)
    raise SourceError(f"the source returns {_why(meaning, count)}")


def _notes(heads: SeveralHeads) -> tuple[str, ...]:
    if heads.layers == 1:
        return ("what follows its last layer is linear, and is part of that layer now",)
    read = "one embedding" if len(heads.features) == 1 else f"{len(heads.features)} embeddings side by side"
    return (f"its answer is a sum of linear heads: they are one head on {read} now",)


def one_layer(graph: Graph, scores: str, meaning: Meaning) -> SeveralHeads | None:
    """Return the linear head that computes ``scores``, in the order of ``meaning``, where no layer does as it stands.

    None where a layer does, which is then kept, and where none can.
    """
    heads = several_heads(graph, scores)
    if heads is None and (meaning.choices or head_layer_of(graph, scores) is None):
        heads = recombined(graph, scores)
    if heads is None or not meaning.choices:
        return heads
    order = chosen_of(graph, meaning)
    return None if order is None else replace(heads, weight=heads.weight[order], bias=heads.bias[order])


def _two_of_one(graph: Graph, meaning: Meaning) -> nn.Module | None:
    heads = recombined(graph, meaning.scores)
    return one_head(graph, of_two_classes(heads, meaning.sign)) if heads and len(heads.bias) == 1 else None


def _softmax(graph: Graph, network: nn.Module, meaning: Meaning, count: int) -> ClassOutput:
    part = _Part(graph, meaning)
    of_answers: Callable[[Tensor], Tensor] = _same if meaning.kind == "softmax" else torch.exp
    if meaning.plain:
        return ClassOutput(network, False, count, of_answers, inner=part)
    return ClassOutput(part, True, count, of_answers, inner=part)


def _one_number(graph: Graph, inputs: Sequence[Input], meaning: Meaning, known: Sequence[str]) -> ClassOutput:
    if len(known) not in (0, 2) and meaning.kind in ("logits", "sigmoid", "log sigmoid"):
        raise SourceError(
            f"labels: found {len(known)} for a single output, which distinguishes two classes; name both, such as "
            f"--labels no,yes, or {NEW_HEAD}"
        )
    if meaning.kind in ("logits", "features") and not known:
        raise SourceError(
            "the source returns one number without a sigmoid: the logit of two classes, or a value. If it is a "
            "logit, pass --labels no,yes; if it is a value, make a classifier of its features with --head new "
            "--labels a,b,..."
        )
    of_a_softmax = _one_of_two(graph, meaning) if meaning.kind in ("softmax", "log softmax") else None
    if of_a_softmax is not None:
        return of_a_softmax
    if meaning.kind == "softmax" and not meaning.choices:
        raise SourceError(
            "the source returns a softmax of one number, which is always 1, so it cannot have learned anything; "
            f"train it with a sigmoid instead, or {NEW_HEAD}"
        )
    if meaning.kind in ("softmax", "log softmax"):
        meaning = Meaning("part", meaning.by)
    if meaning.kind not in ("logits", "sigmoid", "log sigmoid"):
        raise SourceError(f"the source returns {_why(meaning, 1)}")
    two = two_classes(graph, meaning, _batches(inputs)) if meaning.scores else None
    heads = one_layer(graph, meaning.scores, meaning) if two is None and meaning.scores else None
    notes: tuple[str, ...] = ()
    if heads is not None and len(heads.bias) == 1:
        two, notes = one_head(graph, of_two_classes(heads, meaning.sign)), _notes(heads)
    if two is None:
        raise SourceError(
            "the source returns one number that does not come from a single layer with weights, so it cannot be "
            f"extended to two classes; {NEW_HEAD}"
        )
    inner = _Part(graph, meaning, torch.tensor([0.0, float(meaning.sign)]))
    to_yes: dict[str, Callable[[Tensor], Tensor]] = {"logits": torch.sigmoid, "log sigmoid": torch.exp}
    of_yes = to_yes.get(meaning.kind, _same)

    def probabilities(said: Tensor) -> Tensor:
        yes = of_yes(said)
        no = torch.sigmoid(-said) if meaning.kind == "logits" else 1 - yes
        return torch.cat([no, yes], 1)

    return ClassOutput(two, True, 2, probabilities, inner=inner, notes=notes)


def _one_of_two(graph: Graph, meaning: Meaning) -> ClassOutput | None:
    """One column of a softmax of two: the second class is what it says, the first the other column."""
    order = chosen_of(graph, meaning) if meaning.scores and meaning.choices else None
    if order is None or len(order) != 1 or graph.numel(meaning.scores) != 2:
        return None
    both = replace(meaning, choices=())
    heads = several_heads(graph, meaning.scores) or recombined(graph, meaning.scores)
    if heads is None:
        return None
    places = [1 - order[0], order[0]]
    heads = replace(heads, weight=heads.weight[places], bias=heads.bias[places])

    def probabilities(said: Tensor) -> Tensor:
        yes = said if meaning.kind == "softmax" else said.exp()
        return torch.cat([1 - yes, yes], 1)

    inner = _Part(graph, both, order=places)
    return ClassOutput(one_head(graph, heads), True, 2, probabilities, inner=inner, notes=_notes(heads))


def _same(said: Tensor) -> Tensor:
    return said


class _Part(nn.Module):
    """The scores of ``meaning``, [1, numbers], in ``order``; times ``by``, where it is one number."""

    def __init__(
        self, graph: Graph, meaning: Meaning, by: Tensor | None = None, order: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        self.graph, self.meaning, self.by, self.order = graph, meaning, by, order

    def forward(self, *batches: Tensor) -> Tensor:
        value = scores_of(self.graph, self.meaning, batches).reshape(1, -1)
        if self.order is not None:
            value = value[:, list(self.order)]
        return value if self.by is None else value * self.by


def _batches(inputs: Sequence[Input]) -> list[Tensor]:
    return [batch_of(given, example(given)) for given in inputs]


def _looks(network: nn.Module, inputs: Sequence[Input]) -> Tensor:
    """Return its outputs for a few random rows, in float64."""
    generator = torch.Generator().manual_seed(0)
    answers = []
    with torch.no_grad():
        for _ in range(LOOKS):
            rows = [
                torch.randint(0, 2, value.shape, generator=generator, dtype=torch.int32)
                if isinstance(value, ArrayInput) and value.whole
                else torch.rand(example(value).shape, generator=generator)
                for value in inputs
            ]
            answers.append(network(*(batch_of(value, row) for value, row in zip(inputs, rows, strict=True))))
    return torch.cat(answers).double()


def _by_numbers(graph: Graph, meaning: Meaning, answers: Tensor) -> Meaning:
    """Check the meaning found in the graph against the numbers."""
    if meaning.kind in ("softmax", "log softmax") and meaning.choices and answers.shape[1] > 1:
        order = chosen_of(graph, meaning) if meaning.scores else None
        if order is None or sorted(order) != list(range(graph.numel(meaning.scores))):
            return Meaning("part", meaning.by)
    shares = bool((answers >= 0).all()) and _near_one(answers.sum(1))
    match meaning.kind:
        case "softmax" | "log softmax":
            adds_up = shares if meaning.kind == "softmax" else _near_one(answers.exp().sum(1))
            if not adds_up and answers.shape[1] > 1:
                return Meaning("wrong axis", meaning.by)
            return meaning if meaning.scores else Meaning("part", meaning.by)
        case "logits" | "features" if answers.shape[1] > 1:
            if shares:
                return Meaning("shares", meaning.by)
            if meaning.kind == "features" and _near_one(answers.square().sum(1).sqrt()):
                return Meaning("unit", meaning.by)
    return replace(meaning)


def _near_one(values: Tensor) -> bool:
    return bool(((values - 1).abs() < SUM_TOLERANCE).all())


def _why(meaning: Meaning, count: int) -> str:
    if meaning.kind in ("sigmoid", "log sigmoid", "two shares"):
        return MULTI_LABEL.format(count=count)
    if meaning.kind in WHY:
        return WHY[meaning.kind].format(by=meaning.by, head=NEW_HEAD)
    if count == 1:
        return f"one number from {meaning.by!r}, not from a layer with weights; {NEW_HEAD}"
    return (
        f"{count} numbers from {meaning.by!r}, not from a layer with weights, probably an embedding. {NEW_HEAD}; or, "
        "if they are logits, pass one label per number with --labels"
    )
