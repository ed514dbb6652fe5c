"""ONNX graphs against the torch networks they were exported from, and ONNX's own reference; what is refused."""

import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.converting.finished import Finished, finish, probabilities
from coreml_updatable.converting.registry import find_converter, load_source_converter
from coreml_updatable.data.inputs import ArrayInput, ImageInput
from coreml_updatable.errors import SourceError
from coreml_updatable.runtime import load
from coreml_updatable.updating import UpdateTask

reading = import_module("coreml_updatable.converters.onnx.reading")
opset = import_module("coreml_updatable.converters.onnx.module")
pytestmark = pytest.mark.vision


@pytest.fixture(autouse=True)
def quiet_exporter() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def converted(source: Any, **options: Any) -> Finished:
    return finish(load_source_converter(find_converter("onnx")), SourceRequest(source, **options))


class Tokens(nn.Module):
    """Token ids, an embedding, its mean over time, probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(50, 8), nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        answer: Tensor = self.head(self.embedding(ids).mean(1)).softmax(1)
        return answer


def pictures() -> nn.Module:
    torch.manual_seed(0)
    front = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*front, nn.Linear(8, 3)).eval()


def exported(module: nn.Module, example: Tensor, path: Path, version: int) -> Path:
    torch.onnx.export(module.eval(), (example,), path, opset_version=version, dynamo=False, input_names=["x"])
    return path


@pytest.mark.parametrize("version", [13, 17, 18])
def test_a_picture_classifier_answers_as_in_torch(version: int, tmp_path: Path) -> None:
    network = pictures()
    path = exported(network, torch.rand(1, 3, 12, 16), tmp_path / "model.onnx", version)
    result = converted(path, labels=("a", "b", "c"), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25))
    assert result.agreement.difference < 1e-5
    pixels = np.random.default_rng(0).integers(0, 256, (4, 12, 16, 3), np.uint8)
    seen = (torch.from_numpy(pixels) / 255 - torch.tensor([0.4, 0.5, 0.6])) / torch.tensor([0.2, 0.3, 0.25])
    with torch.no_grad():
        expected = network(seen.permute(0, 3, 1, 2)).softmax(1).numpy()
    rows = [{"image": item} for item in pixels]
    np.testing.assert_allclose(probabilities(load(result.model), rows, ("a", "b", "c")), expected, atol=1e-5)
    context = UpdateTask(result.model, [{**row, "label": "b"} for row in rows], parameters={"epochs": 20}).resume()
    assert probabilities(context.model, rows, ("b",)).mean() > expected[:, 1].mean()


class Cosine(nn.Module):
    """Normalized features and weights; torch exports the division with a Clip whose greatest value is left out."""

    def __init__(self, bound: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.weight, self.bound = nn.Linear(6, 8), nn.Parameter(torch.randn(3, 8)), bound

    def forward(self, values: Tensor) -> Tensor:
        features = self.body(values)
        features = features.clamp(max=0.5) if self.bound else features
        return 16 * nn.functional.linear(nn.functional.normalize(features), nn.functional.normalize(self.weight))


@pytest.mark.parametrize("bound", [False, True])
def test_bounds_of_a_clip_that_are_left_out(bound: bool, tmp_path: Path) -> None:
    network = Cosine(bound).eval()
    path = exported(network, torch.rand(1, 6), tmp_path / "model.onnx", 17)
    rows = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(rows)).softmax(1).numpy()
    result = converted(path, labels=("a", "b", "c"))
    np.testing.assert_allclose(
        probabilities(load(result.model), [{"x": row} for row in rows], ("a", "b", "c")), expected, atol=1e-5
    )


def test_pictures_that_nobody_described_are_told_of(tmp_path: Path) -> None:
    path = exported(pictures(), torch.rand(1, 3, 12, 16), tmp_path / "model.onnx", 17)
    note = "pixels are passed as 0..1; use --pixels, or --mean and --std, if it expects something else"
    assert converted(path, labels=("a", "b", "c")).notes == (note,)
    assert converted(path, labels=("a", "b", "c"), mean=(0.0,), std=(1.0,)).notes == ()


def test_token_ids_are_whole_numbers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Tokens()
    result = converted(exported(network, torch.ones(1, 7, dtype=torch.int64), tmp_path / "model.onnx", 17))
    ids = np.random.default_rng(0).integers(0, 50, (5, 7)).astype(np.int32)
    with torch.no_grad():
        expected = network(torch.from_numpy(ids)).numpy()
    name = result.model.description.input[0].name
    said = probabilities(load(result.model), [{name: item} for item in ids], (0, 1, 2))
    np.testing.assert_allclose(said, expected, atol=1e-6)


def graph(*nodes: Any, shape: Any = (1, 4), version: int = 18, outputs: int = 1, **constants: Any) -> Any:
    """Input ``x`` of ``shape``, outputs ``y``, ``y2``."""
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    answers = [helper.make_tensor_value_info(f"y{n or ''}", TensorProto.FLOAT, [None, None]) for n in range(outputs)]
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    result = helper.make_graph(nodes, "graph", [given], answers, weights)
    return helper.make_model(result, opset_imports=[helper.make_opsetid("", version)], ir_version=9)


def dense(**options: Any) -> Any:
    weights = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    return graph(helper.make_node("MatMul", ["x", "w"], ["y"], name="product"), w=weights, **options)


def test_what_newer_exporters_write_is_brought_to_the_older_opset() -> None:
    """Shared initializers behind Identity, allowzero, and axes that are inputs; ONNX's own evaluator is the judge."""
    random = np.random.default_rng(1)
    nodes = [
        helper.make_node("Identity", ["scale"], ["again"]),
        helper.make_node("Identity", ["again"], ["once_more"]),
        helper.make_node("Mul", ["x", "scale"], ["a"]),
        helper.make_node("Mul", ["a", "once_more"], ["b"]),
        helper.make_node("ReduceMean", ["b", "axes"], ["c"], keepdims=0),
        helper.make_node("Reshape", ["c", "size"], ["d"], allowzero=1),
        helper.make_node("MatMul", ["d", "w"], ["y"]),
    ]
    model = graph(
        *nodes,
        shape=(1, 5, 4),
        scale=random.normal(size=4).astype(np.float32),
        axes=np.array([1]),
        size=np.array([1, 4]),
        w=random.normal(size=(4, 3)).astype(np.float32),
    )
    result = converted(model)
    rows = random.normal(size=(4, 5, 4)).astype(np.float32)
    reference: Any = ReferenceEvaluator(model)
    logits = np.concatenate([reference.run(None, {"x": row[None]})[0] for row in rows])
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    said = probabilities(load(result.model), [{"x": row} for row in rows], (0, 1, 2))
    np.testing.assert_allclose(said, expected, atol=1e-6)


def external(folder: Path) -> Path:
    """The dense model with its weights in ``weights.bin`` beside it."""
    path = folder / "model.onnx"
    onnx.save_model(dense(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


def pointing(path: Path, **entries: str) -> Path:
    """The same file with other words about where its weights are."""
    model = onnx.load_model(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        entry.value = entries.get(entry.key, entry.value)
    path.write_bytes(model.SerializeToString())
    return path


def test_weights_beside_the_file(tmp_path: Path) -> None:
    path = external(tmp_path)
    assert converted(path).model == converted(dense()).model


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        (
            {"location": "../outside.bin"},
            "the weights 'w' are stored in '../outside.bin', expected a file",
        ),
        (
            {"location": "/etc/passwd"},
            "are stored in '/etc/passwd', expected a file in the same folder; put",
        ),
        ({"location": "link.bin"}, "are stored in 'link.bin', expected a file in the same folder"),
        ({"location": ""}, "are stored in '', expected a file in the same folder"),
        ({"location": "gone.bin"}, "the weights file 'gone.bin' is missing; put it in the model's folder"),
        ({"length": "4000"}, "should be 4000 bytes at 0 of 'weights.bin', which has only 48; export the model again"),
        ({"offset": "-8"}, "the description of the weights 'w' cannot be read (External data offset must be"),
        ({"length": "many"}, "the description of the weights 'w' cannot be read"),
    ],
)
def test_weights_from_elsewhere_are_refused(entries: dict[str, str], sentence: str, tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "outside.bin").write_bytes(bytes(48))
    (folder / "link.bin").symlink_to(tmp_path / "outside.bin")
    with pytest.raises(SourceError) as error:
        converted(pointing(external(folder), **entries))
    assert sentence in str(error.value)


def custom() -> Any:
    model = graph(helper.make_node("Twice", ["x"], ["y"], domain="my.own"))
    model.opset_import.append(helper.make_opsetid("my.own", 2))
    return model


def huge() -> Any:
    return graph(
        helper.make_node("ConstantOfShape", ["size"], ["z"]),
        helper.make_node("ReduceSum", ["z"], ["s"]),
        helper.make_node("Add", ["x", "s"], ["y"]),
        size=np.array([10**6, 10**6]),
    )


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: "text", "source: is a str, expected an onnx.ModelProto; load it with onnx.load"),
        (custom, "the node that writes 'y' is the operator 'Twice' of my.own, opset 2, which onnx2torch does not"),
        (
            lambda: graph(helper.make_node("Hardmax", ["x"], ["y"], name="hard")),
            "node 'hard' is the operator 'Hardmax', opset 17, which onnx2torch does not support; export a network",
        ),
        (lambda: graph(helper.make_node("Nothing", ["x"], ["y"])), "source: breaks a rule of ONNX ("),
        (huge, "'z' has 1000000000000 values, expected at most 268435456; use a smaller network"),
        (
            lambda: graph(helper.make_node("Split", ["x"], ["y", "y1"], axis=1), outputs=2, version=17),
            "the source returns 2 tensors (y [1, 2], y1 [1, 2]), expected one; choose the one with the classes, such "
            "as --a",
        ),
        (
            lambda: graph(helper.make_node("Reshape", ["x", "size"], ["y"], allowzero=1), size=np.array([0, 4])),
            "the node that writes 'y' reshapes to a length of 0; export it without empty parts",
        ),
        (lambda: dense(shape=(8, 4)), "input 'x': has the shape [8, 4], expected a batch of 1 or of any size first"),
        (lambda: dense(shape=(1, "n")), "input 'x': has no fixed shape (['any']); pass --input x:LENGTH"),
        (lambda: dense(shape=(1, 5)), "the source cannot take an input of shape [1, 5] (RuntimeError: "),
    ],
)
def test_graphs_that_are_refused(make: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(SourceError) as error:
        converted(make())
    assert sentence in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_inputs_that_do_not_fit() -> None:
    with pytest.raises(SourceError, match=r"'a': has the shape \[5\], but the graph expects \[4\]; pass --input a:4$"):
        converted(dense(), inputs=(ArrayInput("a", (5,)),))
    with pytest.raises(
        SourceError, match=r"input: found 2 for a graph with 1 inputs \('x'\); pass --input once for each"
    ):
        converted(dense(), inputs=(ArrayInput("a", (4,)), ArrayInput("b", (4,))))
    with pytest.raises(SourceError, match=r"input 'a': has the shape \[3, 2, 2\], but the graph expects \[4\]"):
        converted(dense(), inputs=(ImageInput("a", 2, 2, "rgb"),))
    result = converted(dense(shape=(1, "n")), inputs=(ArrayInput("a", (4,)),))
    assert result.model.description.input[0].name == "a"


def test_files_that_are_no_models_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\xff\xff nothing of the kind")
    with pytest.raises(SourceError, match=r"is not an ONNX model \(DecodeError\); export it again"):
        converted(path)
    path.write_bytes(dense().SerializeToString())
    monkeypatch.setattr(reading, "MOST_NODES", 0)
    with pytest.raises(SourceError, match="has 1 nodes, expected at most 0; simplify it"):
        converted(path)
    monkeypatch.setattr(reading, "MOST_BYTES", 10)
    with pytest.raises(SourceError, match="larger than 10 bytes, the limit of ONNX"):
        converted(path)


def test_an_opset_from_the_future() -> None:
    model = dense()
    model.opset_import[0].version = 9999
    with pytest.raises(SourceError, match=r"breaks a rule of ONNX|its opset 9999 cannot be converted to 17"):
        converted(model)


@pytest.mark.parametrize("name", ["onnx::Gemm_0", "input:0", "my input"])
def test_a_name_that_is_no_identifier(name: str, tmp_path: Path) -> None:
    """Exporters write such; an app's code cannot. What somebody types stays as it was typed."""
    network = nn.Linear(4, 3)
    path = tmp_path / "model.onnx"
    torch.onnx.export(network, (torch.rand(1, 4),), path, dynamo=False, input_names=[name])
    rows = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(rows)).softmax(1).numpy()
    for inputs in ((), (ArrayInput(name, (4,)),)):
        result = converted(path, inputs=inputs)
        (feature,) = result.model.description.input
        assert str(feature.name) == name if inputs else str(feature.name).isidentifier()
        said = probabilities(load(result.model), [{str(feature.name): row} for row in rows], (0, 1, 2))
        np.testing.assert_allclose(said, expected, atol=1e-6)
