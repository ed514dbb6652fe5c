"""A recipe's pictures, given to Turi Create to train on."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from coreml_updatable.conversion import ConversionRequest, Converted, Examples
from coreml_updatable.errors import DataError, SourceError
from coreml_updatable.spec.reading import read_model

from .turicreate_child import ask
from .turicreate_pixels import on_pixels
from .turicreate_source import TuriSource, read_source

REMEDY = "change [source] or the pictures"
DRAWING = (28, 28, "grayscale")
PHOTO = {"squeezenet_v1.1": (227, 227, "rgb"), "resnet-50": (224, 224, "rgb")}


def trained(request: ConversionRequest) -> Converted:
    """See ``turicreate.convert``."""
    source = read_source(request.source)
    _expect_input(source, request)
    absent = sorted(set(range(len(request.labels))) - set(request.train.labels.tolist()))
    if absent:
        raise DataError(f"data: no picture to train on has the label {request.labels[absent[0]]!r}; add some")
    request.on_progress("train", 0.0, f"Turi Create trains a {source.train.replace('_', ' ')}")
    with TemporaryDirectory() as private:
        folder = Path(private)
        told = ask("train", _asked(source, request, folder), "source: training", REMEDY, seconds=source.seconds)
        model = read_model(folder / "trained.mlmodel")
    if source.train == "logistic_classifier":
        model = on_pixels(model, request.input)
    answers = np.array(told["probabilities"], np.float64).reshape(len(request.test), len(request.labels))
    return Converted(model, answers, (), _facts(source, request, told))


def _expect_input(source: TuriSource, request: ConversionRequest) -> None:
    expected = DRAWING if source.train == "drawing_classifier" else PHOTO[source.network]
    found = (request.input.width, request.input.height, request.input.color)
    if source.train != "logistic_classifier" and found != expected:
        raise SourceError(
            f"input: {found[0]}x{found[1]} {found[2]}, Turi Create's {source.train} sees "
            f"{expected[0]}x{expected[1]} {expected[2]}; write this into [input]"
        )


def _asked(source: TuriSource, request: ConversionRequest, folder: Path) -> dict[str, Any]:
    for part, examples in (("pictures", request.train), ("test", request.test)):
        np.save(folder / f"{part}.npy", _values(source, examples), allow_pickle=False)
    digits = len(str(len(request.labels)))
    return {
        "train": source.train,
        "feature": request.input.name,
        "pictures": str(folder / "pictures.npy"),
        "test": str(folder / "test.npy"),
        # Turi Create sorts the classes: these names come out in the recipe's order.
        "labels": [f"{number:0{digits}}" for number in request.train.labels],
        "to": str(folder / "trained.mlmodel"),
        "options": _options(source, request.seed),
    }


def _values(source: TuriSource, examples: Examples) -> npt.NDArray[Any]:
    """The pictures as they are; for a logistic classifier their values in 0..1, channel by channel."""
    if source.train != "logistic_classifier":
        return examples.pixels
    values: npt.NDArray[Any] = examples.pixels.transpose(0, 3, 1, 2).reshape(len(examples), -1) / 255
    return values


def _options(source: TuriSource, seed: int) -> dict[str, Any]:
    options: dict[str, Any] = {"max_iterations": source.iterations}
    if source.batch_size is not None and source.train != "logistic_classifier":
        options["batch_size"] = source.batch_size
    match source.train:
        case "drawing_classifier":
            options |= {"random_seed": seed, "warm_start": "auto" if source.warm_start else None}
        case "image_classifier":
            options |= {"seed": seed, "model": source.network}
        case "logistic_classifier":
            # Pixels are all of one scale; rescaled, one that is hardly ever lit would get a weight beyond measure.
            options["feature_rescaling"] = False
            if source.l2_penalty is not None:
                options["l2_penalty"] = source.l2_penalty
    return options


def _facts(source: TuriSource, request: ConversionRequest, told: Any) -> dict[str, Any]:
    return {
        "architecture": f"Turi Create's {source.train.replace('_', ' ')}"
        + (f" on {source.network}" if source.train == "image_classifier" else ""),
        "trained": f"by Turi Create, at most {source.iterations} iterations on {len(request.train)} pictures",
        "training accuracy": round(float(told["accuracy"]), 4),
        "turicreate": "6.4.1",
    }
