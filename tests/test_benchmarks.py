"""A benchmark's figures are those of the command alone, whatever the benchmark's own process holds."""

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.command import measure, measured
from benchmarks.loading import loading, write
from benchmarks.real import table

BALLAST = 400 * 2**20  # bytes, held while a command is measured


def test_the_peak_of_a_command_is_its_own(tmp_path: Path) -> None:
    ballast = np.ones(BALLAST, np.uint8)
    small = measure([sys.executable, "-S", "-c", "pass"], tmp_path)
    large = measure([sys.executable, "-S", "-c", f"ones = b'1' * {BALLAST}"], tmp_path)
    assert small.peak_megabytes < 50
    assert large.peak_megabytes >= BALLAST / 2**20 == ballast.nbytes / 2**20
    assert 0 < small.seconds < 60


@pytest.mark.slow
def test_loading_a_model_is_within_its_bound_from_a_large_process_too(tmp_path: Path) -> None:
    ballast = np.ones(BALLAST * 3, np.uint8)
    path = tmp_path / "large.mlmodel"
    write(path, 25)
    result = loading(path)
    size = path.stat().st_size / 2**20
    assert ballast.nbytes > 10 * size
    assert size * 0.9 < result.peak_megabytes < size * 2.5


def test_what_a_command_prints_and_how_it_fails(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import os, sys; print(os.getcwd()); sys.exit(len(sys.argv) - 1)"]
    assert Path(measured(command, tmp_path)[1].strip()).samefile(tmp_path)
    with pytest.raises(SystemExit, match="1"):
        measured([*command, "fails"], tmp_path)
    with pytest.raises(SystemExit, match="no such command"):
        measured(["no such command"], tmp_path)


def test_the_generated_part_on_photos_holds_nothing_else() -> None:
    """`make real` would lose it."""
    page = (Path(__file__).parents[1] / "docs" / "real-data.md").read_text(encoding="utf-8")
    part = page.partition("<!-- measured: photos -->\n")[2].partition("<!-- /measured: photos -->")[0]
    rows = [line for line in part.splitlines() if line.startswith(("| four classes", "| five"))]
    assert rows
    assert [line for line in part.splitlines() if line not in rows] == table((), 20, ()).splitlines()  # type: ignore[arg-type]  # no case reads photos
