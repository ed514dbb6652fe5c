"""`mark --reserved`, `mark --head new`: what is written, what is said, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from coreml_updatable.checking import check
from coreml_updatable.spec.io import read_model, write_model
from coreml_updatable.spec.network import class_labels, network_of
from coreml_updatable.spec.reserved_labels import reserved_labels
from tests.cli.conftest import Run
from tests.cli.test_mark_names import said
from tests.marking.networks import converted


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_model(converted("two layers"), tmp_path / "source.mlmodel")
    return tmp_path / "source.mlmodel"


def test_spare_labels_get_defaults_with_which_they_can_be_learned(run: Run, source: Path) -> None:
    """A larger learning rate, one photo a step; and where they are hidden entirely, the advice not to."""
    out = source.with_name("spare.mlmodel")
    slow = "--reserved-share 0.01"
    for options, rate, size, advised in (
        ([], 0.01, 8, False),
        (["--reserved", "2"], 0.03, 1, True),
        (["--reserved", "2", "--reserved-share", "0.001"], 0.03, 1, True),
        (["--reserved", "2", "--reserved-share", "0.01"], 0.03, 1, False),
        (["--reserved", "2", "--learning-rate", "0.5", "--mini-batch", "4"], 0.5, 4, True),
    ):
        ran = run("mark", source, "-o", out, "--labels", "a,b,c", *options)
        assert (ran.status, slow in ran.out) == (0, advised)
        optimizer = network_of(read_model(out)).updateParams.optimizer.sgdOptimizer
        assert (optimizer.learningRate.defaultValue, optimizer.miniBatchSize.defaultValue) == (rate, size)
        output = json.loads(run("mark", source, "--labels", "a,b,c", "--dry-run", "--json", *options).out)
        assert [slow in line for line in output["advice"]] == [True] * advised


def test_marked_again_spare_labels_and_their_defaults_stay(run: Run, source: Path) -> None:
    once, twice = source.with_name("once.mlmodel"), source.with_name("twice.mlmodel")
    assert run("mark", source, "-o", once, "--labels", "a,b,c", "--reserved", "2").status == 0
    assert run("mark", once, "-o", twice).status == 0
    assert once.read_bytes() == twice.read_bytes()


def test_spare_labels_are_learned_by_update(run: Run, source: Path) -> None:
    out, twice, learned = (source.with_name(f"{name}.mlmodel") for name in ("out", "twice", "learned"))
    options = ["--labels", "a,b,c", "--reserved", "7", "--learning-rate", "1", "--mini-batch", "1", "--epochs", "50"]
    ran = run("mark", source, "-o", out, *options)
    assert ran.status == 0, ran.err
    assert "7 reserved labels, user0 to user6; none is predicted before it is trained\n" in ran.out
    assert run("mark", out, "-o", twice, *options).status == 0
    assert twice.read_bytes() == out.read_bytes()
    assert "coreml_updatable.spare_labels" in run("inspect", out).out
    rows = source.with_name("rows.json")
    row = {"image": np.linspace(-1, 1, 5).reshape(1, 5).tolist()}
    rows.write_text(json.dumps([{**row, "label": "user0"}]))
    before = run("predict", out, rows, "--json")
    assert json.loads(before.out)["label"] in ("a", "b", "c")
    assert run("update", out, rows, "-o", learned).status == 0
    assert json.loads(run("predict", learned, rows, "--json").out)["label"] == "user0"
    assert reserved_labels(read_model(learned))[0] == "user0"


def test_a_larger_share_and_a_small_batch(run: Run, source: Path) -> None:
    out = source.with_name("out.mlmodel")
    ran = run("mark", source, "-o", out, "--labels", "a,b,c", "--reserved", "7", "--reserved-share", "0.01")
    assert ran.status == 0, ran.err
    assert "none is predicted before it is trained, " in ran.out
    optimizer = read_model(out).neuralNetworkClassifier.updateParams.optimizer
    assert optimizer.sgdOptimizer.miniBatchSize.defaultValue == 1
    assert run("mark", source, "-o", out, "--labels", "a,b,c").status == 0
    optimizer = read_model(out).neuralNetworkClassifier.updateParams.optimizer
    assert optimizer.sgdOptimizer.miniBatchSize.defaultValue == 8


def test_a_new_head_without_them_gets_the_usual_defaults(run: Run, source: Path) -> None:
    spare, new = source.with_name("spare.mlmodel"), source.with_name("new.mlmodel")
    assert run("mark", source, "-o", spare, "--labels", "a,b,c", "--reserved", "2").status == 0
    assert run("mark", spare, "-o", new, "--head", "new", "--labels", "u,v").status == 0
    optimizer = network_of(read_model(new)).updateParams.optimizer.sgdOptimizer
    assert (optimizer.learningRate.defaultValue, optimizer.miniBatchSize.defaultValue) == (0.01, 8)


def test_only_those_added_take_their_share(run: Run, source: Path) -> None:
    first, more = source.with_name("first.mlmodel"), source.with_name("more.mlmodel")
    options = ["--labels", "a,b,c", "--reserved", "2", "--reserved-share", "0.05"]
    assert "0.05" in run("mark", source, "-o", first, *options).out
    added = run("mark", first, "-o", more, "--reserved", "3", "--reserved-share", "0.001").out
    assert "3 reserved labels, user0 to user2; none is predicted before it is trained, and the 1" in added
    none = run("mark", first, "-o", more, "--reserved", "2", "--reserved-share", "0.001").out
    assert "2 reserved labels, user0 to user1; none is predicted before it is trained\n" in none
    assert "--reserved-share 0.01" not in none
    ran = run("mark", first, "-o", more, "--reserved-share", "0.001")
    assert ran.status == 2
    assert "--reserved-share has no effect without --reserved" in ran.err


def test_a_new_head_for_other_labels(run: Run, source: Path) -> None:
    out, twice = source.with_name("out.mlmodel"), source.with_name("twice.mlmodel")
    options = ["--head", "new", "--labels", "salad,soup,fries,pizza", "--reserved", "2", "--last", "2", "--seed", "3"]
    ran = run("mark", source, "-o", out, *options)
    assert ran.status == 0, ran.err
    assert "fc1, fc2 are updatable and new; with the old weights, predictions agree within" in ran.out
    model = read_model(out)
    assert class_labels(model) == ("salad", "soup", "fries", "pizza", "user0", "user1")
    assert check(model) == []
    assert run("mark", out, "-o", twice, *options).status == 0
    assert twice.read_bytes() == out.read_bytes()
    report = json.loads(run("mark", source, "--dry-run", "--json", *options).out)
    assert (report["new_head"], report["reserved_labels"]) == (True, ["user0", "user1"])


@pytest.mark.parametrize(
    ("options", "status", "sentence"),
    [
        (["--reserved", "2"], 1, "reserved: the model has no labels, expected a classifier; give labels"),
        (["--labels", "a,b,c", "--reserved", "-2"], 1, "reserved: found -2, expected 0 or more"),
        (["--labels", "a,b,c", "--reserved", "100000"], 1, "reserved: found 100000, expected 0 to 1000"),
        (
            ["--labels", "a,user0,c", "--reserved", "1"],
            1,
            "'user0' is already a label, but user0 to user0 must be free",
        ),
        (
            ["--labels", "a,b,c", "--reserved", "2", "--reserved-share", "2"],
            1,
            "reserved_share: found 2, expected above 0",
        ),
        (["--reserved", "some"], 2, "Invalid value for '--reserved'"),
        (["--head", "other"], 2, "--head is 'other', expected one of 'keep', 'new'"),
        (["--labels", "a,b,c,d"], 1, "labels: found 4 for a network with 3 outputs"),
        (["--labels", "a,b,c,d", "--head", "new", "--layers", "fc1"], 1, "'fc2': gets new outputs"),
        (["--labels", "one", "--head", "new"], 1, "expected at least two"),
    ],
)
def test_heads_that_cannot_be(run: Run, source: Path, options: list[str], status: int, sentence: str) -> None:
    out = source.with_name("out.mlmodel")
    ran = run("mark", source, "-o", out, *options)
    assert (ran.status, out.exists()) == (status, False)
    assert sentence in said(ran.err)
