"""Every layer kind with an input too many or too few, and at the lowest rank that it takes and the one below."""

import pytest
import torch
from google.protobuf import text_format
from torch import Tensor

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.layer_kinds import wrong_counts
from coreml_updatable.spec.messages import NeuralNetwork_pb2
from tests.runtime.layers.test_fields_and_boundaries import CASES, FIVE, GAMMA, PAIRS, STATISTICS, WEIGHTS, floats, ran

X = torch.linspace(-1, 1, 240).reshape(2, 5, 4, 6)
INPUTS = {message: () if x is None else (x,) for message, x, _ in CASES} | {
    message: (a, b) for message, a, b, _ in PAIRS
}
THREE = {  # kinds that take three inputs or more
    "whereBroadcastable {}": (X, X, X),
    "scatter {}": (X, torch.tensor([0.0]), X[:1]),
    "scatterND {}": (X, torch.tensor([[0.0]]), X[:1]),
    "scatterAlongAxis {}": (X, torch.zeros(1, 5, 4, 6), X[:1]),
    "gatherND {}": (X, torch.tensor([[0.0]])),
    "reverseSeq { sequenceAxis: 1 }": (X, torch.tensor([1.0, 2.0])),
    "reshapeLike {}": (X, X.reshape(10, 24)),
    "broadcastToLike {}": (X[:1], X),
    "broadcastToDynamic {}": (X[:1], torch.tensor([2.0, 5, 4, 6])),
    "broadcastToStatic { targetShape: 2 targetShape: 5 targetShape: 4 targetShape: 6 }": (X[:1],),
    "cropResize { targetSize: 1 targetSize: 1 }": (X[:1, None], torch.zeros(1, 1, 4, 1, 1)),
    "fillDynamic {}": (torch.tensor([2.0]),),
    "whereNonZero {}": (X,),
    "getShape {}": (X,),
    "randomNormalLike {}": (X,),
    "randomNormalDynamic {}": (torch.tensor([2.0]),),
    "clampedReLU {}": (X,),
    "erf {}": (X,),
    "logicalNot {}": (X,),
    "softmax {}": (X,),
    "softmaxND {}": (X,),
}
EVERY = INPUTS | THREE


@pytest.mark.parametrize("message", EVERY, ids=[message[:60] for message in EVERY])
def test_the_number_of_inputs(message: str) -> None:
    """The numbers are those of Apple's validator, as tests/checking holds ``wrong_counts`` to it."""
    layer = text_format.Parse(message, NeuralNetwork_pb2.NeuralNetworkLayer())
    inputs = EVERY[message]
    ran(message, *inputs)
    for count in range(1, 9):
        given = (*inputs, *inputs[-1:] * 8)[:count]
        layer.input[:] = [f"x{index}" for index in range(count)]
        if not any("reads" in result for result, _ in wrong_counts(layer)) or not given:
            continue
        with pytest.raises(ModelError, match="layer 'it': "):
            ran(message, *given)


LEAST: list[tuple[str, int]] = [  # the comments of the format: "an input with rank at least ..."
    ("lrn { localSize: 1 }", 3),
    ("mvn {}", 3),
    ("l2normalize {}", 3),
    ("flatten {}", 3),
    ("padding {}", 3),
    ("pooling { same {} }", 3),
    ("softmax {}", 3),
    ("resizeBilinear {}", 3),
    ("upsample {}", 2),
    ("reorganizeData { blockSize: 2 mode: SPACE_TO_DEPTH }", 3),
    ("split { nOutputs: 1 }", 3),
    ("slice { endIndex: 1 stride: 1 }", 3),
    ("slice { endIndex: 1 stride: 1 axis: HEIGHT_AXIS }", 2),
    ("slice { endIndex: 1 stride: 1 axis: WIDTH_AXIS }", 1),
    ("reduce {}", 3),
    ("reduce { axis: HW }", 2),
    ("reduce { axis: C }", 3),
    ("reduce { axis: H }", 2),
    ("reduce { axis: W }", 1),
    ("crop { cropAmounts { borderAmounts {} borderAmounts {} } }", 3),
    ("matrixBandPart {}", 2),
    ("lowerTriangular {}", 2),
    ("upperTriangular {}", 2),
    ("permute { axis: 0 axis: 1 axis: 3 axis: 2 }", 3),
    ("permute { axis: 1 axis: 0 axis: 2 axis: 3 }", 5),
    ("sequenceRepeat {}", 5),
    ("scale { " + floats("scale", [2.0]) + " }", 3),
    ("scale { shapeScale: 5 " + floats("scale", FIVE) + " }", 3),
    ("bias { " + floats("bias", [2.0]) + " }", 3),
    (f"batchnorm {{ channels: 5 {GAMMA} {floats('beta', FIVE)} {STATISTICS} }}", 3),
    (f"convolution {{ outputChannels: 2 kernelChannels: 5 {WEIGHTS} same {{}} }}", 3),
    ("reshape { targetShape: 5 targetShape: 4 targetShape: 6 }", 3),
    ("activation { PReLU { " + floats("alpha", FIVE) + " } }", 3),
    ("activation { parametricSoftplus { " + floats("alpha", FIVE) + floats(" beta", FIVE) + " } }", 3),
]


@pytest.mark.parametrize(("message", "least"), LEAST, ids=[message[:60] for message, _ in LEAST])
def test_the_lowest_rank(message: str, least: int) -> None:
    for rank in range(least, 6):
        ran(message, _of_rank(rank))
    for rank in range(1, least):
        with pytest.raises(ModelError, match=f"layer 'it': .*rank {rank}"):
            ran(message, _of_rank(rank))


def _of_rank(rank: int) -> Tensor:
    return X[0].reshape(*(1,) * (rank - 3), *X.shape[1:]) if rank >= 3 else X[0][(0,) * (3 - rank)]


@pytest.mark.parametrize("kind", ["PReLU { %s }", "parametricSoftplus { %s beta { floatValue: 1 } }"])
def test_values_for_channels_never_add_any(kind: str) -> None:
    """Five values beside one channel, or four, are refused, and a single one leaves any shape as it is."""
    message = f"activation {{ {kind % floats('alpha', FIVE)} }}"
    for channels in (1, 4):
        with pytest.raises(ModelError, match=r"layer 'it': .*shape"):
            ran(message, X[:, :channels])
    for rank in range(1, 6):
        x = _of_rank(rank)
        (y,) = ran(f"activation {{ {kind % floats('alpha', [0.5])} }}", x)
        assert y.shape == x.shape
