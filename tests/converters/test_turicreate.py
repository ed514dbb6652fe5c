"""What is said where Turi Create is missing, dies, hangs or refuses: real processes, and no Turi Create."""

import json
import os
import sys
import time
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from coreml_updatable.cli.commands.converters import facts_of
from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.converting.finished import Finished, finish
from coreml_updatable.converting.registry import GROUP, find_converter, load_source_converter
from coreml_updatable.data.inputs import ArrayInput
from coreml_updatable.errors import SourceError
from coreml_updatable.spec.io import write_model
from coreml_updatable.spec.messages import Model_pb2
from tests.converters.turi_folders import saved_folder


def converted(source: Any, **options: Any) -> Finished:
    return finish(load_source_converter(find_converter("turicreate")), SourceRequest(source, **options))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All that is looked at before Turi Create is asked."""
    return saved_folder(tmp_path / "drawings.model", "drawing_classifier")


@pytest.fixture
def python38(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The program that is taken for Python 3.8: called with -I, the program, the request's and the reply's file."""
    path = tmp_path / "python3.8"
    monkeypatch.setenv("TURICREATE_PYTHON", str(path))
    return path


def is_shell(path: Path, *lines: str) -> None:
    path.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            ["echo starting", "kill -SEGV $$"],
            "exporting: Turi Create's process was killed by SIGSEGV, saying last: starting",
        ),
        (["kill -KILL $$"], "exporting: Turi Create's process was killed by SIGKILL, saying nothing; run: make turi"),
        (["echo what >&2", "exit 3"], "process ended with status 3 and no answer, saying last: what; run: make turi"),
        (["yes | tr -d '\\n' | head -c 9999"], "saying last: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"),
        (
            ["""echo '{"failed": "ToolkitError: no such column"}' >$4"""],
            "Turi Create says ToolkitError: no such column; open the model in Turi Create 6.4.1",
        ),
        (["""echo '{"missing": "tensorflow"}' >$4"""], "python3.8 has no package 'tensorflow'; run: make turi"),
        (
            ["""echo '{"failed": "PretrainedMissing: https://example.com/models/resnet-50.h5"}' >$4"""],
            "needs the pretrained network resnet-50.h5, which is missing; download https://example.com/models/resnet-5"
            "0.h5 and put it at /kept/resnet-50.h5",
        ),
    ],
)
def test_what_the_old_process_may_do(
    folder: Path, python38: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], sentence: str
) -> None:
    is_shell(python38, *lines)
    monkeypatch.setenv("TURICREATE_PRETRAINED", "/kept")
    with pytest.raises(SourceError) as raised:
        converted(folder)
    assert sentence in str(raised.value)
    assert str(raised.value).startswith(f"{folder}: exporting: ")
    assert len(str(raised.value).splitlines()) == 1
    assert len(str(raised.value)) < 1000


def test_what_takes_too_long_is_stopped_with_what_it_started(
    folder: Path, python38: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = tmp_path / "pids"
    is_shell(python38, "sleep 600 &", f"echo $$ $! > {pids}", "wait")
    monkeypatch.setenv("TURICREATE_SECONDS", "0.5")
    with pytest.raises(SourceError, match=r"took longer than 0.5 seconds and was stopped; allow more with TURICREAT"):
        converted(folder)
    for pid in map(int, pids.read_text().split()):
        assert gone(pid)


def gone(pid: int) -> bool:
    """Within five seconds: whoever inherits the process may take a moment to bury it."""
    for _ in range(100):
        state = Path(f"/proc/{pid}/stat")
        try:
            os.kill(pid, 0)
            if state.exists() and state.read_text().split()[2] == "Z":
                return True
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_the_process_sees_nothing_of_the_caller(
    folder: Path, python38: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOMETHING_PRIVATE", "1")
    is_shell(python38, f"env > {tmp_path}/seen", f"cp $3 {tmp_path}/request.json", f"echo $5 > {tmp_path}/program")
    with pytest.raises(SourceError):
        converted(folder)
    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines())
    assert "SOMETHING_PRIVATE" not in seen
    assert seen["HOME"] == seen["TMPDIR"] != os.environ.get("HOME")
    assert not Path(seen["HOME"]).exists()
    request = json.loads((tmp_path / "request.json").read_text())
    program = Path((tmp_path / "program").read_text().strip())
    assert (program.name, request["model"]) == ("export.py", str(folder))


def test_a_real_python_without_turi_create(folder: Path, python38: Path) -> None:
    python38.symlink_to(sys.executable)
    with pytest.raises(SourceError, match=r"python3.8 has no package 'turicreate'; run: make turi"):
        converted(folder)


def test_an_interpreter_that_is_not_there(folder: Path, python38: Path) -> None:
    with pytest.raises(
        SourceError, match=r"TURICREATE_PYTHON is .*/python3.8, which is not a program, expected a Pyth"
    ):
        converted(folder)
    python38.write_text("no program")
    python38.chmod(0o755)
    with pytest.raises(SourceError, match=r"python3.8 cannot be run \(Exec format error\); .*TURICREATE_PYTHON"):
        converted(folder)


@pytest.mark.parametrize("seconds", ["soon", "0", "-1", "inf", "nan"])
def test_a_time_limit_that_is_none(folder: Path, seconds: str, python38: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_shell(python38)
    monkeypatch.setenv("TURICREATE_SECONDS", seconds)
    with pytest.raises(SourceError, match=f"TURICREATE_SECONDS is '{seconds}', expected a number of seconds; correct"):
        converted(folder)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (
            "boosted_trees_classifier",
            "is a boosted_trees_classifier of Turi Create: trees cannot be trained on a device",
        ),
        ("activity_classifier", "reportedly does not compile in Xcode .turicreate issue 2048.; to try it anyway, ex"),
        ("classifier_svm", "its margins are not probabilities; train a logistic classifier"),
        (
            "object_detector",
            "is a object_detector of Turi Create: only classifiers that can be trained on a device are con",
        ),
        ("no name", "objects.bin: is not a model of Turi Create 5 or 6; save it again with model.save"),
        ("", "objects.bin: is not a model of Turi Create 5 or 6; save it again with model.save"),
    ],
)
def test_a_folder_of_another_kind(tmp_path: Path, kind: str, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        converted(saved_folder(tmp_path / "saved.model", kind))


def test_what_is_no_saved_model(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere: is not a folder, expected one from Turi Create's model.save"):
        converted(tmp_path / "nowhere")
    with pytest.raises(SourceError, match=r"has no dir_archive.ini, expected a folder from Turi Create's model.save"):
        converted(tmp_path)
    with pytest.raises(SourceError, match=r"source: is a dict, expected the path of a saved model; save it with model"):
        converted({})
    (folder / "objects.bin").write_bytes(b"TCMODEL0\xff\xff\xff\xff\xff\xff\xff\xffdrawing_classifier")
    with pytest.raises(SourceError, match=r"objects.bin: is not a model of Turi Create"):
        converted(folder)
    (folder / "objects.bin").unlink()
    with pytest.raises(SourceError, match=r"objects.bin: cannot be read \(No such file or directory\); copy the"):
        converted(folder)


def test_options_that_a_finished_model_has_no_use_for(folder: Path) -> None:
    with pytest.raises(SourceError, match=r"input: a Turi Create model has its own input and normalization; omit"):
        converted(folder, inputs=(ArrayInput("x", (3,)),))


def test_an_exported_file_needs_no_turi_create(tmp_path: Path, python38: Path) -> None:
    model = Model_pb2.Model(specificationVersion=1)
    model.glmClassifier.weights.add(value=[1.0, 2.0])
    model.glmClassifier.offset.append(0.5)
    model.glmClassifier.stringClassLabels.vector.extend(["no", "yes"])
    array = model.description.input.add(name="x").type.multiArrayType
    array.shape.append(2)
    array.dataType = array.DOUBLE
    model.description.output.add(name="label").type.stringType.SetInParent()
    model.description.output.add(name="p").type.dictionaryType.stringKeyType.SetInParent()
    model.description.predictedFeatureName, model.description.predictedProbabilitiesName = "label", "p"
    write_model(model, tmp_path / "exported.mlmodel")
    assert not python38.exists()
    assert converted(tmp_path / "exported.mlmodel").updatable == ("fc",)


def test_the_list_of_converters_says_what_is_missing(python38: Path) -> None:
    facts = facts_of(find_converter("turicreate"))
    assert facts.summary.startswith("Turi Create: saved classifiers")
    assert (facts.missing, facts.command) == (("a Python 3.8 with Turi Create",), "make turi")
    is_shell(python38)
    facts = facts_of(find_converter("turicreate"))
    assert (facts.missing, facts.command) == ((), "")
    assert facts_of(EntryPoint("other", "no_such_module:convert", GROUP)).missing == ()
