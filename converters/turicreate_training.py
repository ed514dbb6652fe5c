"""A recipe's pictures, given to Turi Create to train on."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from coreml_updatable.conversion import ArrayInput, ConversionRequest, Converted, Examples, ImageInput, Input
from coreml_updatable.errors import DataError, SourceError
from coreml_updatable.spec.reading import read_model

from .turicreate_child import ask
from .turicreate_linear import network_of
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
        raise DataError(f"data: nothing to train on has the label {request.labels[absent[0]]!r}; add some")
    request.on_progress("train", 0.0, f"Turi Create trains a {source.train.replace('_', ' ')}")
    with TemporaryDirectory() as private:
        folder = Path(private)
        told = ask("train", _asked(source, request, folder), "source: training", REMEDY, seconds=source.seconds)
        model = read_model(folder / "trained.mlmodel")
    if source.train == "logistic_classifier":
        model = network_of(model, request.input)
    answers = np.array(told["probabilities"], np.float64).reshape(len(request.test), len(request.labels))
    return Converted(model, answers, (), _facts(source, request, told))


def _expect_input(source: TuriSource, request: ConversionRequest) -> None:
    """Any for a logistic classifier."""
    if source.train == "logistic_classifier":
        return
    expected = DRAWING if source.train == "drawing_classifier" else PHOTO[source.network]
    given = request.input
    found = (given.width, given.height, given.color) if isinstance(given, ImageInput) else None
    if found != expected:
        words = "an array" if found is None else f"{found[0]}x{found[1]} {found[2]}"
        raise SourceError(
            f"input: {words}, Turi Create's {source.train} sees {expected[0]}x{expected[1]} {expected[2]}; "
            "write this into [input]"
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
        "options": _options(source, request.input, request.seed),
    }


def _values(source: TuriSource, examples: Examples) -> npt.NDArray[Any]:
    """The pictures as they are; for a logistic classifier numbers [n, ...], of pixels in 0..1, channel by channel."""
    values: npt.NDArray[Any] = examples.values
    if source.train != "logistic_classifier":
        return values
    if values.dtype == np.uint8:
        values = values.transpose(0, 3, 1, 2) / 255
    return values.reshape(len(examples), -1).astype(np.float64)


def _options(source: TuriSource, given: Input, seed: int) -> dict[str, Any]:
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
            options["feature_rescaling"] = isinstance(given, ArrayInput)
            if source.l2_penalty is not None:
                options["l2_penalty"] = source.l2_penalty
    return options


def _facts(source: TuriSource, request: ConversionRequest, told: Any) -> dict[str, Any]:
    return {
        "architecture": f"Turi Create's {source.train.replace('_', ' ')}"
        + (f" on {source.network}" if source.train == "image_classifier" else ""),
        "trained": f"by Turi Create, at most {source.iterations} iterations on {len(request.train)} rows",
        "training accuracy": round(float(told["accuracy"]), 4),
        "turicreate": "6.4.1",
    }
