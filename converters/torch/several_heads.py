"""What linear heads answer, added, averaged or combined by fixed factors: it is one linear head on what they read.

timm's LeViT averages two heads on one embedding, distilled DeiT the heads of two tokens:
(W1 a + b1 + W2 c + b2) / 2 = [W1 W2] / 2 [a; c] + (b1 + b2) / 2. And where a fixed map A z + c follows one layer
z = W a + b (another order, [0, z], z1 - z0, a batch normalization), the head is (A W) a + A b + c.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from .graph import Graph, all_through, constant_of, function_of, values_of
from .head_layer import CONVOLUTIONS, head_layer_at
from .meaning import BOUNDED, DEEPEST, LAYERS, RECTIFIED, RECTIFYING, RESHAPING, UNCHANGED, affine_of, number_of

# Operators of two values that move; behind them no single layer gives the answer.
MIXING = {"add", "sub", "subtract", "rsub", "mul", "multiply", "div", "true_divide", "maximum", "minimum", "max", "min"}
# Of one value, which may stand between such a layer and what mixes its answers.
STEPS = {*RESHAPING, *RECTIFYING, *BOUNDED, *RECTIFIED, "softmax", "log_softmax", "sigmoid", "log", "mul", "div", "neg"}


@dataclass(frozen=True)
class Term:
    """``weight`` [outputs, features] applied to the value ``features`` [1, features], and ``bias`` [outputs]."""

    features: str
    weight: Tensor
    bias: Tensor

    def scaled(self, by: Tensor | float) -> "Term":
        factor = torch.as_tensor(by, dtype=torch.float64).reshape(-1)
        return replace(self, weight=self.weight * factor[:, None], bias=self.bias * factor)


@dataclass(frozen=True)
class SeveralHeads:
    """Each of ``features`` once; ``weight`` [outputs, all of them side by side]. So many ``layers`` they were."""

    features: tuple[str, ...]
    weight: Tensor
    bias: Tensor
    layers: int


def several_heads(graph: Graph, scores: str) -> SeveralHeads | None:
    """Return the heads whose sum ``scores`` is as one; None where it is one layer, or no sum of such layers."""
    terms = _terms(graph, scores, DEEPEST)
    if terms is None or len(terms) < 2 or len({len(term.bias) for term in terms}) > 1:
        return None
    joined = dict[str, Term]()
    for term in terms:
        same = joined.get(term.features)
        joined[term.features] = term if same is None else replace(same, weight=same.weight + term.weight)
    return SeveralHeads(
        tuple(joined),
        torch.cat([term.weight for term in joined.values()], 1).float(),
        torch.stack([term.bias for term in terms]).sum(0).float(),
        len(terms),
    )


MOST_OUTPUTS = 4096  # of a layer; each is probed by itself
LINEAR = 1e-4  # of the largest value: 32-bit sums in another order differ by less
FAR = (1.0, 1e3)  # a bound such as clamp's shows at one of these distances


def recombined(graph: Graph, scores: str) -> SeveralHeads | None:
    """Return the linear head that computes ``scores``, if these are a fixed linear map of one layer's outputs.

    The map is read off the outputs for zeros and unit vectors, and tried on random ones near and far.
    """
    layers = [name for name in graph.writers if graph.kind(name) in LAYERS and name in graph.moving]
    name = next((name for name in reversed(layers) if all_through(graph, name, scores)), "")
    sizes = (graph.sizes(name) or []) if name else []
    count = sizes[1] if len(sizes) > 1 else 0
    term = _on_vector(graph, name) if count and sizes == [1, count, *[1] * (len(sizes) - 2)] else None
    if term is None or not 0 < count <= MOST_OUTPUTS or len(term.bias) != count:
        return None

    function = function_of(graph, name, scores)

    def mapped(vector: Tensor) -> Tensor:
        value = function(vector.reshape(sizes))
        return value.detach().double().reshape(-1) if isinstance(value, Tensor) else torch.tensor([torch.nan])

    with torch.no_grad():
        offset = mapped(torch.zeros(count))
        if not offset.isfinite().all():
            return None
        generator = torch.Generator().manual_seed(0)
        one, other = torch.randn(2, count, generator=generator)
        if not _close(mapped(one + other) + offset, mapped(one) + mapped(other), 1):  # before each output is probed
            return None
        factors = torch.stack([mapped(row) - offset for row in torch.eye(count)], 1)
        for far in FAR:
            vector = torch.randn(count, generator=generator) * far
            if not _close(mapped(vector), factors @ vector.double() + offset, far):
                return None
    return SeveralHeads((term.features,), (factors @ term.weight).float(), (factors @ term.bias + offset).float(), 1)


def _close(result: Tensor, expected: Tensor, size: float) -> bool:
    return bool((result - expected).abs().max() <= LINEAR * (size + result.abs().max()))  # NaN is not


def _on_vector(graph: Graph, name: str) -> Term | None:
    """A linear layer, or a convolution that sees a single point of a picture, as one on a vector."""
    head = head_layer_at(graph, name)
    if head is None or graph.kind(name) not in CONVOLUTIONS:
        return _layer(graph, name)
    sizes = graph.sizes(head.features) or []
    point = len(sizes) == head.weight.ndim and set(sizes[2:]) == {1} and set(head.weight.shape[2:]) == {1}
    return Term(head.features, head.weight.flatten(1).double(), head.bias.double()) if point else None


def mixed_by(graph: Graph, scores: str) -> str:
    """The operator that makes ``scores`` of several values that move, so that no layer alone gives them; or ""."""
    for _ in range(DEEPEST):
        kind, affine = graph.kind(scores), affine_of(graph, scores)
        data = graph.data(scores) if kind else []
        if kind in MIXING and len(data) > 1:
            return kind
        if kind in ("mean", "sum") and _listed(graph, data[0]):
            return kind
        if affine is None and kind not in RESHAPING:
            return ""
        scores = affine.value if affine is not None else data[0]
    return ""


def embeddings(graph: Graph, name: str, outputs: int) -> tuple[str, ...]:
    """Return what the layers read whose answers ``name`` mixes, however it does, each once; () where that is unclear.

    A part that comes from no layer with as many ``outputs`` is taken as it is. Each is a vector, [1, features].
    """
    result = dict.fromkeys(_read(graph, name, outputs, DEEPEST))
    return tuple(result) if result and all(graph.rank(item) == 2 for item in result) else ()


def _read(graph: Graph, name: str, outputs: int, depth: int) -> list[str]:
    kind, data = graph.kind(name), graph.data(name) if graph.kind(name) else []
    if kind in MIXING and len(data) > 1:
        return [part for item in data for part in _read(graph, item, outputs, depth - 1)] if depth else []
    if kind in ("mean", "sum") and _listed(graph, data[0]):
        return [part for item in _listed(graph, data[0]) for part in _read(graph, item, outputs, depth - 1)]
    below = name
    while len(graph.data(below) if graph.kind(below) else []) == 1 and graph.kind(below) in STEPS:
        below = graph.data(below)[0]
    if below != name and graph.kind(below) in MIXING:
        return _read(graph, below, outputs, depth - 1) if depth else []
    head = head_layer_at(graph, below) if graph.kind(below) in LAYERS else None
    return [name if head is None or len(head.bias) != outputs else head.features]


def of_two_classes(heads: SeveralHeads, sign: int) -> SeveralHeads:
    """``heads`` of one number z with two: sigmoid(sign * z) is the second of softmax([0, sign * z])."""
    weight, bias = (torch.cat([torch.zeros_like(item), sign * item]) for item in (heads.weight, heads.bias))
    return replace(heads, weight=weight, bias=bias)


def one_head(graph: Graph, heads: SeveralHeads) -> nn.Module:
    """The network that answers the sum by one linear layer."""

    class OneHead(nn.Module):
        weight: Tensor
        bias: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weight", heads.weight.contiguous())
            self.register_buffer("bias", heads.bias)

        def forward(self, *batches: Tensor) -> Tensor:
            return nn.functional.linear(embedding(graph, heads.features, batches), self.weight, self.bias)

    return OneHead().eval()


def embedding(graph: Graph, features: Sequence[str], batches: Sequence[Tensor]) -> Tensor:
    """What the heads read, [1, features]: side by side, where they read several values."""
    values = [value if value.ndim == 2 else value.flatten(1) for value in values_of(graph, batches, features)]
    return values[0] if len(values) == 1 else torch.cat(values, 1)


def _terms(graph: Graph, name: str, depth: int) -> list[Term] | None:
    if depth == 0 or name not in graph.moving or not graph.kind(name):
        return None
    kind = graph.kind(name)
    if kind in LAYERS:
        term = _layer(graph, name)
        return None if term is None else [term]
    data = graph.data(name)
    if kind in ("add", "sub", "subtract", "rsub") and len(data) == 2:
        return _sum(graph, name, kind, depth)
    if kind in ("mean", "sum") and _listed(graph, data[0]):
        return _over_a_list(graph, name, kind, depth)
    affine = affine_of(graph, name)
    if affine is None:
        return _terms(graph, data[0], depth - 1) if kind in RESHAPING and data else None
    inner = _terms(graph, affine.value, depth - 1)
    if inner is None:
        return None
    if affine.scale is not None and affine.offset is not None:
        return _shifted([term.scaled(affine.scale) for term in inner], torch.tensor(affine.offset))
    return _by_constants(graph, name, kind, inner)


def _layer(graph: Graph, name: str) -> Term | None:
    """A linear layer on a vector, and a batch normalization in front of it, which is part of its weights."""
    head = head_layer_at(graph, name)
    if head is None or graph.kind(name) in CONVOLUTIONS or head.weight.ndim != 2:
        return None
    term = Term(_below_dropout(graph, head.features), head.weight.double(), head.bias.double())
    if graph.kind(term.features) == "batch_norm" and graph.data(term.features)[:1] == graph.given(term.features)[:1]:
        term = _without_normalization(graph, term)
        term = replace(term, features=_below_dropout(graph, term.features))
    return term if graph.rank(term.features) == 2 else None


def _below_dropout(graph: Graph, name: str) -> str:
    while graph.kind(name) in UNCHANGED:
        name = graph.given(name)[0]
    return name


def _without_normalization(graph: Graph, term: Term) -> Term:
    source, *given = graph.given(term.features)
    scale, shift, mean, variance, training = (constant_of(graph, item) for item in given[:5])
    eps = number_of(graph, given[6])
    if training or eps is None or not isinstance(mean, Tensor) or not isinstance(variance, Tensor):
        return term
    factor = (variance.detach().double() + eps).rsqrt()
    if isinstance(scale, Tensor):
        factor = factor * scale.detach().double()
    offset = -mean.detach().double() * factor
    if isinstance(shift, Tensor):
        offset = offset + shift.detach().double()
    return Term(source, term.weight * factor, term.bias + term.weight @ offset)


def _sum(graph: Graph, name: str, kind: str, depth: int) -> list[Term] | None:
    given = graph.given(name)
    one, other = (_terms(graph, part, depth - 1) for part in given[:2])
    alpha = number_of(graph, given[2]) if len(given) > 2 else 1.0
    if one is None or other is None or alpha is None:
        return None
    if kind == "rsub":
        one, other = other, one
    sign = alpha if kind == "add" else -alpha
    return [*one, *(term.scaled(sign) for term in other)]


def _listed(graph: Graph, name: str) -> list[str]:
    """The values of a list that is stacked."""
    if graph.kind(name) != "stack":
        return []
    listed = graph.data(name)[0]
    return graph.given(listed) if graph.kind(listed) == "ListConstruct" else []


def _over_a_list(graph: Graph, name: str, kind: str, depth: int) -> list[Term] | None:
    """A mean or sum over the axis along which values were stacked."""
    stacked, over = graph.data(name)[0], constant_of(graph, graph.given(name)[1])
    axis, rank = constant_of(graph, graph.given(stacked)[1]), graph.rank(stacked)
    if rank is None or not isinstance(over, list) or [item % rank for item in over] != [axis % rank]:
        return None
    parts = _listed(graph, stacked)
    result = list[Term]()
    for part in parts:
        terms = _terms(graph, part, depth - 1)
        if terms is None:
            return None
        result += terms
    return [term.scaled(1 / len(parts) if kind == "mean" else 1) for term in result]


def _by_constants(graph: Graph, name: str, kind: str, inner: list[Term]) -> list[Term] | None:
    """A scale or a shift of its own for each output."""
    constants = [constant_of(graph, item) for item in graph.given(name)[:2] if item not in graph.moving]
    constant = constants[0] if len(constants) == 1 else None
    if not isinstance(constant, Tensor) or constant.numel() != len(inner[0].bias):
        return None
    values = constant.detach().double().reshape(-1)
    first = graph.given(name)[0] in graph.moving
    if kind in ("mul", "multiply"):
        return [term.scaled(values) for term in inner]
    if kind in ("div", "true_divide", "divide") and first:
        return [term.scaled(1 / values) for term in inner]
    if kind == "add" and len(graph.given(name)) > 2 and number_of(graph, graph.given(name)[2]) == 1:
        return _shifted(inner, values)
    return None


def _shifted(terms: list[Term], by: Tensor) -> list[Term]:
    first, *others = terms
    return [replace(first, bias=first.bias + by.double()), *others]
