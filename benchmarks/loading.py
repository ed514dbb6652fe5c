"""Loading a model: how much memory it takes at most, beside the size of its file."""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.command import Measured, measured
from benchmarks.figure import Figure, command_figure
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


def figures() -> list[Figure]:
    """The peak is what loading adds to a process that has imported torch."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for layers, what in ((25, "25 layers of 4 MB"), (1, "1 layer of 100 MB")):
            path = Path(name) / f"{layers}.mlmodel"
            write(path, layers)
            size = path.stat().st_size
            loaded = loading(path)
            ratio = f"{loaded.peak_megabytes * 2**20 / size:.2f} times the file, bound 2.5"
            what = f"load a model of {size / 1e6:.0f} MB, {what}"
            rows.append(command_figure(what, loaded, ratio))
    return rows


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
    for number in range(layers):
        blobs = ["x" if number == 0 else f"b{number}", "y" if number == layers - 1 else f"b{number + 1}"]
        layer = model.neuralNetwork.layers.add(name=f"fc{number}", input=blobs[:1], output=blobs[1:]).innerProduct
        layer.inputChannels, layer.outputChannels = FEATURES, outputs
        layer.weights.MergeFromString(packed(random.normal(size=FEATURES * outputs).astype(np.float32)))
    path.write_bytes(model.SerializeToString())


if __name__ == "__main__":
    for figure in figures():
        print(figure)
