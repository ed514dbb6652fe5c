"""Whatever the command: a folder that is not there is made for its result, and a file in the way stops it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from coreml_updatable.spec.io import write_model
from tests.broken_models import valid
from tests.cli.conftest import Run
from tests.marking.networks import converted

Call = Callable[[Path, Path], tuple[object, ...]]  # a folder with models and photos in it, the target


def marked(folder: Path, target: Path) -> tuple[object, ...]:
    write_model(converted("two layers"), folder / "plain.mlmodel")
    return ("mark", folder / "plain.mlmodel", "--labels", "a,b,c", "-o", target)


def without_neighbors(folder: Path, target: Path) -> tuple[object, ...]:
    return ("knn", folder / "pictures.mlmodel", "-o", target)


def split(folder: Path, target: Path) -> tuple[object, ...]:
    write_model(valid.classifier(), folder / "one.mlmodel")
    return ("layout", folder / "one.mlmodel", "--to", "split", "-o", target)


def converted_anew(folder: Path, target: Path) -> tuple[object, ...]:
    write_model(valid.classifier(), folder / "one.mlmodel")
    return ("convert", folder / "one.mlmodel", "-o", target)


def updated(folder: Path, target: Path) -> tuple[object, ...]:
    return ("update", folder / "pictures.mlmodel", folder / "photos", "-o", target)


def probed(folder: Path, target: Path) -> tuple[object, ...]:  # noqa: ARG001
    return ("probes", target)


CALLS: tuple[Call, ...] = (marked, without_neighbors, split, converted_anew, updated, probed)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@pytest.mark.usefixtures("picture_model", "photos")
def test_the_folders_on_the_way_are_made(run: Run, tmp_path: Path, call: Call) -> None:
    target = tmp_path / "new" / "deeper" / "Out.mlmodel"
    ran = run(*call(tmp_path, target))
    assert ran.status == 0, ran.err
    assert target.exists()


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("deeper", ["", "deeper"])
@pytest.mark.usefixtures("picture_model", "photos")
def test_a_file_on_the_way_is_one_sentence(run: Run, tmp_path: Path, call: Call, deeper: str) -> None:
    (tmp_path / "file").write_text("in the way")
    target = tmp_path / "file" / deeper / "Out.mlmodel"
    ran = run(*call(tmp_path, target))
    last = ran.err.splitlines()[-1]
    assert (ran.status, ran.err.count("coreml-updatable:")) == (1, 1)
    assert last.startswith(f"coreml-updatable: {target}")
    assert last.endswith(": is a file, expected a folder; check the path")
    assert (tmp_path / "file").read_text() == "in the way"
