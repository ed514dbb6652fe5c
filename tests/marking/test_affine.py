"""What counts as one factor and one offset a channel, against what running the layer makes of random data."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from numpy.typing import NDArray

from coreml_updatable.marking.affine import affine_of, channel_axis, constants_of, data_input
from coreml_updatable.runtime.engine.program import build_steps, run_step
from coreml_updatable.spec.messages import NeuralNetwork_pb2, NeuralNetworkLayer

RANDOM = np.random.default_rng(0)
PICTURE, ROW = (2, 5, 3, 4), (3, 5)
FIVE = [1.0, 2.0, 0.5, -1.0, 3.0]


def floats(field: str, values: Sequence[float]) -> str:
    return f"{field} {{ {' '.join(f'floatValue: {value}' for value in values)} }}"


def network(*layers: str) -> NeuralNetwork_pb2.NeuralNetwork:
    result = NeuralNetwork_pb2.NeuralNetwork(arrayInputShapeMapping=1)
    for index, text in enumerate(layers):
        layer = text_format.Parse(text, result.layers.add(name=f"layer{index}"))
        layer.output.append("y" if index == len(layers) - 1 else f"c{index}")
    return result


def run(layers: Sequence[NeuralNetworkLayer], x: NDArray[np.float32]) -> NDArray[np.float32]:
    blobs = {"x": torch.from_numpy(x)}
    for step in build_steps(list(layers)):
        run_step(step, blobs)
    answer: NDArray[np.float32] = blobs["y"].numpy()
    return answer


def constant(shape: Sequence[int], values: Sequence[float]) -> str:
    lengths = " ".join(f"shape: {length}" for length in shape)
    return f"loadConstantND {{ {lengths} {floats('data', values)} }}"


def old_constant(shape: Sequence[int], values: Sequence[float]) -> str:
    return constant(shape, values).replace("loadConstantND", "loadConstant")


STATISTICS = floats("mean", FIVE[::-1]) + floats("variance", [0.0, 1e-5, 1.0, 2.0, 3.0])
BATCHNORM = f"channels: 5 {floats('gamma', FIVE)} {floats('beta', FIVE[::-1])} {STATISTICS}"
TWO = 'input: "x" input: "c0"'
TURNED = 'input: "c0" input: "x"'
AFFINE: list[tuple[tuple[int, ...], tuple[str, ...]]] = [
    *((shape, ('input: "x" activation { linear { alpha: 2 beta: -1 } }',)) for shape in (PICTURE, ROW, (4,))),
    *((shape, ('input: "x" add { alpha: 2 }',)) for shape in (PICTURE, ROW)),
    *((shape, ('input: "x" multiply { alpha: 2 }',)) for shape in (PICTURE, ROW)),
    *(
        (shape, (constant(over, FIVE), f"{order} {kind} {{}}"))
        for kind in ("addBroadcastable", "subtractBroadcastable", "multiplyBroadcastable")
        for order in (TWO, TURNED)
        for shape, over in ((PICTURE, (5, 1, 1)), (PICTURE, (1, 5, 1, 1)), (ROW, (5,)), (ROW, (1, 5)))
    ),
    (ROW, (constant((5,), FIVE), f"{TWO} divideBroadcastable {{}}")),
    (PICTURE, (constant((1,), [4.0]), f"{TWO} divideBroadcastable {{}}")),
    (PICTURE, (constant((1, 1, 1), [4.0]), f"{TURNED} subtractBroadcastable {{}}")),
    ((1, *PICTURE), (old_constant((5, 1, 1), FIVE), f"{TWO} add {{}}")),
    ((1, *PICTURE), (old_constant((5, 1, 1), FIVE), f"{TURNED} multiply {{}}")),
    (PICTURE, (f'input: "x" bias {{ {floats("bias", FIVE)} shape: 5 }}',)),
    (PICTURE, (f'input: "x" bias {{ {floats("bias", FIVE)} shape: 5 shape: 1 shape: 1 }}',)),
    (PICTURE, (f'input: "x" bias {{ {floats("bias", [2.0])} }}',)),
    (PICTURE, (f'input: "x" scale {{ {floats("scale", FIVE)} shapeScale: 5 }}',)),
    (PICTURE, (f'input: "x" scale {{ {floats("scale", [3.0])} {floats("bias", FIVE)} shapeBias: 5 hasBias: true }}',)),
    (PICTURE, (f'input: "x" scale {{ {floats("scale", [3.0])} {floats("bias", FIVE)} shapeBias: 5 }}',)),  # no bias
    (PICTURE, (f'input: "x" batchnorm {{ {BATCHNORM} }}',)),
    (PICTURE, (f'input: "x" batchnorm {{ {BATCHNORM} epsilon: 0.1 }}',)),
    # A constant out of a constant: coremltools writes x - 1 as x + (-1 * 1).
    (ROW, (constant((5,), FIVE), 'input: "c0" multiply { alpha: -1 }', 'input: "x" input: "c1" addBroadcastable {}')),
    (ROW, (constant((5,), FIVE), 'input: "c0" add { alpha: 2 }', 'input: "x" input: "c1" multiplyBroadcastable {}')),
]


@pytest.mark.parametrize(("shape", "layers"), AFFINE, ids=[f"{shape}-{layers[-1][:60]}" for shape, layers in AFFINE])
def test_factor_and_offset_are_what_the_layer_does(shape: tuple[int, ...], layers: tuple[str, ...]) -> None:
    result = network(*layers)
    constants = constants_of(result)
    x = RANDOM.normal(size=shape).astype(np.float32)
    assert data_input(result.layers[-1], constants) == "x"
    affine = affine_of(result.layers[-1], shape, constants)
    assert affine is not None
    assert affine.factor.ndim == affine.offset.ndim == 1
    along = [1] * len(shape)
    along[channel_axis(shape)] = -1
    factor, offset = (values.reshape(along) if values.size > 1 else values for values in (affine.factor, affine.offset))
    np.testing.assert_allclose(run(result.layers, x), factor * x + offset, rtol=1e-5, atol=1e-5)


OTHER: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "another activation": (ROW, ('input: "x" activation { ReLU {} }',)),
    "an infinite offset": (ROW, ('input: "x" add { alpha: inf }',)),
    "an infinite factor": (ROW, ('input: "x" multiply { alpha: -inf }',)),
    "two rows of data": (ROW, ('input: "x" input: "x" addBroadcastable {}',)),
    "three inputs": ((1, *PICTURE), (old_constant((1,), [1.0]), 'input: "x" input: "c0" input: "c0" add {}')),
    "a number a pixel": (PICTURE, (constant((3, 4), [1.0] * 12), f"{TWO} addBroadcastable {{}}")),
    "a number a column": (PICTURE, (constant((4,), FIVE[:4]), f"{TWO} addBroadcastable {{}}")),
    "a number a row": (ROW, (constant((3, 1), FIVE[:3]), f"{TWO} addBroadcastable {{}}")),
    "a constant of higher rank": (ROW, (constant((1, 1, 5), FIVE), f"{TWO} addBroadcastable {{}}")),
    "one channel that becomes five": ((3, 1), (constant((5,), FIVE), f"{TWO} addBroadcastable {{}}")),
    "divided by the data": (ROW, (constant((5,), FIVE), f"{TURNED} divideBroadcastable {{}}")),
    "divided by zero": (ROW, (constant((5,), [1.0, 0.0, 1.0, 1.0, 1.0]), f"{TWO} divideBroadcastable {{}}")),
    "a maximum": (ROW, (constant((5,), FIVE), f"{TWO} maxBroadcastable {{}}")),
    "its own statistics": (PICTURE, (f'input: "x" batchnorm {{ {BATCHNORM} computeMeanVar: true }}',)),
    "a bias a pixel": (
        PICTURE,
        (f'input: "x" bias {{ {floats("bias", [1.0] * 60)} shape: 5 shape: 3 shape: 4 }}',),
    ),
    "a bias a row of pixels": (
        PICTURE,
        (f'input: "x" bias {{ {floats("bias", [1.0] * 3)} shape: 1 shape: 3 shape: 1 }}',),
    ),
    "a scale a pixel": (
        PICTURE,
        (f'input: "x" scale {{ {floats("scale", [1.0] * 12)} shapeScale: 1 shapeScale: 3 shapeScale: 4 }}',),
    ),
    "a bias beside a scale that differs by pixel": (
        PICTURE,
        (
            f'input: "x" scale {{ {floats("scale", [1.0])} hasBias: true {floats("bias", [1.0] * 4)} '
            "shapeBias: 1 shapeBias: 1 shapeBias: 4 }",
        ),
    ),
    "a scale at rank 3": ((5, 3, 4), (f'input: "x" scale {{ {floats("scale", FIVE)} shapeScale: 5 }}',)),
    "a negative variance": (
        PICTURE,
        (f'input: "x" batchnorm {{ {BATCHNORM.replace("floatValue: 3.0", "floatValue: -3.0")} }}',),
    ),
}


@pytest.mark.parametrize(("shape", "layers"), OTHER.values(), ids=OTHER)
def test_everything_else_is_not_affine(shape: tuple[int, ...], layers: tuple[str, ...]) -> None:
    result = network(*layers)
    assert affine_of(result.layers[-1], shape, constants_of(result)) is None


def test_without_a_shape_only_what_needs_none_is_affine() -> None:
    result = network(constant((5,), FIVE), f"{TWO} addBroadcastable {{}}")
    assert affine_of(result.layers[-1], None, constants_of(result)) is None
    assert affine_of(result.layers[-1], (3, None), constants_of(result)) is None
    assert affine_of(result.layers[-1], (None, 5), constants_of(result)) is not None
    assert affine_of(network('input: "x" add { alpha: 1 }').layers[0], None, {}) is not None
