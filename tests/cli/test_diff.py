"""`diff` as a user calls it."""

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest

from coreml_updatable.marking import describe, with_samples
from coreml_updatable.spec.io import write_model
from coreml_updatable.spec.messages import Model, Model_pb2
from tests.broken_models import valid
from tests.cli.conftest import Run
from tests.runtime.mutations import damaged_bytes


@pytest.fixture
def base(tmp_path: Path) -> Path:
    write_model(valid.classifier(), tmp_path / "base.mlmodel")
    return tmp_path / "base.mlmodel"


def written(model: Model, path: Path) -> Path:
    write_model(model, path)
    return path


def trained(amount: float = 1.0) -> Model:
    model = valid.classifier()
    valid.layer(model, "fc").innerProduct.weights.floatValue[0] += amount
    return model


def test_the_same_model_has_status_0(run: Run, base: Path, tmp_path: Path) -> None:
    other = written(valid.classifier(), tmp_path / "other.mlmodel")
    result = run("diff", base, other)
    assert (result.status, result.out) == (0, f"{base} → {other}: no difference in meaning\n")


def test_a_trained_head_has_status_1(run: Run, base: Path, tmp_path: Path) -> None:
    other = written(trained(), tmp_path / "other.mlmodel")
    result = run("diff", base, other)
    assert result.status == 1
    first, title, change = result.out.splitlines()
    assert first.endswith(": only the head (fc) changed")
    assert title == "Layers"
    assert "fc (innerProduct, updatable) weights: norm of the change 1 (" in change
    assert "432 values" in change


def test_what_an_update_changed(run: Run, vector_model: Path, neighbor_model: Path, tmp_path: Path) -> None:
    """Core ML's contract: an update touches the updatable layers' weights, or the samples, and nothing else."""
    (tmp_path / "rows.json").write_text('[{"x": [1, 0, 0, 0], "label": "yes"}, {"x": [0, 1, 0, 0], "label": "no"}]')
    for model, sentence in (
        (vector_model, "only the head (head) changed"),
        (neighbor_model, "only the samples of the nearest neighbors changed"),
    ):
        out = tmp_path / "personal.mlmodel"
        assert run("update", model, tmp_path / "rows.json", "-o", out).status == 0
        result = run("diff", model, out)
        assert (result.status, result.out.splitlines()[0]) == (1, f"{model} → {out}: {sentence}")


def test_every_kind_of_change_has_its_line(run: Run, base: Path, tmp_path: Path) -> None:
    other = trained(float("nan"))
    valid.sgd(other).learningRate.defaultValue = 0.5
    other.neuralNetworkClassifier.stringClassLabels.vector[0] = "z"
    other.neuralNetworkClassifier.layers.pop()
    valid.layer(other, "relu").name = "rectified"
    valid.layer(other, "conv").convolution.bias.floatValue.pop()
    valid.layer(other, "fc").innerProduct.bias.quantization.numberOfBits = 8
    result = run("diff", base, written(describe(other, author="me"), tmp_path / "other.mlmodel"))
    assert result.status == 1
    for line in (
        "  metadata.author: none → me",
        "  labels: a → z",
        "  learningRate: 0.01, 0 to 1 → 0.5, 0 to 1",
        "  removed: softmax (softmax)",
        "  relu (activation) name: relu → rectified",
        "  conv (convolution) bias: a different number of values, now 3",
        "other quantization or storage fields",
        "1 of them NaN or infinite",
    ):
        assert line in result.out


def test_samples(run: Run, tmp_path: Path) -> None:
    before = written(valid.pipeline(), tmp_path / "a.mlmodel")
    after = written(with_samples(valid.pipeline(), np.eye(2, 4), ["a", "b"]), tmp_path / "b.mlmodel")
    result = run("diff", before, after)
    assert result.status == 1
    assert "Model model1\n  Samples: 0 → 2\n    a: 1 added\n    b: 1 added\n" in result.out
    assert "1 removed" in run("diff", after, before).out


def test_json_is_ascii_and_complete(run: Run, base: Path, tmp_path: Path) -> None:
    other = written(describe(trained(float("inf")), author="e\u202egiant é"), tmp_path / "other.mlmodel")
    result = run("diff", base, other, "--json")
    assert result.status == 1
    assert result.out.isascii()
    report = json.loads(result.out)
    assert (report["same"], report["layers"]["changed"][0]["weights"][0]["not_finite"]) == (False, 1)
    assert report["description"][0]["after"] == "e\u202egiant é"


def test_a_file_cannot_speak_to_the_terminal(run: Run, base: Path, tmp_path: Path) -> None:
    other = trained()
    valid.layer(other, "fc").name = "\x1b[2J\u202ecf"
    result = run("diff", base, written(other, tmp_path / "other.mlmodel"))
    assert "\x1b" not in result.out
    assert "\u202e" not in result.out
    assert "\\x1b[2J\\u202ecf" in result.out


def test_a_long_list_is_cut(run: Run, base: Path, tmp_path: Path) -> None:
    other = valid.classifier()
    for index in range(60):
        other.description.metadata.userDefined[f"key{index}"] = "text"
    result = run("diff", base, written(other, tmp_path / "other.mlmodel"))
    assert "  … 20 more (--json has them all)" in result.out


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("content", [b"", b"hello", None, "random", "truncated", "another protobuf"])
def test_a_wrong_file_is_one_sentence(
    run: Run, base: Path, tmp_path: Path, content: bytes | str | None, side: int
) -> None:
    wrong = tmp_path / "wrong.mlmodel"
    match content:
        case bytes():
            wrong.write_bytes(content)
        case "random":
            wrong.write_bytes(Random(0).randbytes(5000))
        case "truncated":
            wrong.write_bytes(base.read_bytes()[:-100])
        case "another protobuf":
            wrong.write_bytes(valid.classifier().description.SerializeToString())
    result = run("diff", *((wrong, base), (base, wrong))[side])
    assert (result.status, result.out) == (1, "")
    assert len(result.err.splitlines()) == 1
    assert str(wrong) in result.err


def test_damaged_files_are_compared_or_refused(run: Run, base: Path, tmp_path: Path) -> None:
    content, other = base.read_bytes(), valid.pipeline().SerializeToString()
    for seed in range(60):
        wrong = tmp_path / "wrong.mlmodel"
        wrong.write_bytes(damaged_bytes(content, other, Random(seed)))
        result = run("diff", base, wrong)
        assert result.status in (0, 1)
        assert "Traceback" not in result.err
        assert bool(result.out) != bool(result.err)


def test_hostile_models_are_compared(run: Run, base: Path, tmp_path: Path) -> None:
    """Circular, with contradicting shapes, absurd sizes: all are differences like others."""
    hostile = valid.classifier()
    valid.layer(hostile, "conv").input[0] = "probabilities"
    valid.layer(hostile, "fc").innerProduct.inputChannels = 2**62
    valid.layer(hostile, "conv").convolution.kernelSize[:] = [2**63 - 1, 0]
    result = run("diff", base, written(hostile, tmp_path / "hostile.mlmodel"))
    assert result.status == 1
    assert f"fc (innerProduct, updatable) inputChannels: 144 → {2**62}" in result.out
    assert "conv (convolution) input: image → probabilities" in result.out


def test_wrong_usage(run: Run, base: Path) -> None:
    assert run("diff", base).status == 2


def test_nothing_heavy_is_imported() -> None:
    program = (
        "import sys; from coreml_updatable.spec.diff.models import difference\n"
        "from coreml_updatable.cli.commands.diff import diff; print(*sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not set(result.stdout.split()) & {
        "torch",
        "coremltools",
        "matplotlib",
        "sklearn",
        "pydantic",
        "rich",
        "numpy",
    }


def test_a_model_of_a_kind_without_layers(run: Run, tmp_path: Path) -> None:
    before, after = Model_pb2.Model(specificationVersion=1), Model_pb2.Model(specificationVersion=1)
    before.scaler.scaleValue.append(1)
    after.scaler.scaleValue.append(2)
    result = run("diff", written(before, tmp_path / "a.mlmodel"), written(after, tmp_path / "b.mlmodel"))
    assert "Settings\n  scaleValue: 1 → 2\n" in result.out
