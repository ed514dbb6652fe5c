"""The layer with weights that computes a network's output, and the operators after it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.errors import SourceError

from .graph import Graph, constant_of, value_of
from .meaning import LAYERS, RESHAPING, Meaning, affine_of
from .unrolling import run_node

CONVOLUTIONS = ("_convolution", "convolution", "conv1d", "conv2d", "conv3d")
AVERAGES = {"mean", "avg_pool1d", "avg_pool2d", "avg_pool3d"}
AVERAGES |= {"adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"}
CLOSE = 1e-3


@dataclass(frozen=True)
class HeadLayer:
    """``weight`` [outputs, ...] and ``bias`` [outputs] of the layer that reads the value ``features``.

    ``behind`` names the operators that average the layer's output or choose a step. A scale, a shift and the choice of
    one output after it are already part of the weights.
    """

    layer: str
    features: str
    weight: Tensor
    bias: Tensor
    behind: tuple[str, ...] = ()


def layers_of(graph: Graph) -> list[str]:
    """Return the outputs of layers with weights, in order."""
    names = [name for name in graph.writers if graph.kind(name) in LAYERS and name in graph.moving]
    return [name for name in names if head_layer_at(graph, name) is not None]


def head_layer_at(graph: Graph, name: str) -> HeadLayer | None:
    """Return the layer that writes ``name``; None if it is of another kind or has no constant weights."""
    given, kind = graph.given(name), graph.kind(name)
    features: str = given[0]
    weight: Any = None
    bias: Any = None
    if kind == "linear":
        weight, bias = constant_of(graph, given[1]), constant_of(graph, given[2])
    elif kind == "addmm":
        features, weight, bias = given[1], constant_of(graph, given[2]), constant_of(graph, given[0])
        weight = weight.t() if isinstance(weight, Tensor) else None
    elif kind in ("mm", "matmul") and given[0] in graph.moving:
        weight = constant_of(graph, given[1])
        weight = weight.t() if isinstance(weight, Tensor) and weight.ndim == 2 else None
    elif kind in CONVOLUTIONS:
        weight, bias = constant_of(graph, given[1]), constant_of(graph, given[2])
        if kind == "_convolution" and (constant_of(graph, given[6]) or constant_of(graph, given[8]) != 1):
            return None
    if not isinstance(weight, Tensor) or features not in graph.moving:
        return None
    zeros = torch.zeros(weight.shape[0])
    bias = bias.reshape(-1).expand(weight.shape[0]) if isinstance(bias, Tensor) else zeros
    return HeadLayer(name, features, weight.detach(), bias.detach())


def head_layer_of(graph: Graph, scores: str) -> HeadLayer | None:
    """Return the layer that computes ``scores``, except for averages and choices; None if anything else is between.

    Scales, shifts and the choice of one output are folded into the weights.
    """
    steps, name = list[str](), scores
    while graph.kind(name) not in LAYERS:
        if name not in graph.writers or not graph.data(name):
            return None
        steps.append(name)
        affine = affine_of(graph, name)
        name = affine.value if affine is not None else graph.data(name)[0]
    head = head_layer_at(graph, name)
    for step in reversed(steps):
        if head is None:
            return None
        head = _behind(graph, head, step)
    return head


def _behind(graph: Graph, head: HeadLayer, step: str) -> HeadLayer | None:
    """Return ``head`` followed by the operator that writes ``step``."""
    kind = graph.kind(step)
    if kind in RESHAPING:
        return head
    if kind in AVERAGES:
        return replace(head, behind=(*head.behind, step))
    if kind in ("select", "slice"):
        return _chosen(graph, head, step)
    affine = affine_of(graph, step)
    if affine is None:
        return None
    if affine.scale is not None and affine.offset is not None:
        shifted = head.bias.double() * affine.scale + affine.offset
        return replace(head, weight=(head.weight.double() * affine.scale).float(), bias=shifted.float())
    constants = [constant_of(graph, item) for item in graph.given(step)[:2] if item not in graph.moving]
    bias: Any = constants[0] if constants and kind == "add" else None
    if not isinstance(bias, Tensor) or bias.numel() != len(head.bias):
        return None
    return replace(head, bias=head.bias + bias.detach().reshape(-1))


def _chosen(graph: Graph, head: HeadLayer, step: str) -> HeadLayer | None:
    """Handle the choice of an output or of a step of a sequence."""
    source, outputs = graph.data(step)[0], len(head.bias)
    before = graph.sizes(source)
    if before is None or graph.sizes(step) == before:
        return head
    axis, start = (int(constant_of(graph, item)) for item in graph.given(step)[1:3])
    channels = 1 if graph.kind(head.layer) in CONVOLUTIONS else len(before) - 1
    if axis % len(before) != channels or before[axis] != outputs:
        return replace(head, behind=(*head.behind, step))
    after = graph.sizes(step) or []
    if graph.kind(step) == "slice" and after[axis] != 1:
        return None
    index = start % outputs
    return replace(head, weight=head.weight[index : index + 1], bias=head.bias[index : index + 1])


def run_head(graph: Graph, head: HeadLayer, features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the outputs of ``head`` with other weights, [n, outputs]."""
    if graph.kind(head.layer) in CONVOLUTIONS:
        given = graph.given(head.layer)
        stride, padding, dilation = (constant_of(graph, item) for item in given[3:6])
        convolve: Any = (functional.conv1d, functional.conv2d, functional.conv3d)[weight.ndim - 3]
        answer: Tensor = convolve(features, weight, bias, stride, padding, dilation)
    else:
        answer = functional.linear(features, weight, bias)
    return averaged(graph, head, answer).flatten(1)


def averaged(graph: Graph, head: HeadLayer, values: Tensor) -> Tensor:
    """Return ``values`` in place of the layer's output, averaged and selected in the same way."""
    return _through(graph, head.behind, values)


def _through(graph: Graph, steps: Sequence[str], values: Tensor) -> Tensor:
    """Apply the operators that write ``steps`` to ``values``, one after the other."""
    for step in steps:
        data, *others = graph.given(step)
        known = {other: constant_of(graph, other) for other in others}
        known[data] = values
        run_node(graph.writers[step], known)
        values = known[step]
    return values


def scores_of(graph: Graph, meaning: Meaning, batches: Sequence[Tensor]) -> Tensor:
    """Return the inputs [n, ...] of the sigmoid or softmax of ``meaning`` that matter for the output."""
    return _through(graph, meaning.choices, value_of(graph, batches, meaning.scores))


def chosen_of(graph: Graph, meaning: Meaning) -> list[int] | None:
    """Return which of the scores the choices of ``meaning`` leave, in their order; None where torch knows no shape."""
    sizes = graph.sizes(meaning.scores)
    if sizes is None:
        return None
    places = torch.arange(graph.numel(meaning.scores), dtype=torch.float32).reshape(sizes)
    return [int(place) for place in _through(graph, meaning.choices, places).reshape(-1)]


def two_classes(graph: Graph, meaning: Meaning, batches: Sequence[Tensor]) -> nn.Module | None:
    """Return the network that computes the logits [n, 2] of no and yes, where ``sign * scores`` is the logit of yes.

    sigmoid(z) is the second of softmax([0, z]): the first row of the layer's weights is zero. None if no layer with
    weights alone computes the number. SourceError if the two forms differ on ``batches``.
    """
    sign, head = meaning.sign, head_layer_of(graph, meaning.scores)
    for step in meaning.choices:
        head = _chosen(graph, head, step) if head is not None else None
    if head is None or len(head.bias) != 1:
        return None
    nothing, order = torch.zeros_like(head.weight), (1, 0) if sign < 0 else (0, 1)
    rows = [(nothing, torch.zeros(1)), (head.weight, head.bias)]
    weights, biases = zip(*(rows[index] for index in order), strict=True)
    actual: HeadLayer = head

    class TwoClasses(nn.Module):
        weight: Tensor
        bias: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weight", torch.cat(weights).contiguous())
            self.register_buffer("bias", torch.cat(biases))

        def forward(self, *batches: Tensor) -> Tensor:
            features = value_of(graph, batches, actual.features)
            return run_head(graph, actual, features, self.weight, self.bias)

    result = TwoClasses().eval()
    with torch.no_grad():
        logits, expected = result(*batches).double(), scores_of(graph, meaning, batches).double().reshape(-1)
    difference = (logits[:, 1] - logits[:, 0]) - sign * expected
    if logits.shape != (1, 2) or not bool((difference.abs() <= CLOSE * (1 + expected.abs())).all()):
        raise SourceError(
            "the source computes its single output with a layer that cannot be extended to two classes; make a new "
            "head: --head new --labels a,b"
        )
    return result
