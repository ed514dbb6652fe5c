"""`-o`: a name that ends in a slash is a folder, and what cannot be written is told before anything is computed."""

import os
from pathlib import Path

import pytest

from coreml_updatable.spec.io import write_model
from tests.broken_models import valid
from tests.cli.conftest import Run


@pytest.fixture
def single(tmp_path: Path) -> Path:
    write_model(valid.classifier(), tmp_path / "Meals.mlmodel")
    return tmp_path / "Meals.mlmodel"


@pytest.mark.parametrize("named", ["app/", "deeper/app/", "app/.", "app"])
@pytest.mark.parametrize("command", [("layout", "--to", "split"), ("mark", "--layout", "split")])
def test_a_split_goes_into_the_folder_that_was_named(
    run: Run, single: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    if named == "app":
        (tmp_path / "app").mkdir()  # which is a folder then, with a slash or without
    ran = run(*command, single, "-o", named)
    assert ran.status == 0, ran.err
    folder = tmp_path / named
    assert sorted(path.name for path in folder.iterdir()) == ["Meals.mlmodel", "MealsHead.mlmodel"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({"Meals.mlmodel", named.split("/")[0]})


def test_without_a_slash_it_is_a_stem(run: Run, single: Path, tmp_path: Path) -> None:
    assert run("layout", single, "--to", "split", "-o", tmp_path / "app").status == 0
    assert {path.name for path in tmp_path.glob("app*")} == {"app.mlmodel", "appHead.mlmodel"}


@pytest.mark.parametrize("named", ["app/", "app.mlpackage"])
@pytest.mark.parametrize(
    "command",
    [
        ("layout", "MODEL", "--to", "pipeline"),
        ("mark", "MODEL"),
        ("knn", "MODEL"),
        ("convert", "MODEL"),
        ("update", "MODEL", "PHOTOS"),
    ],
    ids=lambda command: command[0],
)
@pytest.mark.usefixtures("photos")
def test_a_folder_or_package_where_a_file_is_meant(
    run: Run, picture_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"MODEL": picture_model, "PHOTOS": tmp_path / "photos"}
    before = sorted(tmp_path.iterdir())
    ran = run(*(given.get(word, word) for word in command), "-o", named)
    assert ran.status == 2
    said = " ".join(ran.err.replace("│", " ").split())
    assert ("is a folder; name a file in it" if named == "app/" else "packages cannot be written") in said
    assert sorted(tmp_path.iterdir()) == before


def test_a_place_where_nothing_can_be_written_is_told_first(
    run: Run, vector_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the model is even read: it is none."""
    vector_model.write_bytes(b"no model")
    (tmp_path / "file").touch()
    ran = run("convert", vector_model, "-o", tmp_path / "file" / "deeper" / "out.mlmodel")
    assert (ran.status, "is a file, expected a folder" in ran.err) == (1, True)
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK | os.X_OK)  # the tests' user may write anywhere
    ran = run("convert", vector_model, "-o", tmp_path / "new" / "out.mlmodel")
    assert (ran.status, "out.mlmodel: Permission denied; check the path and its permissions" in ran.err) == (1, True)
