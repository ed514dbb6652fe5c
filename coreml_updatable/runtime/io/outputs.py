"""Convert the blobs of a network to Core ML's outputs, with the model's own output names."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from coreml_updatable import bounds
from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.io.arrays import DTYPES, expect_probabilities
from coreml_updatable.runtime.io.inputs import EXACT_ARRAY, RANK4_IMAGE
from coreml_updatable.spec.features import BGR, GRAYSCALE_FLOAT16, RGB
from coreml_updatable.spec.messages import FeatureDescription, Model, NeuralNetwork
from coreml_updatable.spec.network import class_labels, network_of


class Outputs:
    """The outputs of a network model: which blobs they need, and how blobs become features."""

    def __init__(self, model: Model) -> None:
        self.network: NeuralNetwork = network_of(model)
        self.description = model.description
        self.labels = class_labels(model)
        batched = self.network.imageInputShapeMapping == RANK4_IMAGE
        self.pictures = batched and any(feature.type.HasField("imageType") for feature in model.description.input)
        self.probabilities = self._probabilities(model)
        of_label = {self.description.predictedFeatureName, self.description.predictedProbabilitiesName}
        self.features = [
            feature for feature in self.description.output if not (self.labels and feature.name in of_label)
        ]
        named = [feature.name for feature in self.features]
        self.blobs = tuple(dict.fromkeys([*named, *([self.probabilities] if self.probabilities else [])]))

    def answer(self, blobs: Mapping[str, NDArray[np.float32]], index: int) -> dict[str, Any]:
        """Return the answers for row ``number`` (for errors): label and probabilities first, then the other outputs."""
        for blob in self.blobs:
            if blob not in blobs:
                raise ModelError(f"model: no branch that ran wrote the output '{blob}'; write it in both branches")
        answers: dict[str, Any] = {}
        if self.probabilities:
            shares = blobs[self.probabilities].ravel()
            if len(shares) != len(self.labels):
                raise ModelError(
                    f"blob '{self.probabilities}': has {len(shares)} values, but the model has {len(self.labels)} "
                    "labels; set labelProbabilityLayerName to the blob with the probabilities"
                )
            expect_probabilities(shares, f"row {index}")
            answers[self.description.predictedFeatureName] = self.labels[int(shares.argmax())]
            if self.description.predictedProbabilitiesName:
                listed = dict(zip(self.labels, shares.tolist(), strict=True))
                answers[self.description.predictedProbabilitiesName] = listed
        for feature in self.features:
            answers[feature.name] = self._value(feature, blobs[feature.name])
        return answers

    def _probabilities(self, model: Model) -> str:
        """Return the blob of the classifier's probabilities: the named one, or the output of the last layer."""
        if model.WhichOneof("Type") != "neuralNetworkClassifier":
            return ""
        if not self.description.predictedFeatureName:
            raise ModelError("model: is a classifier without a predicted feature; export it again")
        if not self.labels:
            raise ModelError("model: is a classifier without class labels; export it with its labels")
        named = str(self.network.labelProbabilityLayerName)
        if named or not len(self.network.layers):
            return named
        if not len(self.network.layers[-1].output):
            raise ModelError(f"layer '{self.network.layers[-1].name}': has no output; export the model again")
        return str(self.network.layers[-1].output[0])

    def _value(self, feature: FeatureDescription, blob: NDArray[np.float32]) -> Any:
        match feature.type.WhichOneof("Type"):
            case "doubleType":
                return _number(feature, blob)
            case "int64Type":
                number = _number(feature, blob)
                if not math.isfinite(number):
                    raise ModelError(f"blob '{feature.name}': is {number}, but the model declares an integer")
                return round(number)
            case "imageType":
                return _picture(feature, blob)
        return _typed(feature, self._shaped(feature.type.multiArrayType, blob))

    def _shaped(self, array: Any, blob: NDArray[np.float32]) -> NDArray[np.float32]:
        """EXACT: the blob's own shape, or the declared one where it lacks only the batch of a picture [1, C, H, W], as
        coremltools' tests of make_image_input expect. RANK5: the declared one if it holds as many, else [C] or
        [C, H, W]."""
        declared = [int(size) for size in array.shape]
        if self.network.arrayInputShapeMapping == EXACT_ARRAY:
            batched = self.pictures and len(blob) == 1 and blob.ndim == len(declared) + 1
            fixed = array.WhichOneof("ShapeFlexibility") is None and math.prod(declared) == blob.size
            return blob.reshape(declared) if batched and fixed else blob
        if blob.ndim != 5:
            return blob
        if declared and min(declared) > 0 and math.prod(declared) == blob.size:
            return blob.reshape(declared)
        if blob.shape[:2] != (1, 1):
            return blob
        return blob[0, 0, :, 0, 0] if blob.shape[3:] == (1, 1) else blob[0, 0]


def _typed(feature: FeatureDescription, blob: NDArray[np.float32]) -> NDArray[Any]:
    """In the declared type. A fraction is cut off, as a cast in C does; the format leaves that open."""
    dtype = DTYPES.get(feature.type.multiArrayType.dataType, np.float32)
    if np.issubdtype(dtype, np.integer) and blob.size:
        ends = np.iinfo(dtype)
        lowest, highest = float(blob.min()), float(blob.max())
        if not (lowest > ends.min - 1 and highest < ends.max + 1):  # false for NaN too
            raise ModelError(
                f"blob '{feature.name}': contains {lowest} to {highest}, but the model declares "
                f"{np.dtype(dtype).name}; declare a wider type"
            )
    if dtype == blob.dtype:
        return blob
    bounds.expect_alone(2 * blob.nbytes + blob.size * np.dtype(dtype).itemsize, f"output '{feature.name}'")
    with np.errstate(over="ignore"):
        return blob.astype(dtype)


def _number(feature: FeatureDescription, blob: NDArray[np.float32]) -> float:
    if blob.size == 0:
        raise ModelError(f"blob '{feature.name}': is empty, but the model declares a number; export the model again")
    return float(blob.ravel()[0])


def _picture(feature: FeatureDescription, blob: NDArray[np.float32]) -> Image.Image:
    """A picture from [..., C, H, W], values 0 to 255; for 16-bit grayscale, values as they are, in PIL's mode F."""
    space = feature.type.imageType.colorSpace
    channels = 3 if space in (RGB, BGR) else 1
    if blob.ndim < 3 or blob.shape[-3] != channels or blob.size != math.prod(blob.shape[-3:]) or blob.size == 0:
        raise ModelError(
            f"blob '{feature.name}': has the shape {list(blob.shape)}, but a picture needs [{channels}, height, "
            "width]; export the model again"
        )
    bounds.expect_alone(5 * blob.nbytes, f"output '{feature.name}'")  # rounded, clipped, as bytes in two layouts
    if space == GRAYSCALE_FLOAT16:
        with np.errstate(over="ignore"):
            return Image.fromarray(blob.reshape(blob.shape[-2:]).astype(np.float16).astype(np.float32))
    bytes_ = np.clip(np.rint(blob.reshape(blob.shape[-3:])), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    if channels == 1:
        return Image.fromarray(bytes_[:, :, 0])
    return Image.fromarray(np.ascontiguousarray(bytes_[:, :, ::-1] if space == BGR else bytes_))
