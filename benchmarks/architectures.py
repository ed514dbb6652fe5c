"""The architectures that people bring, each in a process of its own; writes docs/architectures.md."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.architecture import EPOCHS, PHOTOS, Conversion
from benchmarks.architecture_sources import SOURCES
from benchmarks.figure import Figure
from coreml_updatable.building.prove import ALLOWED_DIFFERENCE
from coreml_updatable.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architectures.md"
SHARED = 1.5  # processes at work on average, from which on one was not ours


def figures() -> Iterator[Figure]:
    """One figure a network; the page grows with each."""
    table, shared = [], False
    for name in SOURCES:
        measure = run(name)
        table.append(measure)
        shared = shared or os.getloadavg()[1] > SHARED
        write_atomically(PAGE, page(table, shared=shared).encode())
        ours = f"{measure.seconds:.1f} s, {measure.peak:.0f} MB, {measure.difference:.1g}"
        yield Figure(f"{name}: convert, mark, check, compare", ours, f"difference at most {ALLOWED_DIFFERENCE:g}")


def run(name: str) -> Conversion:
    """In a child process, so that its peak of memory is its own; a failing one ends the benchmark with its words."""
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks.architecture", name],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if child.returncode:
        sys.exit(f"{name}: {child.stderr.strip().splitlines()[-1] if child.stderr.strip() else 'failed'}")
    fields = json.loads(child.stdout)
    return Conversion(**{**fields, "losses": tuple(fields["losses"]), "warnings": tuple(fields["warnings"])})


def page(table: Sequence[Conversion], *, shared: bool) -> str:
    """`docs/architectures.md` in words and one table; ``shared``: whether the machine had other work meanwhile."""
    rows = "\n".join(_row(item) for item in table)
    noted = sorted({f"- {item.name}: {result}" for item in table for result in item.warnings})
    warned = (
        "\n\nWarnings of `check`:\n" + "\n".join(noted) if noted else "\n\n`check` has no warnings about any of them."
    )
    short = ", ".join(item.name for item in table if item.note)
    note = next((item.note for item in table if item.note), "")
    others = "; other work shared the cores, which makes them higher" if shared else ""
    return f"""# Tested architectures

This page is for people who want to convert a network: which architectures were converted and updated here, with size, \
time and memory.

`python -m benchmarks architectures` writes this page (this time on {platform.machine()}, {os.cpu_count()} cores, \
torch {version("torch")}, coremltools {version("coremltools")}). Each network
is converted as by `coreml-updatable convert`: its last layer is marked as updatable, `check` finds no error, and \
its
predictions are compared with those of its source on random rows. A simulated update then trains it for {EPOCHS} epochs
on {PHOTOS} rows with two labels. The weights are random, drawn so that the predictions differ from input to input; no \
network
was downloaded. Peak memory includes the source, coremltools and the comparison. Seconds are processor time{others}.

| network | parameters | model | seconds | peak memory | largest difference | updatable layer | share of the weights \
| update | loss |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

{f"With {note}, but the published width: {short}." if short else ""}{warned}
"""


def _row(measure: Conversion) -> str:
    cells = (
        measure.name,
        f"{measure.parameters / 1e6:.1f} M",
        f"{measure.megabytes:.1f} MB",
        f"{measure.seconds:.0f}",
        f"{measure.peak / 1024:.1f} GB",
        f"{measure.difference:.0e}",
        measure.layer,
        f"{measure.share:.1%}",
        f"{measure.update:.1f} s",
        f"{measure.losses[0]:.2f} → {measure.losses[-1]:.2f}",
    )
    return f"| {' | '.join(cells)} |"
