"""What a run is foreseen to need is at least what weighing each of its operations finds; a small run is not weighed."""

from random import Random
from typing import Any

import numpy as np
import pytest
import torch

from coreml_updatable import bounds
from coreml_updatable.errors import ModelError, UserError
from coreml_updatable.runtime import load
from coreml_updatable.runtime.engine import batched, foreseen
from coreml_updatable.runtime.engine.batched import Batched
from coreml_updatable.runtime.engine.program import Program
from coreml_updatable.runtime.network import NetworkModel
from coreml_updatable.spec.layer_shapes import output_shapes
from coreml_updatable.spec.messages import Model, Model_pb2
from tests.broken_models import valid
from tests.runtime.growing_models import growing_model
from tests.runtime.mutations import any_layer
from tests.runtime.sound_models import sound_models

KINDS = sorted({*foreseen.PLAIN, *foreseen.RULES})
ROWS = 3


class Peak(bounds.Run):
    """Remembers the most that it held, or was about to hold."""

    most = 0

    def expect(self, size: int) -> None:
        self.most = max(self.most, self.held + size)
        super().expect(size)

    def hold(self, tensors: Any) -> None:
        super().hold(tensors)
        self.most = max(self.most, self.held)


def judged(model: Model, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Hold what is foreseen for ``ROWS`` rows to what weighing finds; False for a model that does not run, or is to be
    weighed."""
    monkeypatch.setattr(bounds, "Run", Peak)
    monkeypatch.setattr(Batched, "_is_little", lambda *_: False)
    try:
        network = load(model)
        assert isinstance(network, NetworkModel)
        steps = [*network.fixed_steps, *network.trainable_steps]
        row = network._inputs.tensors({"x": _row(model)}, 0)
        needed = foreseen.needs(steps, {name: blob.shape for name, blob in row.items()}, ROWS)
        blobs = [str(blob) for step in steps for blob in step.layer.output]
        program = Batched(Program(steps, blobs), optimize=False)
        with torch.no_grad(), bounds.bounded("model", ROWS) as run:
            result = program({name: torch.stack([blob] * ROWS) for name, blob in row.items()}, ROWS)
    except UserError:
        return False
    if needed is None or isinstance(result, list):
        return False
    assert isinstance(run, Peak)
    assert needed.memory >= run.most
    assert needed.memory >= needed.peak >= sum(blob.nbytes for blob in row.values()) * ROWS
    assert needed.work >= run.work
    shapes = {
        **{name: tuple(blob.shape) for name, blob in row.items()},
        **{b: tuple(result[b].shape[1:]) for b in blobs},
    }
    for step in steps:
        expected = [shapes[blob] for blob in step.layer.output]
        assert output_shapes(step.layer, [shapes[blob] for blob in step.layer.input]) == expected
    return True


def _row(model: Model) -> Any:
    array = model.description.input[0].type.multiArrayType
    return np.random.default_rng(0).standard_normal([int(length) for length in array.shape]).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    models = (_drawn(kind, Random(seed)) for seed in range(150))
    assert sum(judged(model, monkeypatch) for model in models) > 5


def _drawn(kind: str, random: Random) -> Model:
    """A network of a layer with arbitrary fields; those with weights get as many as they need, when they have any."""
    model = any_layer(kind, random)
    model.neuralNetwork.arrayInputShapeMapping = 1
    model.specificationVersion = 7
    shape = model.description.input[0].type.multiArrayType.shape
    if random.random() < 0.8 or kind in WEIGHTS:
        shape[:] = random.choice(((1, 4, 9, 8), (1, 2, 6, 5, 7), (1, 4, 1, 1), (4, 3, 5)))
    layer = model.neuralNetwork.layers[0]
    del layer.output[1:]
    if random.random() < 0.7:
        del layer.input[1:]
    if kind in WEIGHTS:
        getattr(layer, kind).Clear()
        WEIGHTS[kind](getattr(layer, kind), list(shape), random)
        del layer.input[1:]
    return model


def _convolution(params: Any, shape: list[int], random: Random) -> None:
    kernel, params.nGroups = (random.choice((1, 2, 3)), random.choice((1, 3, 5))), random.choice((1, 1, 2))
    params.kernelSize.extend(kernel)
    params.stride.extend((random.choice((1, 1, 2, 7)), random.choice((1, 2))))
    params.dilationFactor.extend((random.choice((1, 1, 3)), 1))
    params.outputChannels, params.kernelChannels = random.choice((2, 4, 64)), max(1, shape[-3] // params.nGroups)
    _bordered(params, random, ("same", "valid"))
    params.weights.floatValue.extend([0.5] * (params.outputChannels * params.kernelChannels * kernel[0] * kernel[1]))


def _pooling(params: Any, shape: list[int], random: Random) -> None:  # noqa: ARG001
    params.type, params.avgPoolExcludePadding = random.randrange(3), random.random() < 0.5
    params.globalPooling = random.random() < 0.2
    params.kernelSize.extend((random.choice((1, 2, 3)), random.choice((1, 3, 5))))
    params.stride.extend((random.choice((1, 1, 2, 7)), random.choice((1, 2))))
    _bordered(params, random, ("same", "valid", "includeLastPixel"))
    if params.WhichOneof("PoolingPaddingType") == "includeLastPixel":
        params.includeLastPixel.paddingAmounts.extend((random.choice((0, 1, 9)), random.choice((0, 1, 9))))


def _bordered(params: Any, random: Random, ways: tuple[str, ...]) -> None:
    way = random.choice(ways)
    getattr(params, way).SetInParent()
    for _ in range(2 if way == "valid" and random.random() < 0.7 else 0):
        start, end = random.choice(((0, 0), (1, 1), (0, 3), (40, 2)))
        params.valid.paddingAmounts.borderAmounts.add(startEdgeSize=start, endEdgeSize=end)


def _inner_product(params: Any, shape: list[int], random: Random) -> None:
    size = int(np.prod(shape[-3:])) if len(shape) > 3 else shape[-1]
    params.inputChannels, params.outputChannels, params.hasBias = (
        size,
        random.choice((1, 3, 500)),
        random.random() < 0.5,
    )
    params.weights.floatValue.extend([0.5] * (size * params.outputChannels))
    params.bias.floatValue.extend([0.5] * (params.outputChannels * params.hasBias))


def _batchnorm(params: Any, shape: list[int], random: Random) -> None:
    params.channels, params.computeMeanVar = shape[-3], random.random() < 0.5
    params.instanceNormalization = params.computeMeanVar and random.random() < 0.5
    for weights in (params.gamma, params.beta, params.mean, params.variance):
        weights.floatValue.extend([1.0] * params.channels)


def _one_a_channel(params: Any, shape: list[int], random: Random) -> None:
    names = ("scale", "bias") if hasattr(params, "scale") else ("bias",)
    for name in names:
        stated = getattr(params, {"scale": "shapeScale"}.get(name, "shapeBias" if len(names) == 2 else "shape"))
        stated.extend(random.choice(((1,), (shape[-3],), tuple(shape[-3:]))))
        getattr(params, name).floatValue.extend([1.0] * int(np.prod(stated)))
    if len(names) == 2:
        params.hasBias = True


def _constant(params: Any, shape: list[int], random: Random) -> None:  # noqa: ARG001
    params.shape.extend(random.choice(((2, 3, 4), (1, 1, 500))))
    params.data.floatValue.extend([1.0] * int(np.prod(params.shape)))


def _reshaped(params: Any, shape: list[int], random: Random) -> None:
    count = int(np.prod(shape[-3:]))
    params.targetShape.extend(random.choice(((count, 1, 1), (1, -1, 1), tuple(reversed(shape[-3:])))))
    if hasattr(params, "mode"):
        params.mode = random.randrange(2)


def _squeezed(params: Any, shape: list[int], random: Random) -> None:
    params.axes.extend(axis - random.choice((0, len(shape))) for axis, length in enumerate(shape) if length == 1)
    params.squeezeAll = random.random() < 0.5


def _moved(params: Any, shape: list[int], random: Random) -> None:
    axes = list(range(4 if hasattr(params, "axis") else len(shape)))
    random.shuffle(axes)
    (params.axis if hasattr(params, "axis") else params.axes).extend(axes)


def _padding(params: Any, shape: list[int], random: Random) -> None:  # noqa: ARG001
    for _ in range(2):
        params.paddingAmounts.borderAmounts.add(
            startEdgeSize=random.choice((0, 1, 3)), endEdgeSize=random.choice((0, 2))
        )
    getattr(params, random.choice(("constant", "reflection", "replication"))).SetInParent()


WEIGHTS = {
    "batchnorm": _batchnorm,
    "bias": _one_a_channel,
    "convolution": _convolution,
    "innerProduct": _inner_product,
    "loadConstant": _constant,
    "loadConstantND": _constant,
    "padding": _padding,
    "permute": _moved,
    "pooling": _pooling,
    "reshape": _reshaped,
    "reshapeStatic": _reshaped,
    "scale": _one_a_channel,
    "squeeze": _squeezed,
    "transpose": _moved,
}


def test_whole_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    models = [*sound_models(), *(growing_model(seed) for seed in range(600))]
    plain = [
        model for model in models if model.WhichOneof("Type") == "neuralNetwork" and len(model.description.input) == 1
    ]
    plain = [model for model in plain if model.description.input[0].name == "x"]
    assert sum(judged(model, monkeypatch) for model in plain) > 5


@pytest.mark.parametrize("kind", ["concatND", "addBroadcastable"])
def test_what_is_not_little_is_weighed_and_refused(kind: str) -> None:
    """Both double a blob in each layer, or would: an outer sum of [n, 1] and [1, n]."""
    model = Model_pb2.Model(specificationVersion=4)
    array = model.description.input.add(name="x").type.multiArrayType
    array.shape.extend((1, 2**16))
    model.description.output.add(name="y").type.multiArrayType.SetInParent()
    model.neuralNetwork.arrayInputShapeMapping = 1
    layers = model.neuralNetwork.layers
    if kind == "concatND":
        for index in range(16):
            layers.add(
                name="double", input=[f"b{index}" if index else "x"] * 2, output=[f"b{index + 1}"]
            ).concatND.axis = 1
        layers[-1].output[0] = "y"
    else:
        layers.add(name="turn", input=["x"], output=["z"]).transpose.axes.extend((1, 0))
        layers.add(name="double", input=["x", "z"], output=["y"]).addBroadcastable.SetInParent()
    with pytest.raises(ModelError, match=r"layer 'double': needs [0-9.]+ [MG]B of memory"):
        load(model).predict({"x": np.zeros((1, 2**16), np.float32)})


def test_a_small_run_is_not_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    model, row = valid.classifier(), {"image": np.ones((3, 8, 8), np.float32)}
    expected = load(model).predict(row)
    monkeypatch.setattr(batched, "weighed", None)
    assert load(model).predict(row) == expected
