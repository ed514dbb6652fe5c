"""The same values in another shape.

reshape: the same values in ``targetShape``, read and written channels first or channels last (as if C were after W). x
[Seq, B, C, H, W]. A ``targetShape`` of three sizes [C', H', W'] keeps the axes before them; one of four [Seq', C', H',
W'] keeps the batch. The format requires rank 5; three sizes also work for ranks 3 and 4. One size may be -1, as
onnx-coreml wrote it, and is inferred from the others.

reshapeStatic: the same values in ``targetShape``; one -1 is inferred.

reshapeLike: the same values in the shape of the second input.

reshapeDynamic: the same values in the shape that the second input, a blob [R], contains; one -1 is inferred.

rankPreservingReshape: the same values in ``targetShape``, which has the rank of the input; 0 keeps a size, one -1 is
inferred.

flatten: [..., C, H, W] -> [..., C H W, 1, 1], channels first or last.

flattenTo2D: merges the axes before ``axis`` into one, and the others into a second. x [A, B] (each any number of axes)
-> [product of A, product of B]. ``axis`` is between -rank and rank.

expandDims: adds axes of size 1 at the given positions of the output.

squeeze: removes the given axes of size 1, or all of them. At least one axis remains.
"""

from math import prod
from typing import Any

from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Formula, Function, function_of
from coreml_updatable.runtime.layers._shared.sizes import axis_of, integers
from coreml_updatable.spec.messages import NeuralNetworkLayer

CHANNEL_LAST = 1


def _reshape(params: Any, context: Context) -> Function:
    target = [int(size) for size in params.targetShape]
    last = params.mode == CHANNEL_LAST
    if len(target) not in (3, 4):
        raise context.misfit(f"targetShape has {len(target)} sizes, expected 3 or 4")
    if target.count(-1) > 1 or any(size < 1 and size != -1 for size in target):
        raise context.misfit(f"targetShape is {target}, expected sizes of at least 1, or one -1 among them")
    fixed = prod(size for size in target if size != -1)
    channels, height, width = target[-3:]

    def reshape(x: Tensor) -> Tensor:
        context.expect_rank(x, 3 if len(target) == 3 else 5)
        whole = len(target) == 4
        if whole:
            x = x.movedim(-5, -4)  # the batch before the sequence, which takes part
        lead = [*x.shape[:-4], target[0]] if whole else list(x.shape[:-3])
        ordered = x.movedim(-3, -1) if last else x
        count = prod(ordered.shape[-4 if whole else -3 :])
        if count % fixed if -1 in target else count != fixed:
            raise context.error(f"input has the shape {list(x.shape)}, which cannot become {target}")
        y = ordered.reshape([*lead, height, width, channels] if last else [*lead, channels, height, width])
        y = y.movedim(-1, -3) if last else y
        return y.movedim(-5, -4) if whole else y

    return Function(reshape)


def _reshape_static(params: Any, _context: Context, x: Tensor) -> Tensor:
    return x.reshape(list(params.targetShape))


def _reshape_like(_params: Any, _context: Context, x: Tensor, like: Tensor) -> Tensor:
    return x.reshape(like.shape)


def _reshape_dynamic(_params: Any, context: Context, x: Tensor, shape: Tensor) -> Tensor:
    return x.reshape(integers(shape, context))


def _reshape_rank_preserving(params: Any, context: Context, x: Tensor) -> Tensor:
    target = list(params.targetShape)
    if x.dim() != len(target):
        raise context.error(f"input has rank {x.dim()}, the layer expects {len(target)}")
    return x.reshape([size or kept for size, kept in zip(target, x.shape, strict=True)])


def _flatten(params: Any, context: Context, x: Tensor) -> Tensor:
    context.expect_rank(x, 3)
    ordered = x.movedim(-3, -1) if params.mode == CHANNEL_LAST else x
    return ordered.flatten(-3)[..., None, None]


def _flatten_to_2d(params: Any, context: Context, x: Tensor) -> Tensor:
    axis, rank = int(params.axis), x.dim()
    if not -rank <= axis <= rank:
        raise context.error(f"axis is {axis}, expected {-rank} to {rank} for an input of rank {rank}")
    axis = axis + rank if axis < 0 else axis
    return x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:]))


def _expand_dims(params: Any, context: Context, x: Tensor) -> Tensor:
    rank = x.dim() + len(params.axes)
    for axis in sorted(axis_of(int(axis), rank, context) for axis in params.axes):
        x = x.unsqueeze(axis)
    return x


def _squeeze(params: Any, context: Context, x: Tensor) -> Tensor:
    sizes = list(x.shape)
    dropped = [axis_of(int(axis), x.dim(), context) for axis in params.axes]
    if params.squeezeAll:
        dropped = [axis for axis, size in enumerate(sizes) if size == 1]
    for axis in dropped:
        if sizes[axis] != 1:
            raise context.error(f"axis {axis} of the input has the size {sizes[axis]}, but only size 1 can be removed")
    return x.reshape([size for axis, size in enumerate(sizes) if axis not in dropped] or [1])


FORMULAS: dict[str, Formula] = {
    "reshapeStatic": _reshape_static,
    "reshapeLike": _reshape_like,
    "reshapeDynamic": _reshape_dynamic,
    "rankPreservingReshape": _reshape_rank_preserving,
    "flatten": _flatten,
    "flattenTo2D": _flatten_to_2d,
    "expandDims": _expand_dims,
    "squeeze": _squeeze,
}


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return _reshape(layer.reshape, context) if context.kind == "reshape" else function_of(context, FORMULAS)
