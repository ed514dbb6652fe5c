"""Find out what a network's outputs mean from its operators: logits, probabilities or something else.

The same code serves every framework that ends up in torch: PyTorch, TorchScript, transformers, ONNX and Keras. It goes
back from the output through everything that only reshapes, to the operator that gives the numbers a meaning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from .graph import Graph, constant_of

Kind = Literal[
    "logits",  # from a layer with weights, or from such by what keeps them logits
    "softmax",
    "log softmax",
    "sigmoid",  # of each number alone
    "log sigmoid",
    "two shares",  # 1 - p and p of one sigmoid
    "second softmax",
    "many softmaxes",  # side by side, or their mean
    "shares",  # numbers divided by their sum
    "unit",  # numbers divided by their length: an embedding
    "bounded",  # tanh, a hard sigmoid and whatever else keeps numbers between two others
    "rectified",  # softplus, exp, a square: numbers from 0 up that are no logits
    "scaled",  # probabilities, times or plus something
    "wrong axis",  # a softmax that does not add up to 1 over the classes
    "part",  # of a softmax
    "chosen",  # an argmax, a comparison or a rounding
    "features",  # from no layer that could give one number for each class
]
DEEPEST = 200  # operators between the answer and what gives it its meaning
SHORT = 4  # operators that are compared one by one
EPSILON = 1e-3  # what is added, or cut off, to keep logarithms finite

RESHAPING = {"view", "reshape", "flatten", "squeeze", "unsqueeze", "unflatten", "contiguous", "to", "type_as", "detach"}
RESHAPING |= {"clone", "alias", "expand", "expand_as", "view_as", "reshape_as", "permute", "transpose", "t", "movedim"}
RESHAPING |= {"_unsafe_view", "float", "double", "numpy_T", "swapaxes", "TupleIndex"}
UNCHANGED = {"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"}  # not in training
UNCHANGED |= {"clone", "alias", "contiguous", "detach", "identity", "lift_fresh", "positive"}
RESHAPING |= UNCHANGED
CHOOSING = {"select", "slice", "index", "index_select", "narrow", "gather", "ListUnpack", "split", "chunk", "flip"}
CHOOSING |= {"unbind", "TupleUnpack", "unsafe_chunk", "unsafe_split", "tensor_split", "take_along_dim"}
LAYERS = {"linear", "addmm", "mm", "matmul", "bmm", "baddbmm", "einsum", "_convolution", "convolution", "conv1d"}
LAYERS |= {"conv2d", "conv3d", "bilinear", "tensordot", "mv", "addmv", "dot", "_trilinear", "addbmm"}
POOLING = {"mean", "sum", "amax", "max", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d"}
POOLING |= {"adaptive_avg_pool2d", "adaptive_avg_pool3d", "max_pool1d", "max_pool2d", "max_pool3d", "logsumexp"}
POOLING |= {"adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d", "median", "nanmean"}
RECTIFYING = {"relu", "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu", "mish"}
RECTIFYING |= {"hardswish", "hardshrink", "softshrink", "threshold"}
BOUNDED = {"tanh", "hardsigmoid", "softsign", "atan", "arctan", "erf", "special_erf", "sin", "cos", "sign", "sgn"}
RECTIFIED = {"softplus", "exp", "exp2", "expm1", "square", "abs", "sqrt", "rsqrt", "pow", "special_logit", "log1p"}
CHOSEN = {"argmax", "argmin", "gt", "ge", "lt", "le", "eq", "ne", "greater", "less", "equal", "round", "floor"}
CHOSEN |= {"ceil", "trunc", "topk", "sort", "argsort", "bernoulli", "multinomial", "heaviside", "one_hot"}
NARROW = 2  # an interval in which no logits are kept
LENGTHS = {"linalg_vector_norm", "norm", "frobenius_norm", "linalg_norm"}


@dataclass(frozen=True)
class Meaning:
    """The meaning of the output.

    ``scores`` names the value on which the softmax or sigmoid works, "" where it is not known; ``sign`` is -1 where it
    is that of one minus a sigmoid. ``plain``: nothing stands behind it. ``choices`` name what leaves a part of the
    sigmoids or of the softmax, or another order of them, first to last. ``by`` is the operator. ``width``: of the
    interval in which a clamp holds the logits.
    """

    kind: Kind
    by: str
    scores: str = ""
    sign: int = 1
    plain: bool = True
    choices: tuple[str, ...] = ()
    width: float | None = None


@dataclass(frozen=True)
class ScaledValue:
    """``value * scale + offset``; None if these are more than one number."""

    value: str
    scale: float | None
    offset: float | None


def meaning_of(graph: Graph) -> Meaning:
    """Return the meaning of the output of ``graph``, judged by its operators alone."""
    return _Walk(graph).at(graph.answer)


class _Walk:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.known = dict[str, Meaning]()
        self.depth = 0

    def at(self, name: str) -> Meaning:
        if name not in self.known:
            self.depth += 1
            deep = self.depth > DEEPEST
            result = Meaning("features", self.graph.kind(name)) if deep else self._at(name)
            self.depth -= 1
            if deep:
                return result
            self.known[name] = result
        return self.known[name]

    def _at(self, name: str) -> Meaning:
        graph, kind = self.graph, self.graph.kind(name)
        data = graph.data(name) if kind else []
        if not data:
            return Meaning("features", kind or "the input")
        if kind in UNCHANGED or _is_name_only(kind):
            return self.at(data[0])
        if kind in RESHAPING:
            return replace(self.at(data[0]), plain=False)
        if kind in CHOOSING:
            return self._chosen(name, data[0])
        if kind in LAYERS:
            return Meaning("logits", kind, name)
        if kind in ("softmax", "_softmax", "log_softmax", "_log_softmax"):
            return self._softmax(kind.lstrip("_").replace("_", " "), data[0], kind)
        if kind in ("sigmoid", "special_expit", "expit"):
            return Meaning("sigmoid", "sigmoid", data[0])
        if kind in ("log_sigmoid", "logsigmoid", "log_sigmoid_forward"):
            return Meaning("log sigmoid", "log sigmoid", data[0])
        if kind in ("cat", "concat", "concatenate", "stack", "hstack", "column_stack"):
            return self._joined(name)
        if kind in ("clamp", "clip", "hardtanh", "relu6", "clamp_min", "clamp_max"):
            return self._clamped(name, data[0])
        if kind in ("log", "exp"):
            return self._logarithm_or_power(kind, data[0])
        written_out = self._written_out(name, kind, data)
        if written_out is not None:
            return written_out
        if kind in ("mul", "div", "add", "sub", "rsub", "neg", "true_divide", "divide", "multiply", "subtract"):
            return self._arithmetic(name, data)
        if kind in POOLING:
            return self._pooled(self.at(data[0]))
        if kind in RECTIFYING:
            inner = self.at(data[0])
            return replace(inner, scores=name, plain=False) if inner.kind == "logits" else Meaning("features", kind)
        if kind in ("batch_norm", "instance_norm", "native_batch_norm"):
            inner = self.at(data[0])
            flat = graph.rank(name) == 2 and inner.kind == "logits"
            return replace(inner, scores=name, plain=False) if flat else Meaning("features", kind)
        if kind in BOUNDED:
            return Meaning("bounded", kind, name)
        if kind in RECTIFIED:
            return Meaning("rectified", kind, name)
        if kind in CHOSEN:
            return Meaning("chosen", kind)
        return Meaning("features", kind, name)

    def _chosen(self, name: str, source: str) -> Meaning:
        """Handle a selection or another order of the numbers."""
        inner, sizes = self.at(source), self.graph.sizes(name)
        if sizes is not None and sizes == self.graph.sizes(source) and self.graph.kind(name) == "slice":
            return inner  # all of them, as in x[:, :, None]
        if inner.kind == "two shares":
            return replace(inner, scores="", plain=False)
        if inner.kind in ("softmax", "log softmax", "sigmoid", "log sigmoid"):
            return replace(inner, plain=False, choices=(*inner.choices, name))
        return replace(inner, scores=name if inner.kind == "logits" else inner.scores, plain=False)

    def _softmax(self, kind: Any, source: str, by: str) -> Meaning:
        inner = self.at(source)
        if inner.kind in ("softmax", "second softmax", "many softmaxes"):
            return Meaning("second softmax", by)
        if inner.kind == "log softmax" and inner.scores:  # of logarithms of probabilities: these once more
            return Meaning(kind, by, inner.scores, plain=False)
        return Meaning(kind, by, source)

    def _joined(self, name: str) -> Meaning:
        (values,) = self.graph.data(name)[:1]
        parts = self.graph.data(values) if self.graph.kind(values) == "ListConstruct" else [values]
        inner = [self.at(part) for part in parts]
        kinds = {item.kind for item in inner}
        if kinds == {"logits"}:
            return Meaning("logits", "cat", name, plain=False)
        if kinds == {"sigmoid"} and len(inner) == 2:
            one, other = inner
            if self._same(one.scores, other.scores) and one.sign == -other.sign:
                return Meaning("two shares", "cat", one.scores, other.sign, plain=False)
        if kinds & {"sigmoid", "log sigmoid", "two shares"}:
            return Meaning("sigmoid", "sigmoid")
        if kinds & {"softmax", "log softmax", "many softmaxes"}:
            return Meaning("many softmaxes", "cat")
        return Meaning("features", "cat", name)

    def _clamped(self, name: str, source: str) -> Meaning:
        inner, (low, high) = self.at(source), self._bounds(name)
        if inner.kind in ("softmax", "sigmoid", "two shares"):
            trivial = (low is None or -1e6 <= low <= EPSILON) and (high is None or high >= 1 - EPSILON)
            return replace(inner, plain=False) if trivial else Meaning("bounded", "clamp")
        if inner.kind in ("log softmax", "log sigmoid"):
            return replace(inner, plain=False)
        width = high - low if low is not None and high is not None else None
        if width is not None and width <= NARROW:
            return Meaning("bounded", "clamp", name)
        kept = replace(inner, scores=name, plain=False, width=width)
        return kept if inner.kind == "logits" else Meaning("features", "clamp")

    def _bounds(self, name: str) -> tuple[float | None, float | None]:
        kind, given = self.graph.kind(name), self.graph.given(name)
        if kind == "relu6":
            return 0.0, 6.0
        low, high = (number_of(self.graph, item) for item in (given[1:3] if len(given) > 2 else (given[1], given[1])))
        match kind:
            case "clamp_min":
                return low, None
            case "clamp_max":
                return None, low
        return low, high

    def _logarithm_or_power(self, kind: str, source: str) -> Meaning:
        inner = self.at(source)
        turned: Mapping[str, Mapping[str, Kind]] = {
            "log": {"softmax": "log softmax", "sigmoid": "log sigmoid"},
            "exp": {"log softmax": "softmax", "log sigmoid": "sigmoid"},
        }
        if inner.kind in turned[kind]:
            return replace(inner, kind=turned[kind][inner.kind], plain=False)
        return Meaning("rectified" if kind == "exp" else "features", kind)

    def _written_out(self, name: str, kind: str, data: Sequence[str]) -> Meaning | None:
        """Recognize a softmax, sigmoid or length in simpler operators: exp(x) / sum(exp(x)), 1 / (1 + exp(-x)) ..."""
        if kind == "reciprocal":
            return self._one_over(data[0])
        if kind not in ("div", "true_divide", "divide"):
            if kind in ("sub", "subtract") and len(data) == 2 and self._same(self._root(data[1], "logsumexp"), data[0]):
                return Meaning("log softmax", "logsumexp", data[0], plain=False)
            return None
        given = self.graph.given(name)
        if len(data) == 1 and data[0] == given[1]:
            one = number_of(self.graph, given[0])
            return self._one_over(data[0]) if one == 1 else None
        if len(data) < 2:
            return None
        over, below = data[0], data[1]
        if self._lengths(below):
            return Meaning("unit", "a division by the length", name)
        if self._same(self._root(below, "sum"), over):
            power = self._power(over)
            inner = self.at(over)
            if power is not None:
                return Meaning("softmax", "exp and sum", power, plain=False)
            return (
                replace(inner, plain=False) if inner.kind == "softmax" else Meaning("shares", "a division by the sum")
            )
        affine = affine_of(self.graph, below)
        if affine is not None and self._same(affine.value, over) and (affine.scale, affine.offset) == (1, 1):
            power = self._power(over)
            return Meaning("sigmoid", "sigmoid", power, plain=False) if power is not None else None
        return None

    def _one_over(self, below: str) -> Meaning | None:
        affine = affine_of(self.graph, below)
        if affine is None or (affine.scale, affine.offset) != (1, 1) or self.graph.kind(affine.value) != "exp":
            return None
        (source,) = self.graph.data(affine.value)
        if self.graph.kind(source) in ("neg", "negative"):
            return Meaning("sigmoid", "sigmoid", self.graph.data(source)[0], plain=False)
        return Meaning("sigmoid", "sigmoid", source, -1, plain=False)

    def _power(self, name: str) -> str | None:
        """Return x of exp(x) or exp(x - max(x))."""
        if self.graph.kind(name) != "exp":
            return None
        (source,) = self.graph.data(name)
        data = self.graph.data(source) if source in self.graph.writers else []
        kind = self.graph.kind(source)
        if kind in ("sub", "subtract") and len(data) == 2 and self._same(self._root(data[1], "amax", "max"), data[0]):
            return data[0]
        return source

    def _root(self, name: str, *kinds: str) -> str | None:
        """Return x if ``name`` is one of ``kinds`` of x, reshaped or with a small number added."""
        for _ in range(DEEPEST):
            kind = self.graph.kind(name)
            if kind in kinds:
                return self.graph.data(name)[0]
            affine = affine_of(self.graph, name)
            little = affine is not None and affine.scale == 1 and affine.offset is not None
            if kind in RESHAPING or kind in ("TupleUnpack", "clamp_min", "clamp") or _is_name_only(kind):
                name = self.graph.data(name)[0]
            elif affine is not None and little and 0 <= (affine.offset or 0) <= EPSILON:
                name = affine.value
            else:
                return None
        return None

    def _same(self, item: str | None, other: str, depth: int = SHORT) -> bool:
        """Return whether both are the same value, or the same few operators applied to it twice."""
        if item is None or item == other:
            return item == other
        graph = self.graph
        if graph.kind(item) != graph.kind(other) or not graph.kind(item) or depth == 0:
            return False
        given, others = graph.given(item), graph.given(other)
        return len(given) == len(others) and all(
            first == second or self._equal(first, second, depth) for first, second in zip(given, others, strict=True)
        )

    def _equal(self, value: str, other: str, depth: int) -> bool:
        if value in self.graph.moving or other in self.graph.moving:
            return self._same(value, other, depth - 1)
        first, second = constant_of(self.graph, value), constant_of(self.graph, other)
        if isinstance(first, Tensor) and isinstance(second, Tensor):
            return torch.equal(first, second)
        return type(first) is type(second) and bool(first == second)

    def _lengths(self, name: str) -> bool:
        if self.graph.kind(name) == "sqrt":
            return self._root(self.graph.data(name)[0], "sum") is not None
        return self._root(name, *LENGTHS) is not None

    def _arithmetic(self, name: str, data: Sequence[str]) -> Meaning:
        affine = affine_of(self.graph, name)
        if affine is None:
            inner = [self.at(item) for item in data]
            kinds = [item.kind for item in inner]
            if self.graph.kind(name) in ("mul", "multiply") and "sigmoid" in kinds and set(kinds) != {"sigmoid"}:
                return inner[1 - kinds.index("sigmoid")]  # a gate, as in x * sigmoid(x)
            if set(kinds) <= {"softmax", "many softmaxes"}:
                return Meaning("many softmaxes", "an average")
            if set(kinds) <= {"sigmoid", "bounded", "softmax"}:
                return Meaning("bounded", self.graph.kind(name))
            kind: Kind = "logits" if set(kinds) == {"logits"} else "features"
            return Meaning(kind, self.graph.kind(name), name, plain=False)
        inner_meaning = self.at(affine.value)
        inside, scale, offset = inner_meaning.kind, affine.scale, affine.offset
        if inside == "logits":
            width = inner_meaning.width * abs(scale) if inner_meaning.width is not None and scale is not None else None
            if width is not None and width <= NARROW:  # relu6(x + 3) / 6
                return Meaning("bounded", "clamp", name)
            return replace(inner_meaning, scores=name, plain=False, width=width)
        if scale == 1 and offset is not None and abs(offset) <= EPSILON:
            return replace(inner_meaning, plain=False)
        if inside == "sigmoid" and (scale, offset) == (-1, 1):
            return replace(inner_meaning, sign=-inner_meaning.sign, plain=False)
        if inside in ("softmax", "log softmax", "sigmoid", "log sigmoid", "two shares", "shares"):
            return Meaning("scaled", inside)
        if inside in ("many softmaxes", "unit"):
            return replace(inner_meaning, plain=False)
        if inside == "bounded" and scale is not None and offset == 0 and abs(scale) >= 5:
            return Meaning("logits", self.graph.kind(name), name, plain=False)  # 30 * tanh(x / 30): logits kept small
        return replace(inner_meaning, scores=name, plain=False)

    def _pooled(self, inner: Meaning) -> Meaning:
        if inner.kind in ("softmax", "log softmax", "many softmaxes", "two shares"):
            return Meaning("many softmaxes", "an average")
        if inner.kind in ("sigmoid", "log sigmoid"):
            return Meaning("sigmoid", "sigmoid", plain=False)  # of what, is lost
        return replace(inner, plain=False)


def _is_name_only(kind: str) -> bool:
    return kind in ("ListConstruct", "TupleConstruct", "NumToTensor")


def affine_of(graph: Graph, name: str) -> ScaledValue | None:
    """Return the only variable value of a sum, difference, product or quotient, and the operation; else None."""
    kind = graph.kind(name)
    if kind in ("neg", "negative"):
        return ScaledValue(graph.data(name)[0], -1, 0)
    simple = {"true_divide": "div", "divide": "div", "multiply": "mul", "subtract": "sub"}
    kind = simple.get(kind, kind)
    if kind not in ("mul", "div", "add", "sub", "rsub") or len(graph.data(name)) != 1:
        return None
    given = graph.given(name)
    moves = given[0] in graph.moving
    number = number_of(graph, given[1 if moves else 0])
    alpha = number_of(graph, given[2]) if len(given) > 2 and kind in ("add", "sub", "rsub") else 1.0
    value = given[0 if moves else 1]
    if number is None or alpha is None:
        return ScaledValue(value, 1 if kind in ("add", "sub") and moves else None, None)
    match kind, moves:
        case "mul", _:
            return ScaledValue(value, number, 0)
        case "div", True:
            return ScaledValue(value, 1 / number, 0) if number else None
        case "add", True:
            return ScaledValue(value, 1, number * alpha)
        case "add", False:
            return ScaledValue(value, alpha, number)
        case "sub", True:
            return ScaledValue(value, 1, -number * alpha)
        case "sub", False:
            return ScaledValue(value, -alpha, number)
        case "rsub", True:
            return ScaledValue(value, -alpha, number)
    return None


def number_of(graph: Graph, name: str) -> float | None:
    """Return a constant that is a single number."""
    value = constant_of(graph, name)
    if isinstance(value, Tensor):
        return float(value) if value.numel() == 1 else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
