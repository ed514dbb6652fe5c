"""Train with Turi Create on a recipe's pictures."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from coreml_updatable.converting.contract import ConversionRequest, Converted
from coreml_updatable.data.inputs import ArrayInput, Examples, ImageInput, Input
from coreml_updatable.errors import DataError, SourceError
from coreml_updatable.spec.features import describe_floats
from coreml_updatable.spec.io import read_model
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, Model_pb2, NeuralNetwork_pb2
from coreml_updatable.spec.network import pipeline_of
from coreml_updatable.spec.weights import packed

from .._shared.core_ml_layers import SPECIFICATION_VERSION
from .._shared.source_fields import sentence_of
from .child import ask


class TuriSource(BaseModel):
    """What Turi Create trains; None means its own default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    train: Literal["drawing_classifier", "image_classifier", "logistic_classifier"]
    network: Literal["squeezenet_v1.1", "resnet-50"] = "squeezenet_v1.1"  # of an image classifier
    iterations: int = Field(default=100, ge=1, le=100_000)
    batch_size: int | None = Field(default=None, ge=1, le=4096)
    warm_start: bool = False  # a drawing classifier starts from a pretrained network
    l2_penalty: float | None = Field(default=None, ge=0)  # of a logistic classifier
    seconds: float = Field(default=3600, gt=0)  # after which the training is given up


def read_source(fields: Mapping[str, Any]) -> TuriSource:
    """Return the validated fields; SourceError names the first wrong one and the closest valid name."""
    try:
        return TuriSource.model_validate(dict(fields), strict=True)
    except ValidationError as error:
        raise SourceError(sentence_of(error, TuriSource, "turicreate", _own)) from error


def _own(problem: ErrorDetails, place: str) -> str | None:
    match problem["type"]:
        case "missing":
            return (
                f'{place} is missing, expected "drawing_classifier", "image_classifier" or "logistic_classifier"; add '
                "it (a model that is saved already is for: coreml-updatable convert)"
            )
        case "literal_error":
            return f"{place} is {problem['input']!r}, expected {problem['ctx']['expected']}; correct it"
    return None


def network_of(exported: Model, given: Input) -> Model:
    """softmax([0; W] x + [0; b]) of the exported ``glmClassifier``.

    x are the pixels in 0..1, channel by channel, or the numbers of the array in its own order. Turi Create omits
    the first class, whose score is 0. The output is ``probabilities`` [1, classes, 1, 1].
    """
    linear = pipeline_of(exported).models[-1].glmClassifier
    weights = np.array([list(row.value) for row in linear.weights])
    offsets = np.array(list(linear.offset))
    classes, size = len(weights) + 1, weights.shape[1]
    result = _pixels(given) if isinstance(given, ImageInput) else _numbers(given.name, given.shape, size)
    network = result.neuralNetwork
    head = network.layers.add(name="fc", input=["flat"], output=["scores"]).innerProduct
    head.inputChannels, head.outputChannels, head.hasBias = size, classes, True
    head.weights.MergeFromString(packed(np.vstack([np.zeros(size), weights])))
    head.bias.MergeFromString(packed(np.concatenate([[0.0], offsets])))
    network.layers.add(name="probabilities", input=["scores"], output=["probabilities"]).softmax.SetInParent()
    describe_floats(result.description.output.add(name="probabilities"), 1, classes, 1, 1)
    return result


def _pixels(image: ImageInput) -> Model:
    result = Model_pb2.Model(specificationVersion=SPECIFICATION_VERSION)
    picture = result.description.input.add(name=image.name).type.imageType
    picture.width, picture.height = image.width, image.height
    spaces = FeatureTypes_pb2.ImageFeatureType.ColorSpace
    picture.colorSpace = spaces.Value("RGB" if image.color == "rgb" else "GRAYSCALE")
    network = result.neuralNetwork
    network.preprocessing.add(featureName=image.name).scaler.channelScale = 1 / 255
    flat = network.layers.add(name="flat", input=[image.name], output=["flat"])
    flat.flatten.mode = flat.flatten.CHANNEL_FIRST
    return result


def _numbers(name: str, shape: tuple[int, ...], size: int) -> Model:
    result = Model_pb2.Model(specificationVersion=SPECIFICATION_VERSION)
    describe_floats(result.description.input.add(name=name), *shape)
    network = result.neuralNetwork
    network.arrayInputShapeMapping = NeuralNetwork_pb2.EXACT_ARRAY_MAPPING
    flat = network.layers.add(name="flat", input=[name], output=["flat"])
    flat.reshapeStatic.targetShape.extend([1, size, 1, 1])
    return result


REMEDY = "change [source] or the pictures"
DRAWING = (28, 28, "grayscale")
PHOTO = {"squeezenet_v1.1": (227, 227, "rgb"), "resnet-50": (224, 224, "rgb")}


def trained(request: ConversionRequest) -> Converted:
    """See ``turicreate.convert``."""
    source = read_source(request.source)
    _expect_input(source, request)
    absent = sorted(set(range(len(request.labels))) - set(request.train.labels.tolist()))
    if absent:
        raise DataError(f"data: found no training rows with the label {request.labels[absent[0]]!r}; add some")
    request.on_progress("train", 0.0, f"Turi Create trains a {source.train.replace('_', ' ')}")
    with TemporaryDirectory() as private:
        folder = Path(private)
        answer = ask("train", _asked(source, request, folder), "source: training", REMEDY, seconds=source.seconds)
        model = read_model(folder / "trained.mlmodel")
    if source.train == "logistic_classifier":
        model = network_of(model, request.input)
    answers = np.array(answer["probabilities"], np.float64).reshape(len(request.test), len(request.labels))
    return Converted(model, answers, (), _facts(source, request, answer))


def _expect_input(source: TuriSource, request: ConversionRequest) -> None:
    """Check the size of the pictures; a logistic classifier takes any."""
    if source.train == "logistic_classifier":
        return
    expected = DRAWING if source.train == "drawing_classifier" else PHOTO[source.network]
    given = request.input
    actual = (given.width, given.height, given.color) if isinstance(given, ImageInput) else None
    if actual != expected:
        words = "an array" if actual is None else f"{actual[0]}x{actual[1]} {actual[2]}"
        raise SourceError(
            f"input: is {words}, but Turi Create's {source.train} takes {expected[0]}x{expected[1]} {expected[2]}; "
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
        "labels": [f"{label:0{digits}}" for label in request.train.labels],
        "to": str(folder / "trained.mlmodel"),
        "options": _options(source, request.input, request.seed),
    }


def _values(source: TuriSource, examples: Examples) -> npt.NDArray[Any]:
    """Return the pictures; for a logistic classifier, numbers [n, ...] of pixels in 0..1, channel by channel."""
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


def _facts(source: TuriSource, request: ConversionRequest, result: Any) -> dict[str, Any]:
    return {
        "architecture": f"Turi Create's {source.train.replace('_', ' ')}"
        + (f" on {source.network}" if source.train == "image_classifier" else ""),
        "trained": f"by Turi Create, at most {source.iterations} iterations on {len(request.train)} rows",
        "training accuracy": round(float(result["accuracy"]), 4),
        "turicreate": "6.4.1",
    }
