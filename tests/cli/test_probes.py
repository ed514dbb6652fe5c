"""`probes`: from the folder that an app runs to the defaults of `update`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreml_updatable.checking import check
from coreml_updatable.cli.assumptions import place
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import read_model
from coreml_updatable.updating import Assumptions, UpdateContext, UpdateTask
from coreml_updatable.updating.probes.outcomes import choices
from tests.cli.conftest import Run


def _as_an_app_does(folder: Path, entry: dict[str, Any], assumptions: Assumptions) -> list[float]:
    """What docs/probes.md has the app do, from the files alone."""
    losses: dict[str, list[float]] = {"mini-batch losses": [], "epoch losses": []}

    def on_event(context: UpdateContext) -> None:
        if context.event == "miniBatchEnd":
            losses["mini-batch losses"].append(context.metrics["lossValue"])
        if context.event == "epochEnd":
            losses["epoch losses"].append(context.metrics["lossValue"])
            for change in entry["atEpochEnd"]:
                if change["epoch"] == context.metrics["epochIndex"]:
                    context.task.resume(change["parameters"])

    model = load(folder / entry["model"], assumptions=assumptions)
    if entry["rows"]:
        before = model
        for _ in range(entry["updates"]):
            model = UpdateTask(before, entry["rows"], on_event=on_event, assumptions=assumptions).resume().model
    read = entry["read"]
    if read["what"] in losses:
        return losses[read["what"]]
    value = model.predict(entry["query"])[read["name"]]
    match read["what"]:
        case "label":
            return [float(value)]
        case "count":
            return [len(value)]
        case "probabilities":
            return [value[label] for label in read["labels"]]
    return [float(number) for number in np.ravel(value)]


@pytest.fixture
def probed(run: Run, tmp_path: Path) -> Path:
    assert run("probes", tmp_path / "probes").status == 0
    return tmp_path / "probes"


def _results(folder: Path, assumptions: Assumptions) -> Path:
    content = json.loads((folder / "probes.json").read_text())
    results = {entry["assumption"]: _as_an_app_does(folder, entry, assumptions) for entry in content["probes"]}
    path = folder / "RESULTS.json"
    path.write_text(json.dumps({"version": 2, "os": "iOS 19", "device": "iPhone 17", "results": results}))
    return path


def test_a_device_is_recognized_from_the_files_alone(run: Run, probed: Path) -> None:
    device = Assumptions(
        gradient="sum",
        epoch_loss="mean over rows",
        shuffled="mini-batches",
        no_seed="new order",
        momentum="velocity",
        adam_eps="inside",
        generator="MT19937",
    )
    ran = run("probes", "--read", _results(probed, device), "--json")
    assert ran.status == 0
    result = {verdict["assumption"]: verdict["choice"] for verdict in json.loads(ran.out)["verdicts"]}
    assert {option: result[option] for option in asdict(device)} == asdict(device)


def test_what_was_found_becomes_the_default_of_update(
    run: Run, probed: Path, vector_model: Path, tmp_path: Path
) -> None:
    ran = run("probes", "--read", _results(probed, Assumptions(gradient="sum")))
    assert ran.out.splitlines()[0] == "gradient: 'sum' (1, -1)"
    assert ran.out.splitlines()[-1] == f"stored as your default in {place()}"
    (tmp_path / "rows.json").write_text(json.dumps([{"x": [1, 2, 3, 4], "label": "yes"}] * 2))
    update = ["update", vector_model, tmp_path / "rows.json", "--no-shuffle", "--mini-batch-size", 2]
    stored = run(*update, "-o", tmp_path / "stored.mlmodel")
    assert stored.out.splitlines()[-1] == "assumptions: gradient=sum (probed on iPhone 17, iOS 19)"
    named = run(*update, "-o", tmp_path / "mean.mlmodel", "--assume", "gradient=mean")
    assert named.out.splitlines()[-1] == "assumptions: the defaults (probed on iPhone 17, iOS 19)"
    place().unlink()
    run(*update, "-o", tmp_path / "sum.mlmodel", "--assume", "gradient=sum")
    run(*update, "-o", tmp_path / "default.mlmodel")
    files = [(tmp_path / f"{name}.mlmodel").read_bytes() for name in ("stored", "sum", "mean", "default")]
    assert files[0] == files[1] != files[2] == files[3]


def test_the_library_never_reads_what_is_stored(run: Run, probed: Path, vector_model: Path) -> None:
    run("probes", "--read", _results(probed, Assumptions(gradient="sum")))
    rows = [{"x": np.ones(4), "label": "yes"}] * 2
    silent = UpdateTask(vector_model, rows, {"shuffle": False}).resume()
    named = UpdateTask(vector_model, rows, {"shuffle": False}, assumptions=Assumptions()).resume()
    assert silent.model.message == named.model.message


def test_the_models_are_fit_for_a_device(probed: Path) -> None:
    entries = json.loads((probed / "probes.json").read_text())["probes"]
    assert {entry["model"] for entry in entries} == {path.name for path in probed.glob("*.mlmodel")}
    for entry in entries:
        problems = [problem for problem in check(probed / entry["model"]) if problem.severity == "error"]
        assert not problems, entry["model"]
        assert read_model(probed / entry["model"]).isUpdatable or not entry["rows"]


def test_writing_twice_gives_the_same_bytes(run: Run, probed: Path, tmp_path: Path) -> None:
    run("probes", tmp_path / "again")
    for path in probed.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_a_result_that_fits_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps({**VALID, "results": {"gradient": [0.25, None]}}))
    ran = run("probes", "--read", tmp_path / "r.json")
    assert ran.status == 1
    assert "gradient: 0.25, nan fits no choice (mean: 0.5, -0.5; sum: 1, -1)" in ran.out
    assert ran.out.splitlines()[-1] == "nothing to store"
    assert not place().exists()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"version": 2, "device": "x", "os": "x", "results": [1]}',
        '{"version": 2, "device": "x", "os": "x", "results": {"gradient": 1}}',
        '{"version": 2, "device": "x", "os": "x", "results": {"gradient": ["a"]}}',
        "[" * 10**5,
    ],
)
def test_results_that_are_none(run: Run, tmp_path: Path, content: str) -> None:
    (tmp_path / "r.json").write_text(content)
    ran = run("probes", "--read", tmp_path / "r.json")
    assert ran.status == 1
    assert ran.err.startswith(f"coreml-updatable: {tmp_path / 'r.json'}: is not the app's output (")
    assert len(ran.err.splitlines()) == 1


VALID = {"version": 2, "device": "iPhone15,2", "os": "iOS 18.1", "results": {"gradient": [1.0, -1.0]}}


def test_results_become_a_file_to_send_in(run: Run, tmp_path: Path) -> None:
    results, sent = tmp_path / "r.json", tmp_path / "sent" / "iphone.json"
    results.write_text(json.dumps({**VALID, "results": {"gradient": [1.0, -1.0], "adam_eps": [None, 1e300]}}))
    ran = run("probes", "--read", results, "-o", sent, "--json")
    assert ran.status == 1  # the other probes have no result
    assert {key: json.loads(ran.out)[key] for key in ("device", "os")} == {"device": "iPhone15,2", "os": "iOS 18.1"}
    written = json.loads(sent.read_text())
    assert written["choices"].keys() == set(choices())
    assert {option for option, choice in written["choices"].items() if choice} == {"gradient"}
    assert {key: value for key, value in written.items() if key != "choices"} == {
        **VALID, "results": {"gradient": [1.0, -1.0], "adam_eps": [None, 1e300]},
    }  # fmt: skip
    content = sent.read_bytes()
    written["choices"]["gradient"] = "mean"  # what somebody else says it shows
    sent.write_text(json.dumps(written))
    assert run("probes", "--read", sent, "-o", tmp_path / "again.json").status == 1
    assert (tmp_path / "again.json").read_bytes() == content
    assert json.loads(place().read_text()) == {"device": "iPhone15,2, iOS 18.1", "choices": {"gradient": "sum"}}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"version": 3}, "has version 3, expected 2; use a newer coreml_updatable"),
        ({"version": 1}, 'is an older file, expected version 2; set "version": 2'),
        ({"version": "1"}, "version"),
        ({"date": "2026-13-01"}, "date"),
        ({"date": "2026-11-30T10:00"}, "date"),
        ({"date": 20261130}, "date"),
        ({"version": True}, "version"),
        ({"version": None}, "version"),
        ({"device": None}, "device"),
        ({"device": ["iPhone"]}, "device"),
        ({"os": 18}, "os"),
        ({"more": 1}, "more"),
        ({"results": None}, "results"),
        ({"results": {"gradient": {"0": 1}}}, "results.gradient"),
        ({"results": {"gradient": [True]}}, "results.gradient.0"),
        ({"results": {"gradient": ["1"]}}, "results.gradient.0"),
        ({"results": {"gradient": [10**400]}}, "is not the app's output"),
        ({"results": {"gradient": [0.0] * 1001}}, "results.gradient"),
        ({"results": {f"option{index}": [] for index in range(1001)}}, "results"),
        ({"choices": []}, "choices"),
    ],
)
def test_files_sent_in_are_not_believed(run: Run, tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps({**VALID, **change}))
    ran = run("probes", "--read", path, "-o", tmp_path / "new.json")
    assert ran.status == 1
    assert str(path) in ran.err
    assert sentence in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "new.json").exists()
    assert not place().exists()


def test_texts_of_a_device_are_short_and_printable(run: Run, tmp_path: Path) -> None:
    hostile = {
        "device": "\x1b[2Jgone\n" + "a" * 500,
        "os": "\u202e\x07",
        "results": {"taste": [1], "gradient": [1, -1]},
    }
    (tmp_path / "r.json").write_text(json.dumps({**VALID, **hostile}))
    run("probes", "--read", tmp_path / "r.json", "-o", tmp_path / "new.json")
    written = json.loads((tmp_path / "new.json").read_text())
    assert written["device"].isprintable()
    assert len(written["device"]) == 100
    assert written["os"] == "unknown"
    assert written["results"] == {"gradient": [1.0, -1.0]}


def test_a_file_of_before_there_were_versions_is_told_what_to_change(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps({"device": "iPhone", "results": {"gradient": [1, -1]}}))
    ran = run("probes", "--read", tmp_path / "r.json")
    assert ran.status == 1
    assert 'r.json: is an older file, expected version 2; set "version": 2' in ran.err


def test_the_date_is_kept(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps({**VALID, "date": "2026-11-30"}))
    run("probes", "--read", tmp_path / "r.json", "-o", tmp_path / "sent.json")
    assert json.loads((tmp_path / "sent.json").read_text())["date"] == "2026-11-30"


@pytest.mark.parametrize("arguments", [["probes", "-o", "x.json"], ["--read", "r.json", "-o", "r.json"]])
def test_where_the_file_goes(run: Run, tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.json").write_text(json.dumps(VALID))
    assert run("probes", *arguments).status == 2
    assert json.loads((tmp_path / "r.json").read_text()) == VALID
    assert not (tmp_path / "probes").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not a file that `probes --read` wrote"),
        ('{"device": "x", "choices": {"gradient": "median"}}', "gradient is 'median', expected one of 'mean', 'sum'"),
        (
            '{"device": "x", "choices": {"taste": "good"}}',
            "unknown assumption 'taste'; the assumptions are inverse_of, ",
        ),
    ],
)
def test_a_damaged_default_is_refused(
    run: Run, vector_model: Path, tmp_path: Path, content: str, sentence: str
) -> None:
    place().parent.mkdir(parents=True)
    place().write_text(content)
    (tmp_path / "rows.json").write_text(json.dumps({"x": [1, 2, 3, 4], "label": "yes"}))
    ran = run("update", vector_model, tmp_path / "rows.json", "-o", tmp_path / "new.mlmodel")
    assert ran.status == 1
    assert f"{place()}: {sentence}" in ran.err
    assert "read the results again, or delete it" in ran.err


def test_a_default_under_the_former_name_is_named(run: Run, vector_model: Path, tmp_path: Path) -> None:
    former = place().with_name("variants.json")
    former.parent.mkdir(parents=True)
    former.write_text('{"device": "x", "variants": {"gradient": "sum"}}')
    (tmp_path / "rows.json").write_text(json.dumps({"x": [1, 2, 3, 4], "label": "yes"}))
    update = ["update", vector_model, tmp_path / "rows.json", "-o", tmp_path / "new.mlmodel"]
    ran = run(*update)
    assert ran.status == 1
    assert str(former) in ran.err
    assert "assumptions.json" in ran.err
    assert "probes --read" in ran.err
    assert len(ran.err.splitlines()) == 1
    (tmp_path / "r.json").write_text(json.dumps(VALID))
    run("probes", "--read", tmp_path / "r.json")  # what the sentence asks for
    assert run(*update).status == 0


def test_misspelt_assumptions_are_answered_with_the_nearest(run: Run, vector_model: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps({"x": [1, 2, 3, 4], "label": "yes"}))
    ran = run("update", vector_model, tmp_path / "rows.json", "-o", tmp_path / "n.mlmodel", "--assume", "gradent=sum")
    assert ran.status == 2
    assert "did you mean 'gradient'?" in " ".join(ran.err.split())


@pytest.mark.parametrize("arguments", [[], ["out", "--read", "results.json"]])
def test_wrong_usage(run: Run, arguments: list[str]) -> None:
    assert run("probes", *arguments).status == 2
