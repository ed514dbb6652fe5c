"""`python -m benchmarks [name...]`: print every figure, a peer's beside it where there is one, and its bound."""

import argparse
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import building, loading
from benchmarks.figure import Figure

NAMES = (
    "loading", "starting", "building", "forward", "steps", "evening", "neighbors", "owners", "publishing", "serving",
)  # fmt: skip
ONLY_BY_NAME = ("architectures",)  # takes many minutes, and writes a page


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(NAMES)} (all if none is named), {ONLY_BY_NAME[0]}")
    parser.add_argument("--onnxruntime-python", help="an interpreter with torch and onnxruntime-training-cpu")
    parser.add_argument("--markdown", type=Path, help="also write the table into this page, below its first paragraphs")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in (*NAMES, *ONLY_BY_NAME)]
    if unknown:
        parser.error(f"no benchmark is called {unknown[0]!r}; there are {', '.join((*NAMES, *ONLY_BY_NAME))}")
    table, found = Table(title=_machine()), []
    for column in ("what", "ours", "peer", "bound"):
        table.add_column(column)
    for name in given.names or NAMES:
        for figure in _figures(name, given.onnxruntime_python):
            found.append(figure)
            sys.stderr.write(f"{figure.what}: {figure.ours} ({figure.bound})\n")  # as they come; the table is last
            table.add_row(figure.what, figure.ours, figure.peer, figure.bound)
    Console().print(table)
    if given.markdown is not None:
        _write(given.markdown, found)


MARK = "<!-- figures -->"  # what stands below is written by this command


def _write(page: Path, found: Sequence[Figure]) -> None:
    above = page.read_text(encoding="utf-8").partition(MARK)[0]
    lines = [
        MARK,
        f"Measured on {_machine()}.",
        "",
        "| what | ours | peer | ratio and bound |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {one.what} | {one.ours} | {one.peer} | {one.bound} |" for one in found]
    page.write_text(above + "\n".join(lines) + "\n", encoding="utf-8")


def _machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "onnxruntime", "numpy"))
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}"


def _figures(name: str, onnxruntime_python: str | None) -> Iterable[Figure]:
    match name:
        case "loading":
            return loading.figures()
        case "starting":
            from benchmarks import starting

            return starting.figures()
        case "steps":
            from benchmarks import steps

            return steps.figures()
        case "building":
            return building.figures()
        case "neighbors":
            from benchmarks import neighbors

            return neighbors.figures()
        case "owners":
            from benchmarks import owners

            return owners.figures()
        case "forward":
            from benchmarks import forward

            return forward.figures()
        case "publishing":
            from benchmarks import publishing

            return publishing.figures()
        case "architectures":
            from benchmarks import architectures

            return architectures.figures()
        case "serving":
            from benchmarks import serving

            return serving.figures()
    from benchmarks import evening

    return evening.figures(onnxruntime_python)


main()
