"""What layers of the first versions do to the shape [Seq, B, C, H, W] of their input; see ``layer_shapes``."""

from collections.abc import Sequence
from math import prod

from coreml_updatable.spec.messages import NeuralNetworkLayer

_Shape = tuple[int | None, ...]
_RANK = 5
_LSTMS = ("uniDirectionalLSTM", "biDirectionalLSTM")
RECURRENT = (*_LSTMS, "gru", "simpleRecurrent")


def reshaped(layer: NeuralNetworkLayer, shape: _Shape) -> _Shape | None:
    """``reshape``: three sizes [C, H, W], or four [Seq, C, H, W] around a batch that stays."""
    target = [int(size) for size in layer.reshape.targetShape]
    if len(shape) != _RANK or len(target) not in (3, 4):
        return None
    if len(target) == 3:
        return (*shape[:2], *inferred(target, shape[2:]))
    steps, *picture = inferred(target, (shape[0], *shape[2:]))
    return (steps, shape[1], *picture)


def inferred(target: Sequence[int], shape: _Shape | None) -> _Shape:
    """``target`` for a blob of ``shape``: its -1 worked out, or None where it cannot be known."""
    rest = prod(size for size in target if size != -1)
    known = [length for length in shape or (None,) if length is not None]
    fits = list(target).count(-1) == 1 and rest > 0 and len(known) == len(shape or (None,))
    missing = prod(known) // rest if fits and prod(known) % rest == 0 else None
    return tuple(missing if size == -1 else size for size in target)


def sliced(layer: NeuralNetworkLayer, shape: _Shape) -> _Shape | None:
    """``slice`` along C, H or W: the last three axes of any rank."""
    params = layer.slice
    if len(shape) < 3 or params.stride < 1 or params.axis > 2:
        return None
    axis = int(params.axis) - 3
    length = shape[axis]
    if length is None or length < 0:
        return None
    left = len(range(*slice(int(params.startIndex), int(params.endIndex), int(params.stride)).indices(length)))
    return tuple(left if at == axis % len(shape) else size for at, size in enumerate(shape))


def recurrent(layer: NeuralNetworkLayer, shape: _Shape) -> _Shape | None:
    """What a recurrent layer answers: every step, or the last one; its states are as ``recurrent_state`` says."""
    kind = str(layer.WhichOneof("layer"))
    params = getattr(layer, kind)
    if len(shape) != _RANK:
        return None
    whole = params.params.sequenceOutput if kind in _LSTMS else params.sequenceOutput
    width = int(params.outputVectorSize) * (2 if kind == "biDirectionalLSTM" else 1)
    return (shape[0] if whole else 1, shape[1], width, 1, 1)


def recurrent_state(layer: NeuralNetworkLayer, shape: _Shape) -> _Shape | None:
    """The last state, which stands in each output of a recurrent layer but the first."""
    params = getattr(layer, str(layer.WhichOneof("layer")))
    return (1, shape[1], int(params.outputVectorSize), 1, 1) if len(shape) == _RANK else None
