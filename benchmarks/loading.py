"""How much memory loading a model takes at most, and every command, beside the size of the file."""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.command import COMMAND, Measured, measure, measured
from benchmarks.figure import Figure, command_figure
from benchmarks.mobilenet import pictures, source, updatable
from coreml_updatable.spec.messages import Model_pb2
from coreml_updatable.spec.weights import packed

FEATURES = 1024
PROGRAM = """
import json, pathlib, resource, sys, time
from coreml_updatable.runtime import load, network  # what every model pays for: torch
unit = 1 if sys.platform == "darwin" else 1024
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
if pathlib.Path("/proc/self/statm").exists():  # importing may have taken more for a moment
    used = int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
started = time.perf_counter()
model = load(sys.argv[1])
seconds = time.perf_counter() - started
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - used]))
"""


PHOTOS = 12  # of each of two classes
BASE, MARKED, KNN = "base.mlmodel", "marked.mlmodel", "knn.mlmodel"
COMMANDS = (  # in this order: some read what others wrote; diff reports a difference, with status 1
    ("inspect", [BASE]),
    ("check", [BASE]),
    ("mark", [BASE, "-o", MARKED]),
    ("diff", [BASE, MARKED]),
    ("predict", [BASE, "photos/a/0.png"]),
    ("predict", [BASE, "photos/"]),
    ("update", [MARKED, "photos/", "-o", "updated.mlmodel"]),
    ("knn", [BASE, "--samples", "photos/", "-o", KNN]),
    ("layout", [MARKED, "--to", "split", "-o", "split/"]),
    ("compare", [MARKED, "--data", "photos/", "--owners", "20", "--shots", "0,1,2", "-o", "comparison/"]),
    ("convert", [BASE, "-o", "converted.mlmodel"]),
)


def figures() -> Iterator[Figure]:
    """The peak of loading is what it adds to a process that has imported torch; that of a command is the whole one."""
    with tempfile.TemporaryDirectory() as name:
        for layers, what in ((25, "25 layers of 4 MB"), (1, "1 layer of 100 MB")):
            path = Path(name) / f"{layers}.mlmodel"
            write(path, layers)
            size = path.stat().st_size
            loaded = loading(path)
            ratio = f"{loaded.peak_megabytes * 2**20 / size:.2f} times the file; at most 2.1"
            yield command_figure(f"load a model of {size / 1e6:.0f} MB, {what}", loaded, ratio)
    yield from commands()


def commands() -> Iterator[Figure]:
    """Whole processes, on MobileNetV2 with two labels and random pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for label in ("a", "b"):
            (folder / "photos" / label).mkdir(parents=True)
        for index, picture in enumerate(pictures(2 * PHOTOS)):
            Image.fromarray(picture).save(folder / "photos" / "ab"[index % 2] / f"{index // 2}.png")
        message = updatable(source(2), ("a", "b"), epochs=5, batch=8, rate=0.01)
        (folder / BASE).write_bytes(message.SerializeToString())
        size = (folder / BASE).stat().st_size
        bare = measure([sys.executable, "-c", "import torch"], folder)
        yield command_figure("import torch, a bare process", bare, "")
        for command, arguments in COMMANDS:
            shown = " ".join([command, *arguments])
            try:
                taken = measure([COMMAND, command, *arguments], folder, status=1 if command == "diff" else 0)
            except SystemExit as error:  # the others are measured all the same
                yield Figure(shown, f"failed: {str(error).splitlines()[-1][:200]}", "")
                continue
            ratio = f"{taken.peak_megabytes * 2**20 / size:.0f} times the file of {size / 1e6:.1f} MB"
            yield command_figure(shown, taken, ratio)


def loading(path: Path) -> Measured:
    """What loading ``path`` takes, beside what a process that has imported torch holds."""
    _, printed = measured([sys.executable, "-c", PROGRAM, str(path)], Path.cwd())
    seconds, peak = json.loads(printed)
    return Measured(seconds, peak / 2**20)


def write(path: Path, layers: int) -> None:
    """A network of inner products, 25 x 1024 x 1024 weights in all."""
    random = np.random.default_rng(0)
    model = Model_pb2.Model(specificationVersion=4)
    for features, name in ((model.description.input, "x"), (model.description.output, "y")):
        array = features.add(name=name).type.multiArrayType
        array.dataType = 65568
        array.shape.append(FEATURES)
    outputs = FEATURES * 25 // layers
    for index in range(layers):
        blobs = ["x" if index == 0 else f"b{index}", "y" if index == layers - 1 else f"b{index + 1}"]
        layer = model.neuralNetwork.layers.add(name=f"fc{index}", input=blobs[:1], output=blobs[1:]).innerProduct
        layer.inputChannels, layer.outputChannels = FEATURES, outputs
        layer.weights.MergeFromString(packed(random.normal(size=FEATURES * outputs).astype(np.float32)))
    path.write_bytes(model.SerializeToString())


if __name__ == "__main__":
    for figure in figures():
        print(figure)
