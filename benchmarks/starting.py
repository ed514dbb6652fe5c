"""How soon the command line answers: `predict` of one picture, against a bare `import torch`, as whole processes.

Both find their modules compiled, as from the second run of an installation on, whether this environment keeps
bytecode or not.
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from benchmarks.command import COMMAND, Measured, measure
from benchmarks.figure import Figure
from benchmarks.networks import healthy_luncher

REPEATS = 7


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network = healthy_luncher()
        (folder / "lunch.mlmodel").write_bytes(network.model().SerializeToString())
        Image.fromarray(network.values(1)[0]).save(folder / "lunch.jpg")
        commands = {
            "ours": [COMMAND, "predict", "lunch.mlmodel", "lunch.jpg"],
            "import torch": [sys.executable, "-c", "import torch"],
        }
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for command in commands.values():
            measure(command, folder, environment)
        taken: dict[str, list[Measured]] = {which: [] for which in commands}
        for _ in range(REPEATS):
            for which, command in commands.items():
                taken[which].append(measure(command, folder, environment))
    seconds = {which: statistics.median(run.seconds for run in runs) for which, runs in taken.items()}
    peaks = {which: max(run.peak_megabytes for run in runs) for which, runs in taken.items()}
    yield Figure(
        "predict one picture by the command line",
        f"{seconds['ours']:.2f} s, {peaks['ours']:.0f} MB",
        f"{seconds['ours'] / seconds['import torch']:.2f} times; at most 1.2",
        f"{seconds['import torch']:.2f} s, {peaks['import torch']:.0f} MB import torch",
    )
