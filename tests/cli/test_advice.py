"""An error's advice is tried by following it: what is advised works, and what is blamed is what is wrong."""

import json
import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
import torch
from onnx import TensorProto, helper
from onnx.numpy_helper import from_array
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import make_classification
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler
from torch import nn

import coreml_updatable as cu
from coreml_updatable.spec.io import write_model
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model_pb2
from tests.cli.conftest import SIDE, Run, noise

ROWS, CLASSES = make_classification(60, 5, n_informative=3, random_state=0)
FACTORY = (
    "from torch import nn\n\ndef make(n):\n    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, n))\n"
)


def dumped(estimator: Any, path: Path) -> Path:
    skops.io.dump(estimator.fit(np.abs(ROWS), CLASSES), path)
    return path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("step", [SimpleImputer(), KBinsDiscretizer(3)])
def test_a_step_of_scikit_learn_is_blamed_by_its_own_name(run: Run, step: Any, tmp_path: Path) -> None:
    path = dumped(make_pipeline(step, LogisticRegression()), tmp_path / "model.skops")
    ran = run("convert", path, "-o", tmp_path / "out.mlmodel")
    assert ran.status == 1
    assert type(step).__name__ in ran.err
    assert "StandardScaler" in ran.err
    assert "a selection of features" in ran.err
    assert "fit a Pipeline without it" in ran.err
    assert "your own" not in ran.err
    assert "--trust-code" not in ran.err
    for advised in (StandardScaler(), SelectKBest(k=3)):
        path = dumped(make_pipeline(advised, LogisticRegression()), path)
        assert run("convert", path, "-o", tmp_path / "out.mlmodel").status == 0


@pytest.mark.parametrize(
    ("wrong", "advice", "right"),
    [
        (SGDClassifier(loss="hinge"), "fit it with loss='log_loss'", SGDClassifier(loss="log_loss")),
        (KNeighborsClassifier(p=1), "fit it with metric='euclidean'", KNeighborsClassifier(metric="euclidean")),
        (KNeighborsClassifier(weights="distance"), "fit it with weights='uniform'", KNeighborsClassifier()),
    ],
)
def test_another_fit_that_is_advised_converts(run: Run, wrong: Any, advice: str, right: Any, tmp_path: Path) -> None:
    path, out = tmp_path / "model.skops", tmp_path / "out.mlmodel"
    assert advice in run("convert", dumped(wrong, path), "-o", out).err
    assert run("convert", dumped(right, path), "-o", out).status == 0


def test_an_input_that_is_advised_converts(run: Run, tmp_path: Path) -> None:
    path, out = dumped(LogisticRegression(), tmp_path / "model.skops"), tmp_path / "out.mlmodel"
    said = run("convert", path, "-o", out, "--input", "x:4").err
    advised = re.search(r"pass (--input \S+)", said)
    assert advised is not None, said
    assert run("convert", path, "-o", out, *shlex.split(advised[1])).status == 0


def test_what_is_said_of_code_names_all_that_is_missing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(FACTORY)
    out = tmp_path / "out.mlmodel"
    said = run("convert", tmp_path / "nets.py", "-o", out).err
    assert f"{tmp_path}/nets.py:FUNCTION" in said
    assert "--trust-code" in said
    said = run("convert", f"{tmp_path}/nets.py:make", "-o", out).err
    assert all(option in said for option in ("--trust-code", "--input", "--labels"))
    options = ["--trust-code", "--input", "x:4", "--labels", "a,b"]
    assert run("convert", f"{tmp_path}/nets.py:make", "-o", out, *options).status == 0
    torch.save(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).state_dict(), tmp_path / "w.pt")
    said = run("convert", tmp_path / "w.pt", "-o", out).err
    assert "--architecture torchvision:NAME, timm:NAME, or file.py:function and --trust-code" in said
    options += ["--architecture", f"{tmp_path}/nets.py:make"]
    assert run("convert", tmp_path / "w.pt", "-o", out, *options).status == 0


@pytest.mark.filterwarnings("ignore")
def test_torchscript_and_its_safe_roads(run: Run, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).eval()
    torch.jit.trace(network, torch.rand(1, 4)).save(tmp_path / "net.pt")
    out = tmp_path / "out.mlmodel"
    said = run("convert", tmp_path / "net.pt", "-o", out)
    assert said.status == 1
    assert all(option in said.err for option in ("--trust-code", "--input"))
    assert run("convert", tmp_path / "net.pt", "-o", out, "--trust-code", "--input", "x:4").status == 0


@pytest.mark.vision
@pytest.mark.filterwarnings("ignore")
def test_the_safe_road_of_onnx(run: Run, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).eval()
    torch.onnx.export(network, (torch.rand(1, 4),), tmp_path / "net.onnx", dynamo=False)
    assert run("convert", tmp_path / "net.onnx", "-o", tmp_path / "out.mlmodel").status == 0


class Sparsemax(nn.Module):
    """Martins and Astudillo 2016: a softmax with zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.fc(x)
        ordered, _ = logits.sort(-1, descending=True)
        sums = ordered.cumsum(-1)
        count = (1 + torch.arange(1, 4) * ordered > sums).sum(-1, keepdim=True)
        return torch.relu(logits - (sums.gather(-1, count - 1) - 1) / count)


@pytest.mark.vision
@pytest.mark.filterwarnings("ignore")
def test_a_sparsemax_in_onnx_and_its_logits(run: Run, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, path = Sparsemax().eval(), tmp_path / "net.onnx"
    command = ("convert", path, "-o", tmp_path / "out.mlmodel", "--labels", "a,b,c")
    torch.onnx.export(network, (torch.rand(1, 4),), path, dynamo=False)
    said = run(*command)
    assert said.status == 1
    assert "answers logits" in said.err
    assert "batch size" not in said.err
    torch.onnx.export(network.fc, (torch.rand(1, 4),), path, dynamo=False)
    assert run(*command).status == 0


def graph_with(domain: str, kind: str, outputs: list[str], **more: Any) -> Any:
    """x [1, 4] through the operator and a Gemm."""
    scalars = [from_array(np.array(0.1, np.float32), "scale"), from_array(np.array(0, np.uint8), "zero")]
    weights = from_array(np.ones((4, 3), np.float32), "weights")
    inputs = ["x", "scale", "zero"] if kind == "QuantizeLinear" else ["x"]
    nodes = [helper.make_node(kind, inputs, outputs, domain=domain, **more)]
    read = outputs[0]
    if "Quantize" in kind:
        scale, zero = ("scale", "zero") if kind == "QuantizeLinear" else outputs[1:]
        nodes.append(helper.make_node("DequantizeLinear", [read, scale, zero], ["d"]))
        read = "d"
    nodes.append(helper.make_node("Gemm", [read, "weights"], ["z"]))
    described = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in (("x", 4), ("z", 3))
    ]
    graph = helper.make_graph(nodes, "g", described[:1], described[1:], [*scalars, weights])
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.mark.vision
@pytest.mark.parametrize(
    ("model", "advice"),
    [
        (("", "QuantizeLinear", ["q"]), "as it was before quantization"),
        (("", "DynamicQuantizeLinear", ["q", "s", "n"]), "as it was before quantization"),
        (("ai.onnx.ml", "Normalizer", ["q"]), "the fitted scikit-learn model itself, saved with skops"),
        (("com.microsoft", "Gelu", ["q"]), "ORT_DISABLE_ALL"),
    ],
)
def test_an_operator_that_is_no_layer_is_told_as_what_it_is(run: Run, model: Any, advice: str, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(graph_with(*model).SerializeToString())
    command = ("convert", tmp_path / "net.onnx", "-o", tmp_path / "out.mlmodel")
    said = run(*command).err
    assert repr(model[1]) in said
    assert advice in said
    if "skops" in advice:
        assert run("convert", dumped(LogisticRegression(), tmp_path / "net.skops"), *command[2:]).status == 0
        return
    (tmp_path / "net.onnx").write_bytes(graph_with("", "Relu", ["q"]).SerializeToString())
    assert run(*command).status == 0


@pytest.mark.vision
def test_weights_of_timm_in_a_folder(run: Run, tmp_path: Path) -> None:
    create = import_module("coreml_updatable.converters.torch.architectures").create
    save_file(
        {key: value.contiguous() for key, value in create("timm:mobilenetv3_small_050", 3).state_dict().items()},
        tmp_path / "model.safetensors",
    )
    settings = {"input_size": [3, 64, 64], "mean": [0.5] * 3, "std": [0.5] * 3}
    config = {"architecture": "mobilenetv3_small_050", "num_classes": 3, "pretrained_cfg": settings}
    (tmp_path / "config.json").write_text(json.dumps(config))
    out = tmp_path / "out.mlmodel"
    said = run("convert", tmp_path, "-o", out).err
    advised = said.strip().rpartition("convert the weights in it: ")[2]
    ran = run("convert", *shlex.split(advised), "-o", out)
    assert ran.status == 0, ran.err
    assert "pixels of 0..1, less 0.5, divided by 0.5" in ran.out


def test_folders_for_a_model_that_is_not_updatable(run: Run, picture_model: Path, photos: Path, tmp_path: Path) -> None:
    frozen = Model_pb2.Model()
    frozen.CopyFrom(cu.load(picture_model).message)
    frozen.isUpdatable = False
    del frozen.description.trainingInput[:]
    network = getattr(frozen, str(frozen.WhichOneof("Type")))
    network.ClearField("updateParams")
    for layer in network.layers:
        layer.isUpdatable = False
    path, out = tmp_path / "frozen.mlmodel", tmp_path / "out.mlmodel"
    write_model(frozen, path)
    said = run("update", path, photos, "-o", out).err
    assert "is not updatable; mark it first" in said
    assert run("mark", path, "-o", tmp_path / "UPDATABLE.mlmodel").status == 0
    ran = run("update", tmp_path / "UPDATABLE.mlmodel", photos, "-o", out)
    assert ran.status == 0, ran.err


def test_nothing_is_said_of_fitting_where_every_picture_fits(run: Run, picture_model: Path, tmp_path: Path) -> None:
    noise(0).save(tmp_path / "fits.png")
    assert run("predict", picture_model, tmp_path / "fits.png").err == ""
    noise(0, SIDE + 1, SIDE).save(tmp_path / "wide.png")
    both = run("predict", picture_model, tmp_path / "fits.png", tmp_path / "wide.png")
    assert both.err == "pictures of another size: centerCrop\n"
    Image.new("RGB", (SIDE, SIDE)).save(tmp_path / "fits.jpg")
    assert run("predict", picture_model, tmp_path / "fits.jpg").err == ""


def test_a_model_that_stands_alone_is_told_no_tale_of_pipelines(run: Run, tmp_path: Path) -> None:
    model = Model_pb2.Model(specificationVersion=3)
    model.customModel.className = "Mine"
    model.description.input.add(name="x").type.doubleType.SetInParent()
    model.description.output.add(name="y").type.doubleType.SetInParent()
    write_model(model, tmp_path / "mine.mlmodel")
    (tmp_path / "rows.json").write_text('[{"x": 1}]')
    said = run("predict", tmp_path / "mine.mlmodel", tmp_path / "rows.json").err
    assert "'Mine'" in said
    assert "pipeline" not in said


def one_hot() -> Any:
    """As coremltools converts a OneHotEncoder of scikit-learn: each column has names of the converter's own."""
    model = Model_pb2.Model(specificationVersion=4)
    pipeline = model.pipelineRegressor.pipeline
    taken, encoded, last = (pipeline.models.add(specificationVersion=1) for _ in range(3))
    _array(model.description.input.add(name="input"), 3)
    _array(taken.description.input.add(name="input"), 3)
    taken.arrayFeatureExtractor.extractIndex.append(2)
    taken.description.output.add(name="__OHE_0__").type.doubleType.SetInParent()
    encoded.description.input.add(name="__OHE_0__").type.int64Type.SetInParent()
    encoded.oneHotEncoder.int64Categories.vector.extend([1, 2])
    _array(encoded.description.output.add(name="__OHE_out_0__"), 2)
    _array(last.description.input.add(name="__OHE_out_0__"), 2)
    last.glmRegressor.weights.add().value.extend([1, 2])
    last.glmRegressor.offset.append(0)
    for description in (last.description, model.description):
        description.output.add(name="y").type.doubleType.SetInParent()
        description.predictedFeatureName = "y"
    return model


def _array(feature: Any, length: int) -> None:
    feature.type.multiArrayType.shape.append(length)
    feature.type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.DOUBLE


def test_a_feature_is_named_as_the_model_and_the_row_name_it(run: Run, tmp_path: Path) -> None:
    write_model(one_hot(), tmp_path / "hot.mlmodel")
    (tmp_path / "rows.json").write_text('[{"input": [5, 6, 7]}]')
    said = run("predict", tmp_path / "hot.mlmodel", tmp_path / "rows.json").err
    assert "feature 'input'[2]: is 7, which is not one of the model's categories" in said
    (tmp_path / "rows.json").write_text('[{"input": [5, 6, 1.5]}]')
    said = run("predict", tmp_path / "hot.mlmodel", tmp_path / "rows.json").err
    assert "feature 'input'[2]: is 1.5, expected an integer" in said
    for word in ("__OHE_0__", "np."):
        assert word not in said


@pytest.mark.parametrize("value", [np.str_("zebra"), np.int64(7), np.float32(0.5)])
def test_a_label_of_numpys_is_told_as_pythons(picture_model: Path, value: Any) -> None:
    rows = [{"image": np.zeros((SIDE, SIDE, 3), np.uint8), "label": value}]
    with pytest.raises(cu.ModelError) as refusal:
        cu.UpdateTask(picture_model, rows).resume()
    assert repr(value.item()) in str(refusal.value)
    assert "np." not in str(refusal.value)


def test_a_picture_without_a_label_goes_into_a_folder_of_its_name(
    run: Run, picture_model: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new.mlmodel"
    ran = run("update", picture_model, photos / "red" / "d.png", "-o", out)
    assert ran.status == 1
    assert "put it into a folder named after its label, and pass the folder around that" in ran.err
    alone = tmp_path / "alone" / "red"
    alone.mkdir(parents=True)
    (photos / "red" / "d.png").rename(alone / "d.png")
    assert run("update", picture_model, alone.parent, "-o", out).status == 0


def test_a_knn_is_no_network_to_make_one_of(run: Run, picture_model: Path, photos: Path, tmp_path: Path) -> None:
    result, again = tmp_path / "knn.mlmodel", tmp_path / "again.mlmodel"
    assert run("knn", picture_model, "-o", result).status == 0
    ran = run("knn", result, "-o", again)
    assert ran.status == 1
    assert "ends in a k-NN already; update it, or give the network that it was made from" in ran.err
    assert run("update", result, photos, "-o", again).status == 0


def test_choices_are_listed_on_one_line(run: Run, picture_model: Path, tmp_path: Path) -> None:
    ran = run("layout", picture_model, "-o", f"{tmp_path}/app/")
    assert ran.status == 2
    assert "Choose from: single, pipeline, split" in ran.err
