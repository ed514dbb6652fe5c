"""Every layer kind with its fields unset, and at the values where its formula changes.

A case is a layer's message in text, its inputs, and what the comments of the format, or torch and NumPy, say of it.
Layers are built from messages rather than by coremltools' builder, which sets every field.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from torch import Tensor
from torch.nn import functional

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.engine.program import build_steps, run_step
from coreml_updatable.spec.messages import NeuralNetwork_pb2

Expected = Callable[..., Tensor]


def ran(message: str, *inputs: Tensor, outputs: int = 1) -> tuple[Tensor, ...]:
    """What the layer whose message has this text makes of ``inputs``."""
    layer = NeuralNetwork_pb2.NeuralNetworkLayer()
    text_format.Parse(message, layer)
    layer.name = "it"
    layer.input[:] = [f"x{index}" for index in range(len(inputs))]
    layer.output[:] = [f"y{index}" for index in range(outputs)]
    (step,) = build_steps([layer])
    blobs = dict(zip(layer.input, inputs, strict=True))
    with torch.no_grad():
        run_step(step, blobs)
    return tuple(blobs[name] for name in layer.output)


def random(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32))


def floats(field: str, values: Sequence[float]) -> str:
    return f"{field} {{ {' '.join(f'floatValue: {value}' for value in values)} }}"


X = random(2, 5, 4, 6)  # [N, C, H, W]
TWO = random(2, 2, 4, 6)
SMALL = X * 1e-3  # epsilons count
POSITIVE = X.abs() + 0.1
EDGES = torch.tensor([-2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0])
KERNEL = random(2, 5, 3, 3)
WEIGHTS = floats("weights", KERNEL.ravel().tolist())
FIVE = [1.0, 2.0, 0.5, -1.0, 3.0]
GAMMA, BETA = floats("gamma", FIVE), floats("beta", FIVE[::-1])
MEAN, VARIANCE = [0.1, -0.2, 0.3, 0.0, 1.0], [1e-4, 1e-6, 0.0, 1e-5, 1.0]
STATISTICS = floats("mean", MEAN) + floats("variance", VARIANCE)


def lrn(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """torch divides alpha by the window's size too, and pads as Caffe does."""
    return functional.local_response_norm(x, size, alpha, beta, k)


def norm(x: Tensor, axes: tuple[int, ...], epsilon: float, divide: bool = True) -> Tensor:
    centered = x - x.mean(axes, keepdim=True)
    return centered / (x.var(axes, correction=0, keepdim=True) + epsilon).sqrt() if divide else centered


def batchnorm(x: Tensor, epsilon: float) -> Tensor:
    statistics = (torch.tensor(MEAN), torch.tensor(VARIANCE), torch.tensor(FIVE), torch.tensor(FIVE[::-1]))
    return functional.batch_norm(x, *statistics, eps=epsilon)


# fmt: off
CASES: list[tuple[str, Tensor | None, Expected]] = [
    # Normalizations, whose epsilons and factors have defaults where they are unset or 0.
    ("lrn { localSize: 3 alpha: 2 beta: 0.75 }", X, lambda x: lrn(x, 3, 2, 0.75, 1)),
    ("lrn { localSize: 3 alpha: 2 beta: 0.75 k: 0 }", X, lambda x: lrn(x, 3, 2, 0.75, 1)),
    ("lrn { localSize: 3 alpha: 2 beta: 0.75 k: 2.5 }", X, lambda x: lrn(x, 3, 2, 0.75, 2.5)),
    ("lrn { localSize: 1 alpha: 2 beta: 0.75 }", X, lambda x: lrn(x, 1, 2, 0.75, 1)),
    ("lrn { localSize: 5 alpha: 1 beta: 0.5 }", X, lambda x: lrn(x, 5, 1, 0.5, 1)),
    ("lrn { localSize: 2 alpha: 1 beta: 0.5 }", X, lambda x: lrn(x, 2, 1, 0.5, 1)),
    ("lrn { localSize: 3 }", X, lambda x: x),  # beta 0
    ("lrn { localSize: 3 beta: 2 k: 2 }", X, lambda x: x / 4),  # alpha 0
    ("mvn {}", SMALL, lambda x: norm(x, (-2, -1), 0, divide=False)),
    ("mvn { normalizeVariance: true }", SMALL, lambda x: norm(x, (-2, -1), 1e-6)),
    ("mvn { normalizeVariance: true epsilon: 0 acrossChannels: true }", SMALL, lambda x: norm(x, (-3, -2, -1), 1e-6)),
    ("mvn { normalizeVariance: true epsilon: 1e-3 }", SMALL, lambda x: norm(x, (-2, -1), 1e-3)),
    ("mvn { normalizeVariance: true epsilon: 1e-3 }", X[0], lambda x: norm(x, (-2, -1), 1e-3)),  # rank 3, the lowest
    (f"batchnorm {{ channels: 5 {GAMMA} {BETA} {STATISTICS} }}", SMALL, lambda x: batchnorm(x, 1e-5)),
    (f"batchnorm {{ channels: 5 {GAMMA} {BETA} {STATISTICS} epsilon: 1e-3 }}", SMALL, lambda x: batchnorm(x, 1e-3)),
    (f"batchnorm {{ channels: 5 {GAMMA} {BETA} {STATISTICS} }}", X[0], lambda x: batchnorm(x[None], 1e-5)[0]),
    (
        f"batchnorm {{ channels: 5 {GAMMA} {BETA} computeMeanVar: true instanceNormalization: true }}", SMALL,
        lambda x: functional.instance_norm(x, weight=torch.tensor(FIVE), bias=torch.tensor(FIVE[::-1]), eps=1e-5),
    ),
    (
        f"batchnorm {{ channels: 5 {GAMMA} {BETA} computeMeanVar: true }}", SMALL,
        lambda x: functional.batch_norm(
            x, None, None, torch.tensor(FIVE), torch.tensor(FIVE[::-1]), training=True, eps=1e-5
        ),
    ),
    ("l2normalize {}", SMALL, lambda x: x / (x.square().sum((-3, -2, -1), keepdim=True) + 1e-6).sqrt()),
    ("l2normalize { epsilon: 1e-2 }", SMALL, lambda x: x / (x.square().sum((-3, -2, -1), keepdim=True) + 1e-2).sqrt()),
    ("l2normalize {}", X[0], lambda x: x / x.norm()),
    (
        f"layerNormalization {{ normalizedShape: 6 {floats('gamma', range(6))} {floats('beta', range(6, 0, -1))} }}", X,
        lambda x: functional.layer_norm(x, [6], torch.arange(6.0), torch.arange(6.0, 0, -1), 0.0),
    ),
    # Elementwise functions: what is unset, and where two branches meet.
    ("unary { type: SQRT }", POSITIVE, torch.sqrt),
    ("unary { type: RSQRT }", torch.tensor([1e-6, 1.0, 4.0]), lambda x: torch.rsqrt(x + 1e-6)),
    ("unary { type: RSQRT epsilon: 0.5 }", torch.tensor([0.0, 1.0]), lambda x: torch.rsqrt(x + 0.5)),
    ("unary { type: INVERSE }", torch.tensor([0.0, 1e-6, 2.0]), lambda x: 1 / (x + 1e-6)),
    ("unary { type: INVERSE epsilon: 1 }", torch.tensor([0.0, 1.0]), lambda x: 1 / (x + 1)),
    ("unary { type: POWER }", POSITIVE, torch.ones_like),  # alpha 0
    ("unary { type: POWER alpha: 3 scale: 0 shift: 2 }", X, lambda x: (x + 2) ** 3),  # scale 0 is 1
    ("unary { type: EXP scale: 2 }", X, lambda x: torch.exp(2 * x)),
    ("unary { type: EXP shift: 0.5 }", X, lambda x: torch.exp(x + 0.5)),
    ("unary { type: EXP scale: 1 shift: 1 }", X, lambda x: torch.exp(x + 1)),
    ("unary { type: EXP }", X, torch.exp),
    ("unary { type: LOG scale: 2 shift: 1 }", POSITIVE, lambda x: torch.log(2 * x + 1)),
    ("unary { type: ABS }", EDGES, torch.abs),
    ("unary { type: THRESHOLD alpha: 0.5 }", EDGES, lambda x: torch.clamp(x, min=0.5)),
    ("unary { type: THRESHOLD }", EDGES, functional.relu),
    ("activation { linear {} }", EDGES, lambda x: 0 * x),
    ("activation { linear { alpha: 2 beta: 1 } }", EDGES, lambda x: 2 * x + 1),
    ("activation { leakyReLU {} }", EDGES, functional.relu),
    ("activation { leakyReLU { alpha: 0.3 } }", EDGES, lambda x: functional.leaky_relu(x, 0.3)),
    ("activation { thresholdedReLU {} }", EDGES, functional.relu),
    ("activation { thresholdedReLU { alpha: 0.5 } }", EDGES, lambda x: torch.where(x < 0.5, 0.0, x)),
    ("activation { thresholdedReLU { alpha: -1 } }", EDGES, lambda x: torch.where(x < -1, 0.0, x)),
    ("activation { scaledTanh {} }", EDGES, lambda x: 0 * x),
    ("activation { scaledTanh { alpha: 2 beta: 0.5 } }", EDGES, lambda x: 2 * torch.tanh(0.5 * x)),
    ("activation { sigmoidHard {} }", EDGES, lambda x: 0 * x),
    ("activation { sigmoidHard { alpha: 0.5 beta: 0.5 } }", EDGES, lambda x: (0.5 * x + 0.5).clamp(0, 1)),
    ("activation { ELU {} }", EDGES, functional.relu),
    ("activation { ELU { alpha: 0.7 } }", EDGES * 20, lambda x: functional.elu(x, 0.7)),
    ("activation { softsign {} }", EDGES, functional.softsign),
    ("activation { softplus {} }", EDGES * 20, functional.softplus),
    (f"activation {{ PReLU {{ {floats('alpha', [0.25])} }} }}", X, lambda x: functional.leaky_relu(x, 0.25)),
    (f"activation {{ PReLU {{ {floats('alpha', FIVE)} }} }}", X, lambda x: functional.prelu(x, torch.tensor(FIVE))),
    (
        f"activation {{ parametricSoftplus {{ {floats('alpha', FIVE)} {floats('beta', [2.0])} }} }}", X,
        lambda x: torch.tensor(FIVE)[:, None, None] * functional.softplus(2 * x),
    ),
    ("clampedReLU {}", EDGES, lambda x: 0 * x),
    ("clampedReLU { alpha: 0.5 beta: 1 }", EDGES, lambda x: functional.leaky_relu(x, 0.5).clamp(max=1)),
    ("clampedReLU { alpha: -2 beta: 3 }", EDGES, lambda x: torch.where(x >= 0, x, -2 * x).clamp(max=3)),
    ("clip { minVal: -1 maxVal: 1 }", EDGES, lambda x: x.clamp(-1, 1)),
    ("clip {}", EDGES, lambda x: 0 * x),
    ("gelu {}", EDGES, functional.gelu),
    ("gelu { mode: TANH_APPROXIMATION }", EDGES, lambda x: functional.gelu(x, approximate="tanh")),
    ("gelu { mode: SIGMOID_APPROXIMATION }", EDGES, lambda x: x / (1 + torch.exp(-1.702 * x))),
    ("round {}", torch.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4999]),
     lambda x: torch.from_numpy(np.rint(x.numpy()))),
    ("sign {}", EDGES, lambda x: torch.from_numpy(np.sign(x.numpy()))),
    ("ceil {}", EDGES * 0.75, lambda x: torch.from_numpy(np.ceil(x.numpy()))),
    ("floor {}", EDGES * 0.75, lambda x: torch.from_numpy(np.floor(x.numpy()))),
    ("equal { alpha: 0.5 }", EDGES, lambda x: (x == 0.5).float()),
    ("notEqual { alpha: 0.5 }", EDGES, lambda x: (x != 0.5).float()),
    ("lessThan { alpha: 0.5 }", EDGES, lambda x: (x < 0.5).float()),
    ("lessEqual { alpha: 0.5 }", EDGES, lambda x: (x <= 0.5).float()),
    ("greaterThan { alpha: 0.5 }", EDGES, lambda x: (x > 0.5).float()),
    ("greaterEqual { alpha: 0.5 }", EDGES, lambda x: (x >= 0.5).float()),
    ("greaterEqual {}", EDGES, lambda x: (x >= 0).float()),
    ("add { alpha: 0.5 }", X, lambda x: x + 0.5),
    ("add {}", X, lambda x: x),
    ("multiply { alpha: 2 }", X, lambda x: 2 * x),
    ("multiply {}", X, lambda x: 0 * x),
    ("logicalNot {}", torch.tensor([0.0, 1.0, 2.0, -1.0]), lambda x: (x == 0).float()),
    # Windows: kernels [3, 3], strides and dilations [1, 1], one group.
    (
        f"convolution {{ outputChannels: 2 kernelChannels: 5 {WEIGHTS} valid {{}} }}", X,
        lambda x: functional.conv2d(x, KERNEL),
    ),
    (
        f"convolution {{ outputChannels: 2 kernelChannels: 5 nGroups: 0 {WEIGHTS} same {{}} }}", X,
        lambda x: functional.conv2d(x, KERNEL, padding=1),
    ),
    (
        f"convolution {{ outputChannels: 2 kernelChannels: 5 {WEIGHTS} same {{}} stride: 2 stride: 2 }}", X,
        lambda x: functional.conv2d(functional.pad(x, (0, 1, 0, 1)), KERNEL, stride=2),  # the odd pixel bottom, right
    ),
    (
        f"convolution {{ outputChannels: 2 kernelChannels: 5 {WEIGHTS} stride: 2 stride: 2 "
        "same { asymmetryMode: TOP_LEFT_HEAVY } }", X,
        lambda x: functional.conv2d(functional.pad(x, (1, 0, 1, 0)), KERNEL, stride=2),
    ),
    (
        f"convolution {{ isDeconvolution: true outputChannels: 5 kernelChannels: 2 {WEIGHTS} valid {{}} }}", TWO,
        lambda x: functional.conv_transpose2d(x, KERNEL),
    ),
    (
        f"convolution {{ isDeconvolution: true outputChannels: 5 kernelChannels: 2 {WEIGHTS} same {{}} "
        "stride: 2 stride: 1 }", TWO,  # to [8, 6], of [9, 8]: the odd pixel goes at the bottom
        lambda x: functional.conv_transpose2d(x, KERNEL, stride=(2, 1))[..., :-1, 1:-1],
    ),
    (
        f"convolution {{ isDeconvolution: true outputChannels: 5 kernelChannels: 2 {WEIGHTS} "
        "same { asymmetryMode: TOP_LEFT_HEAVY } stride: 2 stride: 1 }", TWO,
        lambda x: functional.conv_transpose2d(x, KERNEL, stride=(2, 1))[..., 1:, 1:-1],
    ),
    (
        f"convolution {{ isDeconvolution: true outputChannels: 5 kernelChannels: 2 {WEIGHTS} valid {{}} "
        "stride: 1 stride: 2 outputShape: 4 outputShape: 12 }", TWO,
        lambda x: functional.conv_transpose2d(x, KERNEL, stride=(1, 2))[..., 1:-1, :-1],
    ),
    ("pooling { valid {} }", X, lambda x: functional.max_pool2d(x, 3, 1)),
    ("pooling { type: AVERAGE valid {} }", X, lambda x: functional.avg_pool2d(x, 3, 1)),
    ("pooling { type: L2 valid {} }", X, lambda x: functional.lp_pool2d(x, 2, 3, 1)),
    ("pooling { valid {} }", X[0], lambda x: functional.max_pool2d(x, 3, 1)),
    ("pooling { type: AVERAGE same {} }", X, lambda x: functional.avg_pool2d(x, 3, 1, 1)),
    (
        "pooling { type: AVERAGE same {} avgPoolExcludePadding: true }", X,
        lambda x: functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    ),
    ("pooling { globalPooling: true }", X, lambda x: x.amax((-2, -1), keepdim=True)),
    ("pooling { globalPooling: true type: AVERAGE }", X, lambda x: x.mean((-2, -1), keepdim=True)),
    ("pooling { globalPooling: true type: L2 }", X, lambda x: x.norm(dim=(-2, -1), keepdim=True)),
    ("padding {}", X, lambda x: x),
    (
        "padding { paddingAmounts { borderAmounts { startEdgeSize: 1 } borderAmounts { endEdgeSize: 2 } } }", X,
        lambda x: functional.pad(x, (0, 2, 1, 0)),
    ),
    ("padding { paddingAmounts { borderAmounts { startEdgeSize: 65536 } borderAmounts {} } }", X[:1, :1, :1, :1],
     lambda x: functional.pad(x, (0, 0, 65536, 0))),  # the widest border
    ("resizeBilinear { targetSize: 32768 targetSize: 1 }", X[:1, :1, :1, :1], lambda x: x.expand(1, 1, 32768, 1)),
    ("upsample { scalingFactor: 1024 scalingFactor: 1 }", X[:1, :1, :1, :1], lambda x: x.expand(1, 1, 1024, 1)),
    ("upsample {}", X, lambda x: x),
    ("upsample { mode: BILINEAR }", X, lambda x: x),
    ("upsample { scalingFactor: 2 scalingFactor: 3 }", X, lambda x: functional.interpolate(x, scale_factor=(2.0, 3.0))),
    ("resizeBilinear {}", X, lambda x: x[..., :1, :1]),
    # Reductions.
    ("reduce {}", X, lambda x: x.sum((-3, -2, -1), keepdim=True)),
    ("reduce { mode: AVG axis: C }", X, lambda x: x.mean(-3, keepdim=True)),
    ("reduce { mode: LOGSUM axis: W }", POSITIVE * 1e-5, lambda x: (x + 1e-6).log().sum(-1, keepdim=True)),
    ("reduce { mode: LOGSUM axis: W epsilon: 0.5 }", POSITIVE, lambda x: (x + 0.5).log().sum(-1, keepdim=True)),
    ("reduce { mode: ARGMAX axis: H }", torch.zeros(2, 3, 4, 5), lambda x: x[..., :1, :]),
    ("reduce { mode: PROD axis: HW }", X[0], lambda x: x.prod(-1, keepdim=True).prod(-2, keepdim=True)),
    ("reduceMean {}", X, lambda x: x.mean().reshape(1)),
    ("reduceMean { keepDims: true }", X, lambda x: x.mean((0, 1, 2, 3), keepdim=True)),
    ("reduceSum { axes: -1 }", X, lambda x: x.sum(-1)),
    ("reduceSum { axes: 0 reduceAll: true }", X, lambda x: x.sum().reshape(1)),
    ("reduceProd { axes: 0 axes: 2 }", X, lambda x: x.prod(2).prod(0)),
    ("argMax {}", X, lambda x: x.argmax(0, keepdim=True).float()),
    ("argMax { axis: -1 removeDim: true }", X, lambda x: x.argmax(-1).float()),
    ("argMin {}", torch.zeros(3, 2), lambda x: x[:1]),
    ("argSort {}", X, lambda x: x.argsort(0).float()),
    ("argSort { axis: 1 descending: true }", X, lambda x: x.argsort(1, descending=True).float()),
    ("cumSum {}", X, lambda x: x.cumsum(0)),
    ("cumSum { axis: 1 excludeFinalSum: true }", X, lambda x: x.cumsum(1) - x),
    ("cumSum { axis: 1 reverse: true }", X, lambda x: x.flip(1).cumsum(1).flip(1)),
    # Bands, by the diagonals that are kept.
    ("lowerTriangular {}", X, torch.tril),
    ("lowerTriangular { k: 1 }", X, lambda x: torch.tril(x, 1)),
    ("lowerTriangular { k: -1 }", X, lambda x: torch.tril(x, -1)),
    ("upperTriangular {}", X, torch.triu),
    ("upperTriangular { k: -1 }", X, lambda x: torch.triu(x, -1)),
    ("matrixBandPart {}", X, lambda x: torch.triu(torch.tril(x))),
    ("matrixBandPart { numLower: -1 numUpper: 1 }", X, lambda x: torch.tril(x, 1)),
    ("matrixBandPart { numLower: 1 numUpper: -1 }", X, lambda x: torch.triu(x, -1)),
    # Arranging.
    ("flatten {}", X, lambda x: x.reshape(2, -1, 1, 1)),
    ("flatten { mode: CHANNEL_LAST }", X, lambda x: x.permute(0, 2, 3, 1).reshape(2, -1, 1, 1)),
    ("flattenTo2D {}", X, lambda x: x.reshape(1, -1)),
    ("flattenTo2D { axis: 4 }", X, lambda x: x.reshape(-1, 1)),
    ("flattenTo2D { axis: -1 }", X, lambda x: x.reshape(-1, 6)),
    ("squeeze { squeezeAll: true }", torch.ones(1, 1), lambda x: x.reshape(1)),
    ("squeeze { axes: 0 axes: -1 }", torch.ones(1, 3, 1), lambda x: x.reshape(3)),
    ("expandDims { axes: 0 axes: -1 }", X, lambda x: x[None, ..., None]),
    ("sequenceRepeat {}", X[None], lambda x: x),
    ("sequenceRepeat { nRepetitions: 2 }", X[None], lambda x: torch.cat([x, x])),
    ("tile { reps: 1 reps: 2 reps: 1 reps: 1 }", X, lambda x: x.tile(1, 2, 1, 1)),
    ("reverse { reverseDim: true reverseDim: false reverseDim: false reverseDim: true }", X, lambda x: x.flip(0, 3)),
    ("slice { endIndex: 3 stride: 1 }", X, lambda x: x[:, :3]),
    ("slice { startIndex: 1 endIndex: -1 stride: 2 axis: WIDTH_AXIS }", X, lambda x: x[..., 1:-1:2]),
    ("slidingWindows { axis: 1 windowSize: 2 step: 1 }", X, lambda x: x.unfold(1, 2, 1).movedim(-1, 2)),
    ("slidingWindows { axis: 1 windowSize: 2 }", X, lambda x: x.unfold(1, 2, 1).movedim(-1, 2)),
    ("slidingWindows { axis: -1 windowSize: 6 step: 5 }", X, lambda x: x[..., None, :]),
    ("rangeStatic { endValue: 2.5 stepSizeValue: 0.5 }", None, lambda: torch.arange(0, 2.5, 0.5)),
    ("rangeStatic { startValue: 3 endValue: -1 stepSizeValue: -2 }", None, lambda: torch.tensor([3.0, 1.0])),
    ("oneHot { oneHotVectorSize: 3 onValue: 1 axis: -1 }", torch.tensor([0.0, 2.0, 3.0, -1.0]),
     lambda _: torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]])),
    ("oneHot { oneHotVectorSize: 2 offValue: 5 }", torch.tensor([0.0, 1.0]), lambda _: 5 - 5 * torch.eye(2)),
    ("constantPad { padAmounts: 1 padAmounts: 0 padAmounts: 0 padAmounts: 2 }", random(2, 3),
     lambda x: functional.pad(x, (0, 2, 1, 0))),
    ("constantPad { padToGivenOutputSizeMode: true value: 7 padAmounts: 3 padAmounts: 0 padAmounts: 0 padAmounts: 3 }",
     random(2, 3), lambda x: functional.pad(x, (0, 0, 1, 0), value=7)),
    ("fillLike {}", X, torch.zeros_like),
    ("fillStatic { value: 2 targetShape: 1 targetShape: 3 }", None, lambda: torch.full((1, 3), 2.0)),
    ("scale { " + floats("scale", [2.0]) + " }", X, lambda x: 2 * x),
    ("scale { " + floats("scale", [2.0]) + " hasBias: true " + floats("bias", FIVE) + " shapeBias: 5 }", X,
     lambda x: 2 * x + torch.tensor(FIVE)[:, None, None]),
    ("bias { " + floats("bias", [0.5]) + " }", X, lambda x: x + 0.5),
    ("transpose { axes: 3 axes: 1 axes: 0 axes: 2 }", X, lambda x: x.permute(3, 1, 0, 2)),
    ("split { nOutputs: 1 }", X, lambda x: x),
]
# fmt: on


@pytest.mark.parametrize(("message", "x", "expected"), CASES, ids=[message[:70] for message, *_ in CASES])
def test_fields_unset_and_at_a_boundary(message: str, x: Tensor | None, expected: Expected) -> None:
    inputs = () if x is None else (x,)
    (actual,) = ran(message, *inputs)
    wanted = expected(*inputs)
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, wanted.to(torch.float32), rtol=2e-5, atol=2e-6)


PAIRS: list[tuple[str, Tensor, Tensor, Expected]] = [
    ("dot {}", random(2, 4, 1, 1), random(1, 4, 1, 1), lambda a, b: (a * b).sum(-3, keepdim=True)),
    (
        "dot { cosineSimilarity: true }",
        random(2, 4, 1, 1),
        random(1, 4, 1, 1),
        lambda a, b: functional.cosine_similarity(a, b, 1)[:, None],
    ),
    ("dot { cosineSimilarity: true }", torch.zeros(1, 4, 1, 1), random(1, 4, 1, 1), lambda a, _: a[:, :1]),
    ("batchedMatmul {}", random(3, 4), random(4, 2), torch.matmul),
    ("batchedMatmul { transposeA: true }", random(4, 3), random(4, 2), lambda a, b: a.T @ b),
    ("batchedMatmul { transposeB: true }", random(3, 4), random(2, 4), lambda a, b: a @ b.T),
    ("gather {}", X, torch.tensor([1.0, 0.0, -1.0]), lambda x, _: x[[1, 0, -1]]),
    ("gather { axis: -1 }", X, torch.tensor([5.0, -6.0]), lambda x, _: x[..., [5, 0]]),
    ("gatherAlongAxis {}", random(3, 2), torch.tensor([[2.0, -1.0]]), lambda x, _: x[[2, 2], [0, 1]][None]),
    ("sliceBySize { size: 2 axis: 1 }", X, torch.tensor([3.0]), lambda x, _: x[:, 3:5]),
    ("modBroadcastable {}", EDGES, torch.tensor([0.75]), lambda a, _: torch.from_numpy(np.mod(a.numpy(), 0.75))),
    (
        "floorDivBroadcastable {}",
        EDGES,
        torch.tensor([0.75]),
        lambda a, _: torch.from_numpy(np.floor_divide(a.numpy(), 0.75)),
    ),
    (
        "logicalXor {}",
        torch.tensor([0.0, 0, 1, 2]),
        torch.tensor([0.0, 1, 0, 3]),
        lambda *_: torch.tensor([0.0, 1, 1, 0]),
    ),
    ("oneHot { onValue: 2 }", torch.tensor([1.0]), torch.tensor([2.0]), lambda *_: torch.tensor([[0.0], [2.0]])),
    (
        "rangeDynamic { stepSizeValue: 2 }",
        torch.tensor([5.0]),
        torch.tensor([1.0]),
        lambda *_: torch.tensor([1.0, 3.0]),
    ),
]


@pytest.mark.parametrize(("message", "a", "b", "expected"), PAIRS, ids=[row[0] for row in PAIRS])
def test_two_inputs(message: str, a: Tensor, b: Tensor, expected: Expected) -> None:
    (actual,) = ran(message, a, b)
    torch.testing.assert_close(actual, expected(a, b).to(torch.float32), rtol=2e-5, atol=2e-6)


def test_top_k_at_its_ends() -> None:
    x = random(3, 4)
    for message, count, largest in (
        ("topK { K: 1 }", 1, True),
        ("topK { K: 3 }", 3, True),
        ("topK { K: 3 useBottomK: true }", 3, False),
    ):
        values, places = ran(message, x, outputs=2)
        wanted = torch.topk(x, count, 0, largest=largest)
        torch.testing.assert_close(values, wanted.values)
        torch.testing.assert_close(places, wanted.indices.float())


REFUSED: list[tuple[str, tuple[Tensor, ...], str]] = [
    ("lrn {}", (X,), "localSize is 0, expected at least 1"),
    ("lrn { localSize: 1 }", (torch.ones(2, 2),), "rank 2, the layer expects at least 3"),
    ("mvn {}", (torch.ones(2, 2),), "rank 2"),
    ("l2normalize {}", (torch.ones(2, 2),), "rank 2"),
    ("flatten {}", (torch.ones(2, 2),), "rank 2"),
    ("reshape { targetShape: 1 targetShape: 2 targetShape: 2 }", (torch.ones(2, 2),), "rank 2, the layer expects at"),
    ("slidingWindows { windowSize: 0 }", (X,), "windows of 0 on an axis of 2"),
    ("slidingWindows { windowSize: 3 }", (X,), "windows of 3 on an axis of 2"),
    (
        "padding { paddingAmounts { borderAmounts { endEdgeSize: 65537 } borderAmounts {} } }",
        (X,),
        "expected 0 to 65536",
    ),
    ("pooling { valid {} }", (torch.ones(3, 3),), "rank 2"),
    ("upsample {}", (torch.ones(3),), "rank 1, the layer expects at least 2"),
    ("upsample { scalingFactor: 0 scalingFactor: 1 }", (X,), "scaling factors"),
    ("upsample { scalingFactor: 1025 scalingFactor: 1 }", (X,), "scaling factors"),
    ("resizeBilinear {}", (torch.ones(3, 3),), "rank 2"),
    ("resizeBilinear { targetSize: 32769 targetSize: 1 }", (X,), "expected up to 32768"),
    ("topK { K: 0 }", (random(3),), "takes the top 0 of 3"),
    ("topK { K: 4 }", (random(3),), "takes the top 4 of 3"),
    ("rangeStatic { endValue: 1 }", (), "never ends"),
    ("randomBernoulliStatic { prob: 1.01 outputShape: 1 }", (), "prob is 1.01"),
    ("randomBernoulliStatic { prob: -0.01 outputShape: 1 }", (), "prob is -0.01"),
    ("slice { endIndex: 3 }", (X,), "stride 0"),
    ("slice { startIndex: 3 endIndex: 3 stride: 1 }", (X,), "does not contain 3:3"),
    ("sequenceRepeat {}", (X,), "rank 4, the layer expects at least 5"),
    ("matrixBandPart {}", (torch.ones(2),), "rank 1"),
    ("argMax { axis: 4 }", (X,), "axis is 4, expected -4 to 3"),
    ("argMax { axis: -5 }", (X,), "axis is -5, expected -4 to 3"),
    ("constantPad { padAmounts: 1 }", (torch.ones(2),), "expected 2 amounts"),
    ("scale { shapeScale: 5 " + floats("scale", FIVE) + " }", (random(1, 4, 2, 2),), "the layer expects one that fits"),
    ("activation { PReLU {} }", (X,), "alpha holds no float values"),
    ("split { nOutputs: 2 }", (X,), "splits into 2 parts, expected 1"),
    (
        f"convolution {{ outputChannels: 3 kernelChannels: 5 nGroups: 2 {WEIGHTS} }}",
        (X,),
        "2 groups of 10 input and 3 output channels",
    ),
    (f"convolution {{ outputChannels: 2 kernelChannels: 5 {WEIGHTS} }}", (X[0, 0],), "rank 2"),
    (
        f"convolution {{ outputChannels: 2 kernelChannels: 5 {WEIGHTS} }}",
        (X[:, :4],),
        "4 channels, the layer expects 5",
    ),
]


@pytest.mark.parametrize(("message", "inputs", "fault"), REFUSED, ids=[f"{row[0][:40]}-{row[2]}" for row in REFUSED])
def test_what_lies_beyond_a_boundary_is_refused(message: str, inputs: tuple[Tensor, ...], fault: str) -> None:
    with pytest.raises(ModelError, match=f"layer 'it': .*{fault}"):
        ran(message, *inputs)


def test_a_distribution_at_its_ends() -> None:
    shape = "outputShape: 50"
    (always,) = ran(f"randomBernoulliStatic {{ prob: 1 {shape} }}")
    (never,) = ran(f"randomBernoulliStatic {{ {shape} }}")
    assert always.eq(1).all()
    assert never.eq(0).all()
    (constant,) = ran(f"randomNormalStatic {{ mean: 3 {shape} }}")
    assert constant.eq(3).all()
    (between,) = ran(f"randomUniformStatic {{ minVal: -2 maxVal: -1 {shape} }}")
    assert -2 <= float(between.min()) < float(between.max()) < -1
    assert between.equal(ran(f"randomUniformStatic {{ minVal: -2 maxVal: -1 {shape} }}")[0])  # seed 0 is a seed
    free = f"randomUniformStatic {{ minVal: -2 maxVal: -1 seed: -1 {shape} }}"
    assert not ran(free)[0].equal(ran(free)[0])


def test_categorical_distribution_with_nothing_set() -> None:
    weights = torch.tensor([[0.0, 0.2, 0.8]])
    torch.manual_seed(0)
    (drawn,) = ran("categoricalDistribution { numSamples: 4000 }", weights)
    shares = torch.bincount(drawn.long().ravel(), minlength=3) / 4000
    torch.testing.assert_close(shares, weights[0], atol=0.03, rtol=0)
    (drawn,) = ran("categoricalDistribution { numSamples: 4000 isLogits: true }", weights)
    torch.testing.assert_close(
        torch.bincount(drawn.long().ravel()) / 4000, torch.softmax(weights[0], 0), atol=0.03, rtol=0
    )


def test_a_learned_scalar_is_read_from_half_floats_too() -> None:
    layer = NeuralNetwork_pb2.NeuralNetworkLayer(name="it", input=["x"], output=["y"])
    layer.activation.PReLU.alpha.float16Value = np.array([0.25, 0.5, 1, 2, 4], np.float16).tobytes()
    (step,) = build_steps([layer])
    blobs: dict[str, Any] = {"x": X}
    run_step(step, blobs)
    torch.testing.assert_close(blobs["y"], functional.prelu(X, torch.tensor([0.25, 0.5, 1, 2, 4])))


@pytest.mark.parametrize("kind", ["batchedMatmul", "innerProduct"])
@pytest.mark.parametrize("biased", [False, True])
def test_8_bit_weights_with_an_exact_input(kind: str, biased: bool) -> None:
    """An input of integers up to 127, the largest among them, is quantized to itself."""
    numbers = np.random.default_rng(0)
    x = numbers.integers(-127, 128, (3, 4)).astype(np.float32)
    x[0, 0] = 127
    weights, bias = numbers.integers(-128, 128, (2, 4)).astype(np.int8), [0.5, -3.0]
    layer = NeuralNetwork_pb2.NeuralNetworkLayer(name="it", input=["x"], output=["y"])
    params = getattr(layer, kind)
    params.int8DynamicQuantize = True
    if kind == "batchedMatmul":
        params.weightMatrixFirstDimension, params.weightMatrixSecondDimension = 4, 2
    else:
        params.inputChannels, params.outputChannels = 4, 2
    params.weights.int8RawValue = weights.tobytes()
    params.weights.quantization.numberOfBits = 8
    params.weights.quantization.linearQuantization.scale.append(0.25)
    params.hasBias = biased
    if biased:
        params.bias.floatValue.extend(bias)
    (step,) = build_steps([layer])
    blobs = {"x": torch.from_numpy(x)}
    run_step(step, blobs)
    expected = x.astype(np.float64) @ weights.T.astype(np.float64) * 0.25 + (np.array(bias) if biased else 0)
    np.testing.assert_allclose(blobs["y"].numpy(), expected, rtol=1e-6)
