"""`python -m benchmarks.architecture NAME`: one network through everything, as JSON; a process of its own."""

import dataclasses
import json
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.architecture_sources import SOURCES, Source
from coreml_updatable.converting.finished import Finished, finish
from coreml_updatable.converting.registry import find_converter, load_source_converter
from coreml_updatable.converting.trial_rows import trial_rows
from coreml_updatable.runtime import load
from coreml_updatable.spec.network import network_of
from coreml_updatable.updating import UpdateTask

PHOTOS = 8
EPOCHS = 10


@dataclass(frozen=True)
class Conversion:
    """How a network went. Seconds are of the processor, so that other work on the machine does not count."""

    name: str
    note: str
    parameters: int
    megabytes: float  # of the model
    seconds: float  # to convert, mark, check and compare
    peak: float  # megabytes that all this took at most, its source's own weights among them
    difference: float
    rounding: float  # of the source itself in 32 bits, where it explains the difference
    logits: float | None  # their largest difference, as a part of how far rows lie apart
    layer: str  # that learns
    share: float  # of the numbers in the model that are in it
    update: float  # seconds for the simulated update
    losses: tuple[float, ...]  # one an epoch
    warnings: tuple[str, ...]


def measure(name: str, make: Callable[[Path], Source] | None = None) -> Conversion:
    """Drawn, converted, marked, checked, compared and trained on eight rows of two labels.

    The network is that of the page called ``name``, or what ``make`` saves.
    """
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        source = (make or SOURCES[name])(Path(folder))
        began = time.process_time()
        result = finish(load_source_converter(find_converter(source.converter)), source.request)
        seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.process_time()
    losses = learn(result)
    return Conversion(
        name,
        source.note,
        int(result.facts["parameters"]),
        result.model.ByteSize() / 1e6,
        seconds,
        peak,
        result.agreement.difference,
        result.agreement.rounding,
        result.agreement.relative,
        result.updatable[0],
        _share(result),
        time.process_time() - began,
        losses,
        tuple(f"{warning.rule}: {warning.found}" for warning in result.warnings),
    )


def learn(result: Finished) -> tuple[float, ...]:
    """The mean loss of each epoch of an update on random rows, half of them called one label, half another."""
    labels = result.model.neuralNetworkClassifier.stringClassLabels.vector
    rows: list[dict[str, Any]] = [dict(row) for row in trial_rows(result.model, PHOTOS)]
    output = str(result.model.description.predictedFeatureName)
    for index, row in enumerate(rows):
        row[output] = labels[index % 2]
    losses: list[float] = []
    runnable = load(result.model)

    def heard(context: Any) -> None:
        if context.event == "epochEnd":
            losses.append(float(context.metrics["lossValue"]))

    parameters = {"epochs": EPOCHS, "learningRate": _rate(runnable, result, rows), "miniBatchSize": PHOTOS}
    UpdateTask(runnable, rows, parameters=parameters, on_event=heard).resume()
    return tuple(losses)


def _rate(runnable: Any, result: Finished, rows: list[dict[str, Any]]) -> float:
    """One that fits how large the features are that the layer reads: 1 over their mean square sum, within its range."""
    layer = next(item for item in network_of(result.model).layers if item.name == result.updatable[0])
    said = runnable.predict(rows, intermediate=True)
    squares = [float(np.square(np.asarray(item[str(layer.input[0])], np.float64)).sum()) for item in said]
    return min(1.0, max(0.0001, 1 / float(np.mean(squares))))


def _share(result: Finished) -> float:
    layer = next(item for item in network_of(result.model).layers if item.name == result.updatable[0])
    return float(layer.ByteSize() / result.model.ByteSize())


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.stdout.write(json.dumps(dataclasses.asdict(measure(sys.argv[1]))) + "\n")
