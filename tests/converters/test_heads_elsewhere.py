"""Heads of Keras, ONNX and Hugging Face in every spelling: each framework's own answers are the judge."""

import json
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from coreml_updatable.converting.finished import Finished, probabilities
from coreml_updatable.data.inputs import ArrayInput
from coreml_updatable.errors import SourceError
from coreml_updatable.runtime import load
from tests.converters import test_keras as keras_files
from tests.converters import test_onnx as onnx_files
from tests.converters import test_transformers as hugging_face

pytestmark = pytest.mark.vision
TWO = ("no", "yes")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def rows(count: int, length: int) -> Any:
    return np.random.default_rng(0).normal(size=(count, length)).astype(np.float32)


def said(made: Finished, given: Any, labels: Any) -> Any:
    name = made.model.description.input[0].name
    return probabilities(load(made.model), [{name: row} for row in given], labels)


def keras_model(keras: Any, *end: Any) -> Any:
    hidden = keras.layers.Dense(5, activation="tanh", name="hidden")
    model = keras.Sequential([keras.Input((6,)), hidden, *end])
    generator = np.random.default_rng(1)
    model.set_weights([generator.normal(0, 0.8, item.shape).astype("float32") for item in model.get_weights()])
    return model


def keras_heads(keras: Any) -> dict[str, list[Any]]:
    layers = keras.layers
    return {
        "dense with sigmoid": [layers.Dense(1, activation="sigmoid")],
        "activation layer": [layers.Dense(1), layers.Activation("sigmoid")],
        "dropout and flatten": [layers.Dense(1), layers.Dropout(0.3), layers.Activation("sigmoid"), layers.Flatten()],
        "reshaped": [layers.Dense(1, use_bias=False), layers.Activation("sigmoid"), layers.Reshape(())],
    }


@pytest.mark.parametrize("name", ["dense with sigmoid", "activation layer", "dropout and flatten", "reshaped"])
def test_keras_sigmoids(keras: Any, name: str) -> None:
    model = keras_model(keras, *keras_heads(keras)[name])
    result = keras_files.converted(model, labels=TWO)
    yes = keras.ops.convert_to_numpy(model(rows(5, 6), training=False)).reshape(5)
    assert np.ptp(yes) > 0.05
    np.testing.assert_allclose(said(result, rows(5, 6), TWO), np.stack([1 - yes, yes], 1), atol=1e-6)
    assert result.agreement.proved


def test_keras_logits_of_two_classes_by_their_labels(keras: Any, tmp_path: Path) -> None:
    model = keras_model(keras, keras.layers.Dense(1))
    model.save(tmp_path / "binary.keras")
    result = keras_files.converted(tmp_path / "binary.keras", labels=TWO)
    yes = keras.ops.convert_to_numpy(keras.ops.sigmoid(model(rows(5, 6))))[:, 0]
    np.testing.assert_allclose(said(result, rows(5, 6), TWO)[:, 1], yes, atol=1e-6)


def keras_refused(keras: Any) -> dict[str, tuple[list[Any], str]]:
    layers = keras.layers
    return {
        "sigmoid": ([layers.Dense(4, activation="sigmoid")], "4 independent labels (multi-label)"),
        "activation": ([layers.Dense(4), layers.Activation("sigmoid")], "4 independent labels (multi-label)"),
        "hard sigmoid": ([layers.Dense(4, activation="hard_sigmoid")], "numbers bounded by"),
        "tanh": ([layers.Dense(4, activation="tanh")], "numbers bounded by"),
        "softmax of one": ([layers.Dense(1, activation="softmax")], "always 1"),
        "unit": ([layers.Dense(4), layers.UnitNormalization()], "an embedding divided by its length"),
    }


@pytest.mark.parametrize("name", ["sigmoid", "activation", "hard sigmoid", "tanh", "softmax of one", "unit"])
def test_keras_heads_that_are_refused_get_a_new_one(keras: Any, name: str) -> None:
    end, sentence = keras_refused(keras)[name]
    model = keras_model(keras, *end)
    with pytest.raises(SourceError) as error:
        keras_files.converted(model)
    assert sentence in str(error.value)
    assert "--head new --labels a,b" in str(error.value)
    result = keras_files.converted(model, labels=("a", "b", "c"), head="new")
    assert result.facts["features"] == (4 if name == "unit" else 5)
    assert result.agreement.difference < 1e-6
    if "multi-label" in sentence:
        assert "--column 0 --labels no,yes" in str(error.value)
        one = keras_files.converted(model, labels=TWO, column=2)
        yes = keras.ops.convert_to_numpy(model(rows(5, 6)))[:, 2]
        np.testing.assert_allclose(said(one, rows(5, 6), TWO)[:, 1], yes, atol=1e-6)


def test_a_keras_model_that_answers_a_class_alone_gets_a_new_head(keras: Any) -> None:
    model = keras_model(keras, keras.layers.Dense(3))
    picked = keras.Model(model.inputs, keras.ops.argmax(model.outputs[0], axis=1))
    with pytest.raises(SourceError, match=r"numbers of type torch\.int.*--head new --labels a,b"):
        keras_files.converted(picked)
    result = keras_files.converted(picked, labels=("a", "b"), head="new")
    assert result.facts["features"] == 5
    assert result.agreement.difference < 1e-6


def test_a_keras_extractor_ends_where_it_is_cut(keras: Any) -> None:
    layers = keras.layers
    front = [keras.Input((12, 12, 3)), layers.Rescaling(1 / 255), layers.Conv2D(7, 3, activation="relu", name="seen")]
    behind = [layers.GlobalAveragePooling2D(name="pooled"), layers.Dense(3, activation="softmax", name="classes")]
    model = keras.Sequential([*front, *behind])
    pixels = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3), np.uint8)
    features = keras.Model(model.inputs, model.get_layer("pooled").output)
    expected = keras.ops.convert_to_numpy(features(pixels.astype("float32")))
    for cut in ("pooled", "classes", ""):
        result = keras_files.converted(model, labels=("a", "b"), head="new", cut=cut)
        assert result.facts["features"] == 7
        assert result.facts["cut"] == (cut or "classes")
        (layer,) = (item for item in result.model.neuralNetworkClassifier.layers if item.name == result.updatable[0])
        answers = load(result.model).predict([{"image": item} for item in pixels], intermediate=True)
        np.testing.assert_allclose(
            np.stack([np.ravel(answer[layer.input[0]]) for answer in answers]), expected, atol=1e-5
        )
    with pytest.raises(SourceError, match=r"--cut pool: .*; it has pooled"):
        keras_files.converted(model, labels=("a", "b"), head="new", cut="pool")
    bare = keras.Model(model.inputs, model.get_layer("seen").output)  # as include_top=False leaves it
    with pytest.raises(SourceError, match=r"returns \[1, 10, 10, 7\] .*--head new --labels a,b"):
        keras_files.converted(bare)
    result = keras_files.converted(bare, labels=("a", "b"), head="new")
    assert result.facts["features"] == 7


def test_a_keras_model_with_two_outputs(keras: Any) -> None:
    given = keras.Input((6,))
    seen = keras.layers.Dense(5, activation="tanh")(given)
    kinds = keras.layers.Dense(3, activation="softmax", name="kind")(seen)
    model = keras.Model(given, [kinds, keras.layers.Dense(1, name="age")(seen)])
    with pytest.raises(SourceError, match=r"2 tensors \(kind \[1, 3\], age \[1, 1\]\), .*--answer kind"):
        keras_files.converted(model)
    result = keras_files.converted(model, answer="kind")
    expected = keras.ops.convert_to_numpy(model(rows(5, 6))[0])
    np.testing.assert_allclose(said(result, rows(5, 6), (0, 1, 2)), expected, atol=1e-6)


def onnx_model(*nodes: Any, outputs: int, version: int = 17) -> Any:
    """Input ``x`` [1, 4], a hidden layer ``h`` [1, 4], and ``nodes`` with weights ``w`` [4, outputs] and ``b``."""
    generator = np.random.default_rng(2)
    weights = {"v": (4, 4), "w": (4, outputs), "wt": (outputs, 4), "b": (outputs,)}
    constants = [
        numpy_helper.from_array(generator.normal(0, 0.8, shape).astype(np.float32), name)
        for name, shape in weights.items()
    ]
    constants += [numpy_helper.from_array(np.array(one, dtype), name) for name, one, dtype in CONSTANTS]
    front = [helper.make_node("MatMul", ["x", "v"], ["m"]), helper.make_node("Tanh", ["m"], ["h"])]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    flat = any(node.op_type == "Squeeze" for node in nodes)
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] if flat else [None, None])
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph([*front, *nodes], "graph", [given], [answer], [*constants[:1], *_used(constants, used)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=9)


CONSTANTS = [("axes", [1], np.int64), ("one", 1.0, np.float32), ("index", [2], np.int64)]


def _used(constants: Any, names: set[str]) -> list[Any]:
    return [constant for constant in constants if constant.name in names and constant.name != "v"]


GEMM = helper.make_node("Gemm", ["h", "w", "b"], ["z"])
TURNED = helper.make_node("Gemm", ["h", "wt", "b"], ["z"], transB=1)
PRODUCT = [helper.make_node("MatMul", ["h", "w"], ["p"]), helper.make_node("Add", ["p", "b"], ["z"])]
SIGMOID = helper.make_node("Sigmoid", ["z"], ["y"])
ONNX_BINARY = {
    "gemm": [GEMM, SIGMOID],
    "transposed gemm": [TURNED, SIGMOID],
    "matmul and add": [*PRODUCT, SIGMOID],
    "squeezed": [GEMM, helper.make_node("Sigmoid", ["z"], ["s"]), helper.make_node("Squeeze", ["s", "axes"], ["y"])],
    "flat": [TURNED, helper.make_node("Flatten", ["z"], ["f"]), helper.make_node("Sigmoid", ["f"], ["y"])],
}


@pytest.mark.parametrize("name", ONNX_BINARY)
def test_onnx_sigmoids(name: str) -> None:
    model = onnx_model(*ONNX_BINARY[name], outputs=1)
    result = onnx_files.converted(model, labels=TWO)
    evaluator: Any = ReferenceEvaluator(model)
    yes = np.array([float(evaluator.run(None, {"x": row[None]})[0].reshape(())) for row in rows(5, 4)])
    assert np.ptp(yes) > 0.05
    np.testing.assert_allclose(said(result, rows(5, 4), TWO), np.stack([1 - yes, yes], 1), atol=1e-6)


def test_onnx_log_softmax_and_one_logit() -> None:
    model = onnx_model(GEMM, helper.make_node("LogSoftmax", ["z"], ["y"], axis=-1), outputs=3)
    evaluator: Any = ReferenceEvaluator(model)
    expected = np.exp(np.concatenate([evaluator.run(None, {"x": row[None]})[0] for row in rows(5, 4)]))
    np.testing.assert_allclose(said(onnx_files.converted(model), rows(5, 4), (0, 1, 2)), expected, atol=1e-6)
    model = onnx_model(helper.make_node("Gemm", ["h", "w", "b"], ["y"]), outputs=1)
    evaluator = ReferenceEvaluator(model)
    logits = np.concatenate([evaluator.run(None, {"x": row[None]})[0] for row in rows(5, 4)])[:, 0]
    result = onnx_files.converted(model, labels=TWO)
    np.testing.assert_allclose(said(result, rows(5, 4), TWO)[:, 1], 1 / (1 + np.exp(-logits)), atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "end", "sentence"),
    [
        (GEMM, "Sigmoid", "3 independent labels (multi-label)"),
        (TURNED, "Sigmoid", "3 independent labels (multi-label)"),
        (GEMM, "HardSigmoid", "numbers bounded by"),
        (TURNED, "Tanh", "numbers bounded by"),
    ],
)
def test_onnx_heads_that_are_refused_get_a_new_one(layer: Any, end: str, sentence: str) -> None:
    model = onnx_model(layer, helper.make_node(end, ["z"], ["y"]), outputs=3)
    with pytest.raises(SourceError) as error:
        onnx_files.converted(model)
    assert sentence in str(error.value)
    result = onnx_files.converted(model, labels=("a", "b"), head="new")
    assert result.facts["features"] == 4
    assert result.agreement.difference < 1e-6
    if end == "Sigmoid":
        one = onnx_files.converted(model, labels=TWO, column=1)
        evaluator: Any = ReferenceEvaluator(model)
        yes = np.concatenate([evaluator.run(None, {"x": row[None]})[0] for row in rows(5, 4)])[:, 1]
        np.testing.assert_allclose(said(one, rows(5, 4), TWO)[:, 1], yes, atol=1e-6)


@pytest.mark.parametrize("end", ["ArgMax", "TopK"])
def test_an_onnx_graph_that_answers_a_class_alone_gets_a_new_head(end: str) -> None:
    last = helper.make_node("ArgMax", ["z"], ["y"], axis=1, keepdims=0)
    if end == "TopK":
        last = helper.make_node("TopK", ["z", "how many"], ["greatest", "y"], axis=1)
    model = onnx_model(GEMM, last, outputs=3)
    model.graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "how many"))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.INT64, [1]))
    with pytest.raises(SourceError, match=r"numbers of type torch\.int64.*--head new --labels a,b"):
        onnx_files.converted(model)
    result = onnx_files.converted(model, labels=("a", "b"), head="new")
    assert result.facts["features"] == 4
    assert result.agreement.difference < 1e-6


def test_of_two_onnx_outputs_one_is_named() -> None:
    generator = np.random.default_rng(0)
    weights = {name: generator.normal(size=(4, count)).astype(np.float32) for name, count in (("w", 3), ("v", 2))}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("MatMul", ["x", "v"], ["y1"])]
    model = onnx_files.graph(*nodes, outputs=2, version=17, **weights)
    result = onnx_files.converted(model, answer="y1")
    evaluator: Any = ReferenceEvaluator(model)
    logits = np.concatenate([evaluator.run(["y1"], {"x": row[None]})[0] for row in rows(5, 4)])
    expected = torch.from_numpy(logits).softmax(1).numpy()
    np.testing.assert_allclose(said(result, rows(5, 4), (0, 1)), expected, atol=1e-6)


def text_folder(folder: Path, **options: Any) -> Path:
    return hugging_face.saved(hugging_face.made("distilbert", **options), folder)


TEXT = (ArrayInput("ids", (12,), whole=True),)


def tokens() -> tuple[Any, Any]:
    ids = np.random.default_rng(0).integers(0, 60, (4, 12)).astype(np.int32)
    return ids, np.ones((4, 12), np.int32)


def logits_of(model: Any) -> Any:
    ids, mask = tokens()
    with torch.no_grad():
        logits = model(input_ids=torch.from_numpy(ids).long(), attention_mask=torch.from_numpy(mask).long()).logits
    return logits.double()


def text_said(made: Finished, labels: Any) -> Any:
    ids, mask = tokens()
    given = [{"ids": item, "attention_mask": other} for item, other in zip(ids, mask, strict=True)]
    return probabilities(load(made.model), given, labels)


def test_a_folder_with_several_labels_at_once(tmp_path: Path) -> None:
    model = hugging_face.made("distilbert", problem_type="multi_label_classification")
    folder = hugging_face.saved(model, tmp_path)
    assert json.loads((folder / "config.json").read_text())["problem_type"] == "multi_label_classification"
    with pytest.raises(SourceError) as error:
        hugging_face.converted(folder, inputs=TEXT)
    assert "problem_type is 'multi_label_classification'" in str(error.value)
    assert "--column 0 --labels no,yes" in str(error.value)
    one = hugging_face.converted(folder, inputs=TEXT, labels=TWO, column=1)
    np.testing.assert_allclose(text_said(one, TWO)[:, 1], logits_of(model).sigmoid().numpy()[:, 1], atol=1e-5)
    result = hugging_face.converted(folder, inputs=TEXT, labels=("a", "b"), head="new")
    assert (result.facts["cut"], result.facts["features"]) == ("classifier", 16)
    assert result.agreement.difference < 1e-5


def test_a_folder_with_one_output(tmp_path: Path) -> None:
    model = hugging_face.made("distilbert", id2label={0: "score"})
    folder = hugging_face.saved(model, tmp_path / "plain")
    with pytest.raises(SourceError, match=r"no problem_type, which is regression: .*--labels no,yes"):
        hugging_face.converted(folder, inputs=TEXT)
    result = hugging_face.converted(folder, inputs=TEXT, labels=TWO)
    np.testing.assert_allclose(text_said(result, TWO)[:, 1], logits_of(model).sigmoid().numpy()[:, 0], atol=1e-5)
    folder = hugging_face.rewrite(folder, problem_type="regression")
    with pytest.raises(SourceError, match=r"problem_type is 'regression'"):
        hugging_face.converted(folder, inputs=TEXT, labels=TWO)
    assert hugging_face.converted(folder, inputs=TEXT, labels=TWO, head="new").facts["features"] == 16


@pytest.mark.parametrize("kind", ["vit", "ast", "wav2vec2"])
def test_a_new_head_behind_other_folders(kind: str, tmp_path: Path) -> None:
    settings = {"vit": hugging_face.PICTURES, "ast": {"do_normalize": True}, "wav2vec2": {"do_normalize": True}}[kind]
    folder = hugging_face.saved(hugging_face.made(kind), tmp_path, settings)
    inputs = (ArrayInput("sound", (400,)),) if kind == "wav2vec2" else ()
    result = hugging_face.converted(folder, inputs=inputs, labels=("a", "b"), head="new")
    assert result.agreement.difference < 1e-5
    assert result.updatable
    assert result.facts["features"] == (12 if kind == "wav2vec2" else 16)


def test_a_hugging_face_model_that_answers_a_dictionary(tmp_path: Path) -> None:
    """As ``torch.jit.trace`` keeps it, and as the module itself answers."""
    tracing = import_module("coreml_updatable.converters.torch.tracing")
    torch_modules = import_module("tests.converters.torch_modules")
    model = hugging_face.made("vit")
    picture = torch_modules.PICTURE.__class__("image", 16, 16, "rgb")
    with tracing.quiet():
        traced: Any = torch.jit.trace(model, torch.rand(1, 3, 16, 16), strict=False)
        traced.save(tmp_path / "traced.pt")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    with torch.no_grad():
        expected = model(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255).logits.double().softmax(1).numpy()
    for source in (tmp_path / "traced.pt", model):
        result = torch_modules.converted(source, picture, labels=hugging_face.LABELS, trust_code=True)
        answers = probabilities(load(result.model), [{"image": item} for item in pixels], hugging_face.LABELS)
        np.testing.assert_allclose(answers, expected, atol=1e-5)
