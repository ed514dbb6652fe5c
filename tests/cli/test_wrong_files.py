"""Wrong files of each kind under every command that reads a model: one sentence, exit status 1 or 2, nothing written.

What is not a model at all ends every command so. A model that is only wrong inside is judged by `check`, whose findings
are its answer, and shown by `inspect` and `diff` as far as it goes, its faults on top; what builds on it refuses it.
(More of `check` alone in ``test_check_hostile.py``.)
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from coreml_updatable.spec.io import write_model
from coreml_updatable.spec.messages import Model
from tests.broken_models import valid
from tests.cli.conftest import Ran, Run
from tests.cli.wrong_files import NO_MODELS, WRONG_MODELS, program, ragged_neighbors, written

BUILDERS = ("mark", "knn", "layout")
LOOKERS = ("inspect", "diff", "diff, the other way")
CAUSES = {
    "truncated": "is not a Core ML model",
    "random_bytes": "is not a Core ML model",
    "empty": "is not a Core ML model",
    "another_message": "is not a Core ML model",
    "picture": "is not a Core ML model",
    "program": "ML program, which no device can update; convert with convert_to='neuralnetwork'",
    "weights_of_the_wrong_count": "layers[3] 'fc': weights",
    "missing_blob": "layers[3] 'fc': reads 'nowhere', which nothing",
    "circular": "circle",
    "shapes_that_disagree": "168 channels, ",
    "absurd_sizes": "weights: contains 432 values, expected 13835058055282163712",
    "absurd_picture": "declares the size [1099511627776, 1099511627776, 3]",
}


def ran(run: Run, command: str, path: Path, folder: Path) -> Ran:
    """``command`` on ``path``; what it builds would go to ``folder``/out, what else it needs lies there."""
    sound, rows = folder / "sound.mlmodel", folder / "rows.json"
    write_model(valid.classifier(), sound)
    rows.write_text("{}")
    more: dict[str, tuple[object, ...]] = {
        "diff": ("diff", sound, path),
        "diff, the other way": ("diff", path, sound),
        "layout": ("layout", path, "--to", "split", "-o", folder / "out" / "model"),
        "predict": ("predict", path, rows),
        **{name: (name, path, "-o", folder / "out" / "model.mlmodel") for name in ("mark", "knn")},
    }
    (folder / "out").mkdir()
    done = run(*more.get(command, (command, path)))
    assert not list((folder / "out").iterdir())
    return done


def is_one_sentence(done: Ran) -> None:
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("coreml-updatable: ")
    assert done.err.count("\n") == 1
    assert done.err.strip().isprintable()


@pytest.mark.parametrize("command", [*BUILDERS, *LOOKERS, "predict"])
@pytest.mark.parametrize("make", [make for make in NO_MODELS if make is not program], ids=lambda make: make.__name__)
def test_what_is_no_model(run: Run, tmp_path: Path, make: Callable[[], bytes], command: str) -> None:
    path = written(make, tmp_path)
    done = ran(run, command, path, tmp_path)
    is_one_sentence(done)
    assert f"{path}: {CAUSES[make.__name__]}" in done.err


@pytest.mark.parametrize("command", ["check", *BUILDERS, *LOOKERS, "predict"])
@pytest.mark.parametrize(
    ("name", "said"), [("folder", "is a folder, expected"), ("missing.mlmodel", "cannot be read (No such file")]
)
def test_paths_of_no_file(run: Run, tmp_path: Path, name: str, said: str, command: str) -> None:
    (tmp_path / "folder").mkdir()
    done = ran(run, command, tmp_path / name, tmp_path)
    is_one_sentence(done)
    assert f"{tmp_path / name}: {said}" in done.err


@pytest.mark.parametrize("command", BUILDERS)
@pytest.mark.parametrize(
    "make",
    # what the builders say of neighbors is that they build on none, ragged or not
    [program, *(make for make in WRONG_MODELS if make is not ragged_neighbors)],
    ids=lambda make: make.__name__,
)
def test_no_command_builds_on_a_wrong_model(
    run: Run, tmp_path: Path, make: Callable[[], Model | bytes], command: str
) -> None:
    done = ran(run, command, written(make, tmp_path), tmp_path)
    is_one_sentence(done)
    if (make.__name__, command) == ("shapes_that_disagree", "knn"):
        assert "invalid for input of size 168" in done.err
    else:
        assert CAUSES[make.__name__] in done.err


@pytest.mark.parametrize("make", WRONG_MODELS, ids=lambda make: make.__name__)
def test_check_has_findings(run: Run, tmp_path: Path, make: Callable[[], Model]) -> None:
    path = written(make, tmp_path)
    done = run("check", path, "--strict")
    assert (done.status, done.err) == (1, "")
    assert all(line.startswith(f"{path}: ") for line in done.out.splitlines())


@pytest.mark.parametrize("command", LOOKERS)
@pytest.mark.parametrize("make", WRONG_MODELS, ids=lambda make: make.__name__)
def test_a_wrong_model_is_shown_as_wrong(run: Run, tmp_path: Path, make: Callable[[], Model], command: str) -> None:
    """`diff` says what differs from the sound model, `inspect` what `check` finds, with its status."""
    path = written(make, tmp_path)
    done = ran(run, command, path, tmp_path)
    assert done.err == ""
    assert done.status == (run("check", path).status if command == "inspect" else 1)
    if command == "inspect":
        assert "Problems\n" in done.out


def test_ragged_samples_stand_on_top(run: Run, tmp_path: Path) -> None:
    done = run("inspect", written(ragged_neighbors, tmp_path))
    assert "has 3 values, expected 4" in done.out
    done = ran(run, "predict", written(ragged_neighbors, tmp_path), tmp_path)
    assert done.status == 1
    assert "sample 0 has 3 values, but the index has 4 dimensions" in done.err
