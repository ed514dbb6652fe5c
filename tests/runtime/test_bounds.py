"""Models whose sizes arise from layer to layer: refused before anything is allocated, wherever they run."""

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from coreml_updatable import bounds
from coreml_updatable.errors import ModelError
from coreml_updatable.runtime import load
from coreml_updatable.runtime.engine import weighing
from coreml_updatable.runtime.network import NetworkModel
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, Model_pb2
from coreml_updatable.updating import UpdateTask
from tests.broken_models import valid

ROW = {"x": np.ones((1, 8), np.float32)}


def growing(doublings: int, shape: tuple[int, ...] = (1, 8)) -> Model:
    """x -> y, ``doublings`` times as long along the last axis and then its product with itself: [n, n]."""
    model = Model_pb2.Model(specificationVersion=4)
    model.description.input.add(name="x").type.multiArrayType.shape.extend(shape)
    model.description.output.add(name="y").type.multiArrayType.SetInParent()
    network = model.neuralNetwork
    network.arrayInputShapeMapping = 1
    blob = "x"
    for index in range(doublings):
        layer = network.layers.add(name=f"double{index}", input=[blob, blob], output=[f"b{index}"])
        layer.concatND.axis = -1
        blob = f"b{index}"
    network.layers.add(name="square", input=[blob, blob], output=["y"]).batchedMatmul.transposeA = True
    return model


def looping(rounds: int) -> Model:
    """A loop whose body doubles the blob "x" in each round."""
    model = growing(0)
    del model.neuralNetwork.layers[:]
    loop = model.neuralNetwork.layers.add(name="loop").loop
    loop.maxLoopIterations = rounds
    body = loop.bodyNetwork
    body.layers.add(name="double", input=["x", "x"], output=["both"]).concatND.axis = -1
    body.layers.add(name="again", input=["both"], output=["x"]).copy.SetInParent()
    model.neuralNetwork.layers.add(name="out", input=["x"], output=["y"]).copy.SetInParent()
    return model


def branching() -> Model:
    model = growing(40)
    inner = Model_pb2.Model()
    inner.CopyFrom(model)
    del model.neuralNetwork.layers[:]
    model.neuralNetwork.layers.add(name="if", input=["x"]).branch.ifBranch.layers.extend(inner.neuralNetwork.layers)
    model.description.input[0].type.multiArrayType.shape[:] = [1]
    return model


@pytest.mark.parametrize(
    ("model", "row", "layer"),
    [
        (growing(20), ROW, "square"),
        (growing(40), ROW, r"double\d+"),
        (looping(60), ROW, "double"),
        (branching(), {"x": np.ones(1, np.float32)}, r"double\d+"),
    ],
    ids=["product", "doubled", "loop", "branch"],
)
@pytest.mark.parametrize("count", [1, 100])
def test_refused_with_the_layer_that_would_hold_too_much(
    model: Model, row: dict[str, Any], layer: str, count: int
) -> None:
    with pytest.raises(ModelError, match=rf"layer '{layer}': needs [0-9.]+ [MG]B of memory, .*--max-memory"):
        load(model).predict([row] * count)


PROGRAM = """
from coreml_updatable.errors import ModelError
from coreml_updatable.runtime import load
from tests.memory import most_memory
from tests.runtime.test_bounds import ROW, growing
load(growing(2)).predict(ROW)
before = most_memory()
for doublings, count in ((20, 1), (20, 100), (12, 30), (13, 1), (40, 2)):
    try:
        load(growing(doublings)).predict([ROW] * count)
    except ModelError:
        pass
    print(doublings, count)
print(most_memory() - before)
"""


@pytest.mark.slow
def test_a_refused_run_stays_small() -> None:
    root = Path(__file__).parents[2]
    ran = subprocess.run([sys.executable, "-c", PROGRAM], cwd=root, capture_output=True, text=True, check=True)
    assert int(ran.stdout.splitlines()[-1]) < 700 * 2**20


def single(kind: str, shape: tuple[int, ...]) -> Model:
    """x -> y by one layer."""
    model = growing(0, shape)
    del model.neuralNetwork.layers[:]
    getattr(model.neuralNetwork.layers.add(name=kind, input=["x"], output=["y"]), kind).SetInParent()
    return model


def test_a_convolution_holds_one_copy_of_its_input() -> None:
    """As torch's peaks show; coremltools' test_dyn_weight_conv2d_stress runs on half a gigabyte so."""
    model = single("convolution", (32, 64, 64, 64))
    params = model.neuralNetwork.layers[0].convolution
    params.outputChannels, params.kernelChannels, params.nGroups = 1, 64, 1
    params.kernelSize.extend((1, 1))
    params.weights.floatValue.extend([1.0] * 64)
    params.valid.SetInParent()
    row = {"x": np.ones((32, 64, 64, 64), np.float32)}
    assert row["x"].nbytes == 2**25
    with bounds.max_memory(36 * 2**20):
        assert load(model).predict(row)["y"].shape == (32, 1, 64, 64)
    with bounds.max_memory(2**25), pytest.raises(ModelError, match="layer 'convolution': needs 33 MB"):
        load(model).predict(row)


@pytest.mark.parametrize("kind", ["randomNormalLike", "randomUniformLike"])
def test_random_values_are_held_once(kind: str) -> None:
    model = single(kind, (2**22,))
    params = getattr(model.neuralNetwork.layers[0], kind)
    setattr(params, "stdDev" if kind == "randomNormalLike" else "maxVal", 2.0)
    network, row = load(model), torch.ones(2**22)
    assert isinstance(network, NetworkModel)
    with bounds.max_memory(17 * 2**20), bounds.bounded("model"), weighing.weighed():
        values = network._frozen.program({"x": row})["y"]
    assert abs(values.std() - (2 if kind == "randomNormalLike" else 2 / 12**0.5)) < 0.01


@pytest.mark.parametrize("length", [2.0**20, 2.0**100])
@pytest.mark.parametrize("axes", [3, 60])
def test_a_size_that_no_float_holds(length: float, axes: int) -> None:
    """``fillDynamic`` reads its shape from a blob: 60 axes of 2^100 are 10^1806 values."""
    model = single("fillDynamic", (axes,))
    with pytest.raises(ModelError, match=r"layer 'fillDynamic': needs .* GB of memory"):
        load(model).predict({"x": np.full(axes, length, np.float32)})


def test_a_shape_of_millions_of_numbers() -> None:
    """Their product took 39 seconds."""
    model = growing(20, (1, 2))
    model.neuralNetwork.layers[-1].Clear()
    layer = model.neuralNetwork.layers[-1]
    layer.name = "fill"
    layer.input.append("b19")
    layer.output.append("y")
    layer.fillDynamic.SetInParent()
    with pytest.raises(ModelError, match="layer 'fill': reads 2097152 numbers as sizes or positions"):
        load(model).predict({"x": np.full((1, 2), 3, np.float32)})


def test_max_memory_raises_the_bound() -> None:
    model = load(growing(6))  # 512 x 512 numbers: a megabyte
    with bounds.max_memory(2**19), pytest.raises(ModelError, match="needs 1 MB of memory, more than the 0 MB"):
        model.predict(ROW)
    with bounds.max_memory(2**22):
        assert model.predict(ROW)["y"].shape == (512, 512)


@pytest.mark.parametrize("kept", ["answer", "frozen"])
def test_the_copy_that_is_kept_counts(kept: str) -> None:
    """An answer of 98 million numbers was copied outside the bound."""
    model = load(growing(6))
    run = model.predict if kept == "answer" else lambda row: model.frozen([row])
    with (
        bounds.max_memory(3 * 2**19),
        pytest.raises(ModelError, match="model: needs 2 MB of memory"),
    ):
        run(ROW)
    with bounds.max_memory(5 * 2**19):
        run(ROW)


def test_a_copy_in_another_type_counts() -> None:
    model = growing(6)
    model.description.output[0].type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.DOUBLE
    with bounds.max_memory(5 * 2**19), pytest.raises(ModelError, match="output 'y': needs 4 MB"):
        load(model).predict(ROW)
    with bounds.max_memory(2**23):
        assert load(model).predict(ROW)["y"].dtype == np.float64


def test_rows_that_do_not_fit_together_run_in_halves() -> None:
    model, generator = growing(7), np.random.default_rng(0)
    rows = [{"x": generator.standard_normal((1, 8), np.float32)} for _ in range(13)]
    expected = [answer["y"] for answer in load(model).predict(rows)]
    with bounds.max_memory(20 * 2**20):
        actual = load(model).predict(rows)
    for item, other, row in zip(actual, expected, rows, strict=True):
        long = np.tile(row["x"], 128)
        assert np.allclose(item["y"], long.T @ long, atol=1e-6)
        assert np.array_equal(item["y"], other)


@pytest.mark.slow
def test_work_is_bounded() -> None:
    """Many products of matrices that are not large: 2048^3 multiplications each."""
    model = growing(8, (1, 8))
    layers = model.neuralNetwork.layers
    layers[-1].output[0] = "p0"
    for index in range(200):
        layers.add(
            name=f"product{index}", input=[f"p{index}"] * 2, output=[f"p{index + 1}"]
        ).batchedMatmul.transposeA = True
    layers[-1].output[0] = "y"
    with pytest.raises(ModelError, match=r"layer 'product\d+': takes more than \d+ billion operations, .*--max-memory"):
        load(model).predict(ROW)


def test_an_update_is_bounded_too() -> None:
    """The trainable part repeats what its layer gives until it is far too long."""
    model = valid.classifier()
    network = model.neuralNetworkClassifier
    position = next(number for number, layer in enumerate(network.layers) if layer.isUpdatable)
    rows = [{str(feature.name): _value(feature) for feature in model.description.trainingInput}] * 4
    UpdateTask(model, rows).resume()
    read = str(network.layers[position].output[0])
    del network.layers[position + 1 :]
    for index in range(30):
        result = "logits" if index == 29 else f"long{index}"
        network.layers.add(name=f"double{index}", input=[read, read], output=[result]).concatND.axis = 0
        read = result
    loss = network.updateParams.lossLayers[0].categoricalCrossEntropyLossLayer
    network.layers.add(name="softmax", input=["logits"], output=[str(loss.input)]).softmax.SetInParent()
    with pytest.raises(ModelError, match=r"(layer '.*'|update): needs .* of memory"):
        UpdateTask(model, rows).resume()


def _value(feature: Any) -> Any:
    if feature.type.WhichOneof("Type") == "multiArrayType":
        return np.ones([int(size) for size in feature.type.multiArrayType.shape], np.float32)
    return "a" if feature.type.WhichOneof("Type") == "stringType" else 1


class Compared(TorchDispatchMode):
    """Holds every rule of ``weighing`` to what torch really makes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ruled = set[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if weighing._is_view(func):
            return result
        given = tree_flatten((args, kwargs))[0]
        inputs = [value for value in given if isinstance(value, Tensor)]
        values = [value for value in tree_flatten(result)[0] if isinstance(value, Tensor)]
        most = max((tensor.numel() for tensor in values), default=0)
        assert weighing._rough(func, given) >= most, func
        expected = weighing._values(func, args, inputs)
        if expected is not None:
            self.ruled.add(str(func))
            assert expected >= most, func
            _, all_values = weighing._sizes(func, args, kwargs or {}, inputs, 1, 2**62)
            assert all_values >= most
        return result


def convolutions(x: Tensor) -> None:
    for stride, padding, dilation, groups, transposed in itertools.product(
        (1, 2, 3), (0, 1, 2), (1, 2), (1, 2, 3), (False, True)
    ):
        shape = (6, 12 // groups, 3, 2) if transposed else (12, 6 // groups, 3, 2)
        function: Callable[..., Tensor] = functional.conv_transpose2d if transposed else functional.conv2d
        function(x, torch.ones(shape), stride=stride, padding=padding, dilation=dilation, groups=groups)
    weights = torch.ones(4, 6, 3, 3, requires_grad=True)
    functional.conv2d(x, weights).relu().sum().backward()
    functional.conv3d(x[:, None], torch.ones(2, 1, 2, 2, 2))


def test_every_rule_holds() -> None:
    x = torch.randn(2, 6, 9, 10)
    zeros = torch.zeros(2, 6, 3, 10, dtype=torch.long)
    with Compared() as compared:
        convolutions(x)
        functional.max_pool2d(x, 3, 1, 1), functional.avg_pool2d(x, 4, 2, 2), functional.max_pool3d(x, 2, 1, 1)
        x.sort(), x.topk(2), x.cumsum(1), torch.cat([x, x]), torch.stack([x, x]), x.repeat(2, 1, 1, 3)
        x[:, torch.tensor([0, 1, 2, 3, 4, 5, 0, 0])], x[..., torch.tensor([[0], [1]]), :], x[x > 0], (x > 0).nonzero()
        functional.pad(x, (1, 2, 3, 4)), functional.pad(x, (-1, 2)), torch.full((3, 4), 1.0), torch.zeros(5)
        x.mean((2, 3)), x.softmax(1), x @ x.mT, torch.addmm(torch.zeros(4), torch.ones(3, 2), torch.ones(2, 4))
        x.gather(2, zeros), x.scatter(2, zeros, 1.0), x.index_select(1, torch.zeros(50, dtype=torch.long))
        torch.outer(x[0, 0, 0], x[0, 1, 0]), x[:1] + x[:, :1], torch.where(x[:1] > 0, x, 1.0), x.pow(2).flip(1)
        functional.one_hot(torch.tensor([1, 2]), 7), torch.ones_like(x), x.amax(1), x.std(), x.tril(), x.clone()
    assert len(compared.ruled) >= 40
