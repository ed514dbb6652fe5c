"""`layout` as a user calls it: files in, files out, and back again."""

import json
import os
from pathlib import Path

import pytest

from coreml_updatable.spec.io import model_bytes, write_model
from coreml_updatable.spec.network import network_of
from tests.broken_models import valid
from tests.cli.conftest import Run, classifier


def plain_text(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


@pytest.fixture
def single(tmp_path: Path) -> Path:
    write_model(valid.classifier(), tmp_path / "Meals.mlmodel")
    return tmp_path / "Meals.mlmodel"


def test_split_to_pipeline_to_single_and_back(run: Run, single: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    ran = run("layout", single, "--to", "split", "-o", out)
    assert ran.status == 0, ran.err
    front, head = out / "Meals.mlmodel", out / "MealsHead.mlmodel"
    assert f"split     {front.stat().st_size:,} + {head.stat().st_size:,} bytes" in ran.out
    assert f"single    {single.stat().st_size:,} bytes" in ran.out
    assert "answers within 0 of those before" in ran.out
    assert ran.out.endswith(f"{front} and {head} written\n")
    pipeline, joined, again = tmp_path / "pipeline.mlmodel", tmp_path / "joined.mlmodel", tmp_path / "Other"
    assert run("layout", head, front, "--to", "pipeline", "-o", pipeline).status == 0
    assert run("check", "--strict", front, head, pipeline).status == 0
    assert run("layout", pipeline, "--to", "single", "-o", joined).status == 0
    assert joined.read_bytes() == single.read_bytes()
    assert run("layout", pipeline, "--to", "split", "-o", again).status == 0
    assert (tmp_path / "Other.mlmodel").read_bytes() == front.read_bytes()
    assert (tmp_path / "OtherHead.mlmodel").read_bytes() == head.read_bytes()
    assert run("layout", head, front, "--to", "split", "--bits", "16", "-o", out).status == 0  # in their own place
    assert sorted(out.iterdir()) == [front, head]
    assert front.stat().st_size < (tmp_path / "Other.mlmodel").stat().st_size


def test_the_head_is_updated_alone(run: Run, tmp_path: Path) -> None:
    """With features of the extractor; and what it learned goes back into one network."""
    network = classifier(["no", "yes"], image=False, size=4)
    write_model(network, tmp_path / "Numbers.mlmodel")
    assert run("layout", tmp_path / "Numbers.mlmodel", "--to", "split", "-o", tmp_path / "Split").status == 0
    rows = [{"x": [1.0, 2.0, 3.0, 4.0], "label": "yes"}, {"x": [-1.0, 0.0, 1.0, 0.5], "label": "no"}]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    features = [{"features": row["x"], "label": row["label"]} for row in rows]
    (tmp_path / "features.json").write_text(json.dumps(features))
    head, learned, whole = tmp_path / "SplitHead.mlmodel", tmp_path / "LearnedHead.mlmodel", tmp_path / "whole.mlmodel"
    assert run("update", head, tmp_path / "features.json", "-o", learned).status == 0
    assert run("update", tmp_path / "Numbers.mlmodel", tmp_path / "rows.json", "-o", whole).status == 0
    joined = tmp_path / "joined.mlmodel"
    assert run("layout", tmp_path / "Split.mlmodel", learned, "--to", "single", "-o", joined).status == 0
    assert joined.read_bytes() == whole.read_bytes()


def test_a_dry_run_writes_nothing(run: Run, single: Path) -> None:
    before = sorted(single.parent.iterdir())
    ran = run("layout", single, "--to", "split", "--bits", "8", "--dry-run", "--json")
    report = json.loads(ran.out)
    assert (ran.status, report["models"], report["bits"]) == (0, [], 8)
    assert sorted(report["bytes"]) == ["pipeline", "single", "split"]
    assert 0 < report["largest_difference"]["answers"] < 0.1
    assert "nothing written" in run("layout", single, "--to", "pipeline", "--dry-run").out
    assert sorted(single.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--to", "split"], "-o is required"),
        (["--to", "single", "-o", "."], "-o . is a folder; name a file in it"),
        (["--to", "pair", "-o", "x"], "--to is 'pair', expected one of"),
        (["--to", "split", "--bits", "4", "-o", "x"], "--bits is '4', expected one of"),
    ],
)
def test_usage(run: Run, single: Path, options: list[str], sentence: str) -> None:
    ran = run("layout", single, *options)
    assert ran.status == 2
    assert sentence in plain_text(ran.err)


def test_what_cannot_be_laid_out_leaves_both_old_files(run: Run, single: Path, tmp_path: Path) -> None:
    """Truncated, random, circular, absurd, NaN, plain or foreign files: one sentence each."""
    circular, absurd, wide, poisoned, itself = (valid.classifier() for _ in range(5))
    network_of(circular).layers[0].input[0] = network_of(circular).layers[-1].output[0]
    absurd.description.input[0].type.multiArrayType.shape[:] = [3, 2**40, 2**40]
    network_of(wide).layers[3].innerProduct.inputChannels = 2**50
    network_of(poisoned).layers[0].convolution.weights.floatValue[0] = float("nan")
    network_of(itself).layers[3].input[0] = network_of(itself).layers[3].output[0]
    wrong = {
        "random": os.urandom(64),
        "truncated": single.read_bytes()[:-40],
        "empty": b"",
        "circular": model_bytes(circular),
        "absurd": model_bytes(absurd),
        "wide": model_bytes(wide),
        "NaN": model_bytes(poisoned),
        "itself": model_bytes(itself),
        "k-NN": model_bytes(valid.nearest_neighbors()),
        "plain": model_bytes(valid.exact()),
    }
    old = [tmp_path / "old.mlmodel", tmp_path / "oldHead.mlmodel"]
    for path in old:
        path.write_bytes(b"old")
    for name, content in wrong.items():
        given = tmp_path / f"{name}.mlmodel"
        given.write_bytes(content)
        for files in ([given], [single, given]):
            ran = run("layout", *files, "--to", "split", "-o", tmp_path / "old")
            assert (ran.status, len(ran.err.splitlines())) == (1, 1), (name, ran.err)
            assert ran.err.startswith("coreml-updatable: "), name
    assert [path.read_bytes() for path in old] == [b"old", b"old"]


def test_a_split_is_written_as_both_files_or_none(run: Run, single: Path, tmp_path: Path) -> None:
    (tmp_path / "outHead.mlmodel").mkdir()  # no file can be put there
    ran = run("layout", single, "--to", "split", "-o", tmp_path / "out")
    assert (ran.status, "folder; name a file in it" in plain_text(ran.err)) == (2, True)
    assert not (tmp_path / "out.mlmodel").exists()


def test_a_model_is_marked_and_laid_out_at_once(run: Run, tmp_path: Path) -> None:
    """As marking first, and then laying out."""
    plain, marked = tmp_path / "plain.mlmodel", tmp_path / "marked.mlmodel"
    write_model(valid.classifier(), plain)
    assert run("mark", plain, "-o", marked).status == 0
    assert run("layout", marked, "--to", "split", "--bits", "16", "-o", tmp_path / "two-steps").status == 0
    folder = tmp_path / "app"
    folder.mkdir()
    ran = run("mark", plain, "-o", folder, "--layout", "split:16")
    assert ran.status == 0, ran.err
    assert "the extractor has 16 bits" in ran.out
    for name in ("", "Head"):
        assert (folder / f"plain{name}.mlmodel").read_bytes() == (tmp_path / f"two-steps{name}.mlmodel").read_bytes()
    report = json.loads(run("mark", plain, "--layout", "pipeline", "--dry-run", "--json").out)
    assert (report["model"], report["updatable"], report["layout"]["models"]) == (None, ["fc"], [])
    ran = run("mark", plain, "--layout", "single", "-o", tmp_path / "single.mlmodel")
    assert ran.status == 0, ran.err
    assert (tmp_path / "single.mlmodel").read_bytes() == marked.read_bytes()
    for text in ("double", "pipeline:12", "split:"):
        ran = run("mark", plain, "--dry-run", "--layout", text)
        assert (ran.status, f"--layout {text}: expected single, pipeline or split" in plain_text(ran.err)) == (2, True)
    ran = run("mark", plain, "--dry-run", "--layout", "single:16")
    assert (ran.status, "a single network with 16 bits cannot be trained" in ran.err) == (1, True)
