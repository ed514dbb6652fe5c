"""Publishing many models: bounded by hashing speed, with memory that does not grow."""

import shutil
import statistics
import tempfile
from pathlib import Path

from benchmarks.catalogue_builds import write_builds
from benchmarks.command import COMMAND, Measured, measure
from benchmarks.figure import Figure, command_figure
from benchmarks.interleaved import ratio

COUNT, FEW, SIZE, TURNS = 50, 5, 10_000_000, 3


def figures() -> list[Figure]:
    """Whole commands, in turns with `sha256sum` of the same files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        builds = write_builds(folder / "builds", [f"Model{index}" for index in range(COUNT)], SIZE)
        models = [str(path) for build in builds for path in build.glob("*.mlmodel")]
        few = _publish(builds[:FEW], folder)
        ours, again, checked, peer = [], [], [], []
        for _ in range(TURNS):
            peer.append(measure(["sha256sum", *models], folder))
            ours.append(_publish(builds, folder))
            again.append(_publish(builds, folder, fresh=False))
            checked.append(measure([COMMAND, "publish", "--check", "site"], folder))
    size = f"{COUNT} models of {SIZE / 1e6:.0f} MB"
    sums = f"sha256sum {statistics.median(item.seconds for item in peer):.2f} s"
    flat = f"peak of {FEW} models {few.peak_megabytes:.0f} MB, expected the same"
    return [
        _figure(f"publish {size} into a new catalogue", ours, peer, sums, flat),
        _figure("the same again, nothing changed", again, peer, sums, flat),
        _figure("publish --check of it", checked, peer, sums, "the sums, and little else"),
    ]


def _publish(builds: list[Path], folder: Path, *, fresh: bool = True) -> Measured:
    if fresh:
        shutil.rmtree(folder / "site", ignore_errors=True)
    return measure([COMMAND, "publish", *map(str, builds), "--to", "site"], folder)


def _figure(what: str, ours: list[Measured], peer: list[Measured], sums: str, bound: str) -> Figure:
    middle = sorted(ours, key=lambda item: item.seconds)[len(ours) // 2]
    times = ratio([item.seconds for item in ours], [item.seconds for item in peer])
    shown = command_figure(f"{what} ({times:.1f} times sha256sum)", middle, bound)
    return Figure(shown.what, shown.ours, shown.bound, sums)
