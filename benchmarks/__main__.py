"""`python -m benchmarks [name...]`: print every figure, its peers' beside it where there are any, and its bound.

What cannot be measured is a line that says why, and the others go on; files are written after each benchmark.
"""

import argparse
import dataclasses
import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.figure import Figure

NAMES = (
    "loading", "starting", "building", "forward", "photos", "steps", "evening", "neighbors", "owners", "publishing",
)  # fmt: skip
ONLY_BY_NAME = ("architectures",)  # takes many minutes, and writes a page
WITH_ONNX_RUNTIME = ("evening", "owners")  # beside its training, in an interpreter of its own
LIBRARIES = ("torch", "onnxruntime", "numpy", "scikit-learn", "coremltools")


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(NAMES)} (all if none is named), {ONLY_BY_NAME[0]}")
    parser.add_argument("--onnxruntime-python", help="one with onnxruntime-training-cpu; else .venv-ort's")
    parser.add_argument("--markdown", type=Path, help="also write the table into this page, below its first paragraphs")
    parser.add_argument("--json", type=Path, help="also write every turn's seconds into this file")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in (*NAMES, *ONLY_BY_NAME)]
    if unknown:
        parser.error(f"no benchmark is called {unknown[0]!r}; there are {', '.join((*NAMES, *ONLY_BY_NAME))}")
    machine, result = _machine(), list[Figure]()
    for name in given.names or NAMES:
        for figure in _measured(name, given.onnxruntime_python):
            result.append(figure)
            said = "; ".join(filter(None, (figure.bound, figure.engine, figure.peer)))
            sys.stderr.write(f"{figure.what}: {figure.ours} ({said})\n")  # as they come; the table is last
        if given.markdown is not None:
            _write(given.markdown, machine, result)
        if given.json is not None:
            kept = {"machine": machine, "figures": [dataclasses.asdict(figure) for figure in result]}
            given.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    table = Table(title=machine)
    for column in COLUMNS:
        table.add_column(column)
    for figure in result:
        table.add_row(*_cells(figure))
    Console().print(table)


MARK = "<!-- figures -->"  # what stands below is written by this command
COLUMNS = ("what", "ours", "peers", "ratio and bound", "engine")


def _measured(name: str, onnxruntime_python: str | None) -> Iterable[Figure]:
    """The figures of one benchmark; where it fails, the last one says why."""
    started = time.perf_counter()
    sys.stderr.write(f"{name} ...\n")
    try:
        yield from _figures(name, onnxruntime_python)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever ends one benchmark, the others are measured
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        yield Figure(name, f"ended early: {reason[:300]}", "")
    sys.stderr.write(f"{name}: took {time.perf_counter() - started:.0f} s\n")


def _cells(figure: Figure) -> tuple[str, ...]:
    return figure.what, figure.ours, figure.peer, figure.bound, figure.engine


def _write(page: Path, machine: str, result: Sequence[Figure]) -> None:
    above = page.read_text(encoding="utf-8").partition(MARK)[0]
    lines = [MARK, f"Measured on {machine}.", ""]
    lines += [_line(COLUMNS), _line(["---"] * len(COLUMNS))]
    lines += [_line([cell.replace("|", "/") for cell in _cells(figure)]) for figure in result]
    page.write_text(above + "\n".join(lines) + "\n", encoding="utf-8")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _machine() -> str:
    """Versions, the processor, and how busy the machine was before."""
    versions = ", ".join(f"{name} {_version(name)}" for name in LIBRARIES)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    busy = f", load average {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return f"{_processor()}, {cores} cores{busy}, Python {platform.python_version()}, {versions}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _processor() -> str:
    """Its name, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{named[0]} ({platform.machine()})" if named else platform.machine()


def _figures(name: str, onnxruntime_python: str | None) -> Iterable[Figure]:
    result: Iterable[Figure] = import_module(f"benchmarks.{name}").figures(
        *([onnxruntime_python] if name in WITH_ONNX_RUNTIME else [])
    )
    return result


main()
