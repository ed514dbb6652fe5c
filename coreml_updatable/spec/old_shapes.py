"""What layers of the first versions do to the shape [Seq, B, C, H, W] of their input; see ``layer_shapes``."""

from coreml_updatable.spec.messages import NeuralNetworkLayer

_Shape = tuple[int | None, ...]
_RANK = 5


def reshaped(layer: NeuralNetworkLayer, shape: _Shape) -> _Shape | None:
    """``reshape``: three sizes [C, H, W], or four [Seq, C, H, W] around a batch that stays."""
    target = [int(size) for size in layer.reshape.targetShape]
    if len(shape) != _RANK or len(target) not in (3, 4):
        return None
    return (*shape[:2], *target) if len(target) == 3 else (target[0], shape[1], *target[1:])


def sliced(layer: NeuralNetworkLayer, shape: _Shape) -> _Shape | None:
    """``slice`` along C, H or W: the last three axes of any rank."""
    params = layer.slice
    if len(shape) < 3 or params.stride < 1 or params.axis > 2:
        return None
    axis = int(params.axis) - 3
    length = shape[axis]
    if length is None:
        return None
    left = len(range(*slice(int(params.startIndex), int(params.endIndex), int(params.stride)).indices(length)))
    return tuple(left if at == axis % len(shape) else size for at, size in enumerate(shape))


def recurrent(layer: NeuralNetworkLayer, shape: _Shape) -> _Shape | None:
    """``uniDirectionalLSTM`` where all its outputs are alike: every step's, or the last one's, and the states."""
    params = layer.uniDirectionalLSTM
    steps = shape[0] if params.params.sequenceOutput else 1
    if len(shape) != _RANK or (steps != 1 and len(layer.output) > 1):
        return None
    return (steps, shape[1], int(params.outputVectorSize), 1, 1)
