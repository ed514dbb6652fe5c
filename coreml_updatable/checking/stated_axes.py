"""Axes and shapes of a layer, compared with the ranks that it states (``inputTensor``, ``outputTensor``)."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.messages import NeuralNetworkLayer

_Rule: TypeAlias = Callable[[NeuralNetworkLayer, list[int], list[int]], tuple[str, str] | None]
_ONE_AXIS = ("concatND", "softmaxND", "splitND", "flattenTo2D", "slidingWindows", "topK", "argMax", "argMin", "argSort")
_AXES = tuple(
    f"reduce{name}" for name in ("L1", "L2", "Max", "Min", "Sum", "Prod", "Mean", "LogSum", "SumSquare", "LogSumExp")
)
_OLD_REDUCTIONS = {0: 3, 1: 2}  # ReduceLayerParams: CHW, HW -> the rank that they need; the others need 1
_OLD_SLICES = {0: 3, 1: 2, 2: 1}  # SliceLayerParams: channel, height, width


def stated_axes(where: str, layer: NeuralNetworkLayer) -> Iterator[Finding]:
    """Yield what does not fit the ranks that ``layer`` states, if it states any."""
    read = [int(tensor.rank) for tensor in layer.inputTensor]
    written = [int(tensor.rank) for tensor in layer.outputTensor]
    kind = layer_kind(layer)
    problem = None
    if kind in _ONE_AXIS or kind in _AXES:
        problem = _axes(layer, read, written)
    elif kind in _RULES:
        problem = _RULES[kind](layer, read, written)
    if problem is not None:
        yield Finding(where, *problem, "correct the stated ranks, or clear them")


def _axes(layer: NeuralNetworkLayer, read: list[int], _: list[int]) -> tuple[str, str] | None:
    params = getattr(layer, layer_kind(layer))
    axes = list(params.axes) if layer_kind(layer) in _AXES else [params.axis]
    outside = [int(axis) for axis in axes if read and not -read[0] <= axis < read[0]]
    return (f"works along axis {outside[0]} of a blob of rank {read[0]}", "a valid axis") if outside else None


def _reverse(layer: NeuralNetworkLayer, read: list[int], _: list[int]) -> tuple[str, str] | None:
    given = len(layer.reverse.reverseDim)
    return (f"has {given} reverseDim at rank {read[0]}", "one per axis") if read and given != read[0] else None


def _stack(layer: NeuralNetworkLayer, read: list[int], _: list[int]) -> tuple[str, str] | None:
    if len(read) < 2:
        return None
    if read[0] != read[1]:
        return f"stacks ranks {read[0]} and {read[1]}", "equal ranks"
    axis = int(layer.stack.axis)
    inside = -(read[0] + 1) <= axis <= read[0]
    return None if inside else (f"stacks along axis {axis} at rank {read[0]}", "an axis of the result")


def _scatter(_: NeuralNetworkLayer, read: list[int], written: list[int]) -> tuple[str, str] | None:
    if len(read) == 3 and not (read[0] == read[2] and read[1] == 1):
        return f"scatters ranks {read}", "container and updates of equal rank, and indices of rank 1"
    if len(read) == 3 and written and written[0] != read[0]:
        return f"turns rank {read[0]} into {written[0]}", "the same rank"
    return None


def _matmul(_: NeuralNetworkLayer, read: list[int], written: list[int]) -> tuple[str, str] | None:
    if len(written) != 1 or len(read) not in (1, 2):
        return None
    expected = read[0] if len(read) == 1 else max(2, *read)
    return None if written[0] == expected else (f"turns ranks {read} into {written[0]}", f"{expected}")


def _range(_: NeuralNetworkLayer, __: list[int], written: list[int]) -> tuple[str, str] | None:
    return (f"writes rank {written[0]}", "1") if written and written[0] != 1 else None


def _expand(layer: NeuralNetworkLayer, read: list[int], written: list[int]) -> tuple[str, str] | None:
    if not read or not written:
        return None
    axes = [int(axis) for axis in layer.expandDims.axes]
    return _moved(axes, written[0], f"turns rank {read[0]} into {written[0]}", read[0] + len(axes) == written[0])


def _squeezed(layer: NeuralNetworkLayer, read: list[int], written: list[int]) -> tuple[str, str] | None:
    if not read or not written or layer.squeeze.squeezeAll:
        return None
    axes = [int(axis) for axis in layer.squeeze.axes]
    fits = read[0] == 1 or written[0] + len(axes) == read[0]
    return _moved(axes, read[0], f"turns rank {read[0]} into {written[0]}", fits)


def _moved(axes: list[int], rank: int, turns: str, fits: bool) -> tuple[str, str] | None:
    """``axes`` are different axes of the larger ``rank``."""
    if not fits:
        return f"{turns} by the axes {axes}", "one axis for each length between them"
    places = [axis + rank if axis < 0 else axis for axis in axes]
    if len(set(places)) != len(places) or any(not 0 <= axis < rank for axis in places):
        return f"has the axes {axes} at rank {rank}", "valid axes, each once"
    return None


def _kept(layer: NeuralNetworkLayer, read: list[int], written: list[int]) -> tuple[str, str] | None:
    lengths = len(layer.rankPreservingReshape.targetShape)
    if not read or not written:
        return "states no ranks", "those of its input and output"
    if not read[0] == written[0] == lengths:
        return f"turns rank {read[0]} into {written[0]} by {lengths} lengths", "the same rank, and one length per axis"
    return None


def _single(layer: NeuralNetworkLayer, _: list[int], __: list[int]) -> tuple[str, str] | None:
    long = [int(n) for tensor in layer.inputTensor[:1] for n in tensor.dimValue if n > 1]
    return (f"reads a condition of length {long[0]}", "one number") if long else None


def _old_reduction(layer: NeuralNetworkLayer, read: list[int], written: list[int]) -> tuple[str, str] | None:
    return _old(read, written, _OLD_REDUCTIONS.get(layer.reduce.axis, 1 if layer.reduce.axis in (2, 3, 4) else 0))


def _old_slice(layer: NeuralNetworkLayer, read: list[int], written: list[int]) -> tuple[str, str] | None:
    if read and layer.slice.axis not in _OLD_SLICES:
        return f"slices along axis {layer.slice.axis}", "0 to 2"
    return _old(read, written, _OLD_SLICES.get(layer.slice.axis, 0))


def _old(read: list[int], written: list[int], least: int) -> tuple[str, str] | None:
    if not read:
        return None
    if written and read[0] != written[0]:
        return f"turns rank {read[0]} into {written[0]}", "the same rank"
    return (f"works along an axis that rank {read[0]} does not have", f"at least {least}") if read[0] < least else None


_RULES: dict[str, _Rule] = {
    "reverse": _reverse,
    "stack": _stack,
    "scatter": _scatter,
    "batchedMatmul": _matmul,
    "rangeStatic": _range,
    "rangeDynamic": _range,
    "expandDims": _expand,
    "squeeze": _squeezed,
    "rankPreservingReshape": _kept,
    "branch": _single,
    "loop": _single,
    "reduce": _old_reduction,
    "slice": _old_slice,
}
