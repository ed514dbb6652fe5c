"""Threads about what Core ML answers: axes of a softmax, pixels, labels, layers with odd parameters."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder

import coreml_updatable as cu
from tests.field.networks import LABELS, dense_network, learns, probabilities, rules


@pytest.mark.field_case(
    "apple/coremltools#180", "the axis of a softmax: channels, of [C, H, W], unlike in Keras", "works"
)
@pytest.mark.field_case("onnx/onnx-coreml#497", "a softmax along axis 2 of [1, n, 2], for iOS 12 and 13", "works")
def test_the_axis_of_a_softmax() -> None:
    """softmax takes the channels, softmaxND its axis; torch is the judge."""
    values = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    old = NeuralNetworkBuilder([("x", datatypes.Array(3, 4, 5))], [("y", datatypes.Array(3, 4, 5))])
    old.add_softmax("softmax", "x", "y")
    said = np.reshape(cu.load(old.spec).predict({"x": values})["y"], (3, 4, 5))
    np.testing.assert_allclose(said, torch.from_numpy(values).softmax(0).numpy(), atol=1e-6)
    scores = np.random.default_rng(1).normal(size=(1, 30, 2)).astype(np.float32)
    new = NeuralNetworkBuilder(
        [("x", datatypes.Array(1, 30, 2))], [("y", datatypes.Array(1, 30, 2))], disable_rank5_shape_mapping=True
    )
    new.add_softmax_nd("softmax", "x", "y", 2)
    answer = cu.load(new.spec).predict({"x": scores})["y"]
    np.testing.assert_allclose(answer, torch.from_numpy(scores).softmax(2).numpy(), atol=1e-6)


@pytest.mark.field_case("tf-coreml/tf-coreml#252", "image_scale and biases of a MobileNet: are they applied?", "works")
@pytest.mark.parametrize("bgr", [False, True])
def test_the_scale_and_the_biases_of_pictures(bgr: bool) -> None:
    builder = NeuralNetworkBuilder([("image", datatypes.Array(3, 4, 4))], [("y", datatypes.Array(3, 4, 4))])
    builder.add_activation("same", "LINEAR", "image", "y", [1.0, 0.0])
    biases = {"red_bias": -1.0, "green_bias": -0.5, "blue_bias": -0.25}
    builder.set_pre_processing_parameters(
        image_input_names=["image"], image_scale=2 / 255, is_bgr=bgr, **biases
    )  # fmt: skip
    picture = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    said = np.reshape(cu.load(builder.spec).predict({"image": picture})["y"], (3, 4, 4))
    wanted = picture.astype(np.float64) * 2 / 255 + np.array(list(biases.values()))
    wanted = (wanted[..., ::-1] if bgr else wanted).transpose(2, 0, 1)
    np.testing.assert_allclose(said, wanted, atol=1e-6)


@pytest.mark.field_case("googleapis/python-vision#49", "an AutoML export that answers numbers and no label", "works")
def test_a_model_without_labels_gets_them() -> None:
    builder = dense_network((6, "RELU"), (3, "SIGMOID"), labels=())
    random = np.random.default_rng(3)
    plain = NeuralNetworkBuilder([("x", datatypes.Array(4))], [("scores", datatypes.Array(3))])
    plain.add_inner_product("fc", random.normal(size=(3, 4)), np.zeros(3), 4, 3, True, "x", "z")
    plain.add_softmax("softmax", "z", "scores")
    rows = [{"x": row} for row in random.normal(size=(6, 4)).astype(np.float32)]
    before = np.stack([np.ravel(answer["scores"]) for answer in cu.load(plain.spec).predict(rows)])
    result = cu.mark(plain.spec, labels=LABELS)
    assert rules(result) == set()
    assert result.predict(rows[0])["label"] == LABELS[int(before[0].argmax())]
    np.testing.assert_allclose(probabilities(result, rows), before, atol=1e-6)
    learns(result, rows, "label", LABELS)
    with pytest.raises(cu.ModelError, match="sigmoid"):
        cu.mark(builder.spec, labels=LABELS)  # probabilities of their own, which no softmax equals


@pytest.mark.field_case("tf-coreml/tf-coreml#180", "labels that are not as many as the probabilities", "warned")
@pytest.mark.parametrize("labels", [["a", "b"], [f"label {index}" for index in range(28)]])
def test_labels_that_are_not_as_many_as_the_probabilities(labels: list[str]) -> None:
    spec = dense_network((6, "RELU"), (3, None)).spec
    spec.neuralNetworkClassifier.stringClassLabels.vector[:] = labels
    (problem,) = cu.check(spec)
    assert (problem.rule, problem.severity) == ("L5.9", "warning")
    assert {str(len(labels)), "3"} <= set(str(problem).replace(",", " ").split())
    with pytest.raises(cu.UserError):
        cu.load(spec).predict({"x": np.zeros(4, np.float32)})


@pytest.mark.field_case(
    "huggingface/swift-coreml-transformers#16", "squeeze of an axis that is not of length 1", "refused"
)
def test_a_squeeze_of_a_long_axis() -> None:
    builder = NeuralNetworkBuilder(
        [("x", datatypes.Array(1, 256))], [("y", datatypes.Array(1))], disable_rank5_shape_mapping=True
    )
    builder.add_squeeze("squeeze", "x", "y", axes=[1])
    with pytest.raises(cu.UserError, match="squeeze") as excinfo:
        cu.load(builder.spec).predict({"x": np.zeros((1, 256), np.float32)})
    assert "256" in str(excinfo.value)


@pytest.mark.field_case("apple/coremltools#2036", "BatchNorm3d that normalizes by its own input", "works")
def test_batchnorm_of_volumes_by_their_own_numbers() -> None:
    """Means and deviations computed in the graph, over three axes."""
    values = np.random.default_rng(0).normal(2, 3, (1, 3, 4, 4, 4)).astype(np.float32)
    builder = NeuralNetworkBuilder(
        [("x", datatypes.Array(*values.shape))], [("y", datatypes.Array(*values.shape))],
        disable_rank5_shape_mapping=True,
    )  # fmt: skip
    axes = [2, 3, 4]
    builder.add_reduce_mean("mean", "x", "m", axes=axes, keepdims=True)
    builder.add_subtract_broadcastable("minus", ["x", "m"], "d")
    builder.add_multiply_broadcastable("square", ["d", "d"], "s")
    builder.add_reduce_mean("variance", "s", "v", axes=axes, keepdims=True)
    builder.add_unary("rsqrt", "v", "r", "rsqrt", epsilon=1e-5)
    builder.add_multiply_broadcastable("scaled", ["d", "r"], "y")
    said: Any = cu.load(builder.spec).predict({"x": values})["y"]
    expected = torch.nn.functional.batch_norm(torch.from_numpy(values), None, None, training=True)
    np.testing.assert_allclose(np.reshape(said, values.shape), expected.numpy(), atol=1e-4)


@pytest.mark.field_case(
    "huggingface/swift-coreml-transformers#15", "models of 134 bytes: unable to deserialize", "refused"
)
@pytest.mark.field_case(
    "huggingface/swift-coreml-transformers#18", "the compiler fails on a placeholder of git-lfs", "refused"
)
@pytest.mark.field_case(
    "huggingface/swift-coreml-transformers#26", "a downloaded zip without the files of git-lfs", "refused"
)
@pytest.mark.field_case("sgl0v/ImageColorizer#1", "a document that cannot be decoded, a pointer of git-lfs", "refused")
@pytest.mark.field_case("william0wang/MagicCamera#1", "deserialize error: the model was not pulled", "refused")
@pytest.mark.parametrize("ending", [".mlmodel", ".onnx", ".h5", ".keras", ".skops", ".safetensors", ".pt"])
def test_what_git_lfs_leaves_where_nothing_was_pulled(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"model{ending}"
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 180355072\n")
    uses: list[Callable[[], object]] = [
        lambda: cu.convert(path, labels=LABELS, inputs=[cu.ArrayInput("x", (4,))], architecture="timm:resnet18")
    ]
    if ending == ".mlmodel":
        uses += [lambda: cu.check(path), lambda: cu.load(path), lambda: cu.mark(path)]
    for use in uses:
        with pytest.raises(cu.UserError, match="git lfs pull") as excinfo:
            use()
        assert path.name in str(excinfo.value)


@pytest.mark.field_case(
    "apple/turicreate#2945", "a concatenation of a single feature: the export is invalid", "refused"
)
@pytest.mark.field_case("apple/coremltools#1043", "a split with a single output: the validator refuses it", "refused")
@pytest.mark.parametrize("kind", ["concat", "splitND"])
def test_layers_with_a_blob_too_few(kind: str) -> None:
    builder = NeuralNetworkBuilder([("x", datatypes.Array(4))], [("y", datatypes.Array(4))])
    builder.add_activation("same", "LINEAR", "x", "y", [1.0, 0.0])
    layer = builder.spec.neuralNetwork.layers[0]
    getattr(layer, kind).SetInParent()
    (problem,) = [problem for problem in cu.check(builder.spec) if problem.rule == "N2.16"]
    assert problem.severity == "error"
    assert "same" in problem.where
    assert {"1", "2"} <= set(f"{problem.found} {problem.expected}".replace(",", " ").split())
