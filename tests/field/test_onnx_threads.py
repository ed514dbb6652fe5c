"""Threads about ONNX files, which coremltools reads no more, and what onnx-coreml made of them."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper, save
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

import coreml_updatable as cu
from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.converting.finished import finish
from coreml_updatable.converting.registry import find_converter, load_source_converter
from tests.field.networks import learns, probabilities, rules, seeded

pytestmark = pytest.mark.vision
LABELS = ("a", "b", "c")


def exported(network: nn.Module, path: Path, *shape: int, **options: Any) -> Path:
    """As torch's exporter writes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (torch.zeros(shape),), str(path), dynamo=False, opset_version=13, **options)
    return path


class Photos(nn.Module):
    """A convolution, ReLU, pooling, a flatten by ``view``, and a head; softmax(dim=1) where it is asked for."""

    def __init__(self, heads: int = 1, softmax: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, 2)
        self.heads, self.softmax = nn.ModuleList([nn.Linear(6, 3) for _ in range(heads)]), softmax

    def forward(self, pictures: Tensor) -> Any:
        seen = nn.functional.adaptive_avg_pool2d(self.conv(pictures).relu(), 1)
        seen = seen.view(seen.size(0), -1)
        answers = [head(seen) for head in self.heads]
        answers = [nn.Softmax(dim=1)(answer) for answer in answers] if self.softmax else answers
        return answers[0] if len(answers) == 1 else tuple(answers)


def pictures() -> Any:
    return np.random.default_rng(0).integers(0, 256, (5, 12, 12, 3), dtype=np.uint8)


def expected(network: nn.Module, number: int | None = None) -> Any:
    with torch.no_grad():
        said = network(torch.from_numpy(pictures()).permute(0, 3, 1, 2).float() / 255)
        said = said if number is None else said[number]
        return (said if getattr(network, "softmax", False) else said.softmax(1)).numpy()


@pytest.mark.field_case("apple/coremltools#1864", "an .onnx file of somebody else's to an .mlmodel", "works")
@pytest.mark.field_case("apple/coremltools#2225", "coremltools 7 and later convert no ONNX", "works")
@pytest.mark.field_case("apple/coremltools#2067", "why is onnx2coreml given up?", "works")
@pytest.mark.field_case("onnx/onnx-coreml#584", "nn.Softmax(dim=1): 'unsupported axis for softmax'", "works")
@pytest.mark.field_case("onnx/onnx-coreml#347", "a reshape whose target is computed from the batch", "works")
@pytest.mark.parametrize("softmax", [False, True])
def test_a_file_of_onnx(tmp_path: Path, softmax: bool) -> None:
    """The batch may be dynamic, so that ``view`` computes its target from the input's shape."""
    network = seeded(Photos(softmax=softmax))
    axes = {"input_names": ["input"], "dynamic_axes": {"input": {0: "batch"}}}
    path = exported(network, tmp_path / "model.onnx", 1, 3, 12, 12, **axes)
    image = cu.ImageInput("input", 12, 12, "rgb")
    result = cu.convert(path, inputs=[image], labels=LABELS, mean=(0,), std=(1,))
    assert rules(result) == set()
    given = [{"input": picture} for picture in pictures()]
    np.testing.assert_allclose(probabilities(result, given), expected(network), atol=1e-5)
    learns(result, given, "label", LABELS)


@pytest.mark.field_case("onnx/onnx-coreml#404", "boxes and confidences: a file with two outputs", "refused")
@pytest.mark.field_case("onnx/tutorials#115", "a model with several outputs, one of them a softmax", "refused")
def test_a_file_with_two_outputs(tmp_path: Path) -> None:
    """Which of them is the classes' is asked for, and its name is enough."""
    network = seeded(Photos(heads=2))
    names = ["coordinates", "confidence"]
    path = exported(network, tmp_path / "model.onnx", 1, 3, 12, 12, input_names=["image"], output_names=names)
    converter = load_source_converter(find_converter("onnx"))
    options: dict[str, Any] = {
        "inputs": (cu.ImageInput("image", 12, 12, "rgb"),),
        "labels": LABELS,
        "mean": (0.0,),
        "std": (1.0,),
    }
    with pytest.raises(cu.SourceError, match=r"--answer") as excinfo:
        finish(converter, SourceRequest(path, **options))
    assert "confidence" in str(excinfo.value)
    result = finish(converter, SourceRequest(path, answer="confidence", **options)).model
    said = probabilities(result, [{"image": picture} for picture in pictures()])
    np.testing.assert_allclose(said, expected(network, 1), atol=1e-5)


@pytest.mark.field_case(
    "apple/coremltools#1246", "an .onnx file by its path: 'bytes' object has no attribute 'shape'", "works"
)
def test_a_graph_written_by_hand(tmp_path: Path) -> None:
    """Gemm, Relu, Gemm, LogSoftmax, with constants as nodes and as initializers; ONNX's reference is the judge."""
    random = np.random.default_rng(0)
    numbers = {
        "w1": random.normal(size=(4, 6)),
        "b1": random.normal(size=6),
        "w2": random.normal(size=(3, 6)),
        "b2": random.normal(size=3),
    }
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in numbers.items()]
    nodes = [
        helper.make_node("Constant", [], ["w1"], value=tensors[0]),
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["z"], transB=1),
        helper.make_node("LogSoftmax", ["z"], ["y"], axis=1),
    ]
    described = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])]
    answer = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])]
    graph = helper.make_graph(nodes, "g", described, answer, tensors[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    save(model, str(tmp_path / "model.onnx"))
    result = cu.convert(tmp_path / "model.onnx", labels=LABELS)
    values = random.normal(size=(5, 1, 4)).astype(np.float32)

    def run(row: Any) -> Any:
        return ReferenceEvaluator(model).run(None, {"x": row})

    judge = np.concatenate([np.exp(run(row)[0]) for row in values])
    given = result.message.description.input[0]
    rows = [{str(given.name): row.reshape(given.type.multiArrayType.shape)} for row in values]
    np.testing.assert_allclose(probabilities(result, rows), judge, atol=1e-5)
