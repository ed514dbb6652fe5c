"""Convert the features of a row to the tensors that a network's layers read; check the size and colors of pictures.

A PIL picture in another mode is converted only if nothing is lost: black-and-white and gray to color, a palette to its
colors, an alpha channel that is opaque everywhere. Anything else is refused, because the choice is the app's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from coreml_updatable.errors import DataError, ModelError, a_kind
from coreml_updatable.runtime.io.arrays import default, in_range, in_words, numbers
from coreml_updatable.runtime.io.row import expect_features, expect_mapping
from coreml_updatable.spec.features import BGR, GRAYSCALE_FLOAT16, RGB
from coreml_updatable.spec.messages import FeatureDescription, Model, NeuralNetwork


def pixels(feature: FeatureDescription, value: Any, where: str) -> NDArray[Any]:
    """Convert a PIL picture, or an array [H, W, 3], [H, W, 1] or [H, W], to [C, H, W] of uint8 or float16.

    float16 is for GRAYSCALE_FLOAT16. The result may share memory with the input. Arrays are in the order red, green,
    blue. DataError for a wrong size, mode, shape or type.
    """
    space = feature.type.imageType.colorSpace
    color = space in (RGB, BGR)
    if isinstance(value, Image.Image):
        array = _from_picture(value, color, space == GRAYSCALE_FLOAT16, where)
    elif isinstance(value, np.ndarray):
        array = _from_array(value, color, space == GRAYSCALE_FLOAT16, where)
    else:
        raise DataError(f"{where}: is {a_kind(value)}, expected a PIL picture or an array [H, W, C] of uint8")
    _check_size(feature.type.imageType, array.shape[1], array.shape[0], where)
    ordered = array[:, :, ::-1] if space == BGR else array
    return ordered.transpose(2, 0, 1)


def _from_picture(picture: Image.Image, color: bool, half: bool, where: str) -> NDArray[Any]:
    wanted = "RGB" if color else "L"
    floats = " or F (floating point)" if half else ""
    mode = picture.mode
    transparent = "transparency" in picture.info
    if mode in ("RGBA", "LA", "PA") or (mode == "P" and transparent):
        alpha = picture.convert("RGBA").getchannel("A")
        if alpha.getextrema() != (255, 255):
            raise DataError(
                f"{where}: picture is partly transparent; compose it with a background first (Image.alpha_composite)"
            )
        mode = "L" if mode == "LA" else "RGB"
        picture = picture.convert(mode)
    if half and mode == "F":
        return np.asarray(picture, np.float16)[:, :, None]
    lossless = {"RGB": ("RGB", "L", "1", "P"), "L": ("L", "1")}[wanted]
    if mode not in lossless:
        raise DataError(
            f"{where}: picture has the mode {mode}, but the model expects {wanted}{floats}; call "
            f"picture.convert('{wanted}')"
        )
    array = np.asarray(picture if mode == wanted else picture.convert(wanted))
    array = array if array.ndim == 3 else array[:, :, None]
    return array.astype(np.float16) if half else array


def _from_array(array: NDArray[Any], color: bool, half: bool, where: str) -> NDArray[Any]:
    if array.dtype.kind != "f" if half else array.dtype != np.uint8:
        name = "float" if half else "uint8"
        raise DataError(f"{where}: array has the type {array.dtype}, expected {name}; pass the original pixel values")
    shaped = array[:, :, None] if array.ndim == 2 and not color else array
    channels = 3 if color else 1
    if shaped.ndim != 3 or shaped.shape[2] != channels:
        raise DataError(f"{where}: array has the shape {list(array.shape)}, expected [height, width, {channels}]")
    return shaped.astype(np.float16) if half else shaped


def _check_size(image: Any, width: int, height: int, where: str) -> None:
    if image.WhichOneof("SizeFlexibility") == "imageSizeRange":
        ranges = image.imageSizeRange
        if in_range(width, ranges.widthRange) and in_range(height, ranges.heightRange):
            return
        expected = f"a width of {in_words(ranges.widthRange)} and a height of {in_words(ranges.heightRange)}"
    else:
        listed = [(int(size.width), int(size.height)) for size in image.enumeratedSizes.sizes]
        declared = (int(image.width), int(image.height))
        allowed = listed if listed and declared == (0, 0) else [declared, *listed]
        if (width, height) in allowed:
            return
        expected = " or ".join(f"{wide}x{high}" for wide, high in dict.fromkeys(allowed))
    raise DataError(
        f"{where}: picture is {width}x{height} (width x height), but the model expects {expected}; fit it with "
        "center_crop, scale_to_fit or stretch of coreml_updatable.data.fitting"
    )


RANK4_IMAGE = EXACT_ARRAY = 1


@dataclass(frozen=True)
class NetworkInputs:
    """The inputs of a network model, and its preprocessing of pictures by feature name."""

    model: Model
    network: NeuralNetwork

    def __post_init__(self) -> None:
        for feature in self.model.description.input:
            if feature.type.WhichOneof("Type") in ("stringType", "dictionaryType", "sequenceType", "stateType"):
                raise ModelError(f"model: input '{feature.name}' is neither a picture nor an array; export it again")
        for step in self.network.preprocessing:
            if step.featureName and step.featureName not in self.names:
                raise ModelError(
                    f"model: preprocessing names '{step.featureName}', which is not an input; check the names"
                )

    @cached_property
    def names(self) -> list[str]:
        return [feature.name for feature in self.model.description.input]

    @cached_property
    def _needed(self) -> list[str]:
        return [feature.name for feature in self.model.description.input if not feature.type.isOptional]

    @cached_property
    def _known(self) -> list[str]:
        """Every feature that a row may have: what is learned from it, and the label it is known by, are not read."""
        training = (feature.name for feature in self.model.description.trainingInput)
        return list(dict.fromkeys([*self.names, *training, *_answers(self.model)]))

    def tensors(
        self, row: Mapping[str, Any], index: int, places: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """The blobs of row ``number`` (for errors), by input name, in the shapes of the network's mapping.

        ``places``: contiguous memory for them, which a blob of the same shape is written into.
        """
        expect_mapping(row, index)
        expect_features(row, self._needed, self._known, index)
        return {
            feature.name: self._tensor(feature, row, index, None if places is None else places[feature.name])
            for feature in self._features
        }

    @cached_property
    def _features(self) -> list[FeatureDescription]:
        return list(self.model.description.input)

    def _tensor(self, feature: FeatureDescription, row: Mapping[str, Any], index: int, place: Tensor | None) -> Tensor:
        if feature.type.WhichOneof("Type") == "imageType" and feature.name in row:
            return self._picture(feature, row[feature.name], index, place)
        result = self._array(feature, row, index)
        return place.copy_(result) if place is not None and place.shape == result.shape else result

    def _picture(self, feature: FeatureDescription, value: Any, index: int, place: Tensor | None) -> Tensor:
        given = pixels(feature, value, f"row {index}: feature '{feature.name}'")
        axes = (1,) if self.network.imageInputShapeMapping == RANK4_IMAGE else (1, 1)
        if place is None or place.shape != (*axes, *given.shape):
            place = torch.empty((*axes, *given.shape))
        self._preprocess(feature, given, place[(0,) * len(axes)].numpy())  # the caller's memory stays the caller's
        return place

    def _array(self, feature: FeatureDescription, row: Mapping[str, Any], index: int) -> Tensor:
        where = f"row {index}: feature '{feature.name}'"
        if feature.name not in row and feature.type.WhichOneof("Type") == "imageType":
            raise DataError(f"{where}: is missing, and a picture has no default; add it")
        if feature.name not in row:
            return self._mapped(feature, default(feature).astype(np.float32), where)
        value = numbers(feature, row[feature.name], where, sequences=not self._exact)
        return self._mapped(feature, value, where)

    def _mapped(self, feature: FeatureDescription, array: NDArray[np.float32], where: str) -> Tensor:
        """EXACT: as it is. RANK5: [C] -> [1, 1, C, 1, 1], [C, H, W] -> [1, 1, C, H, W]; [S, B, ...] keeps S and B."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self._exact:
            return tensor
        match tensor.dim(), len(feature.type.multiArrayType.shape):
            case 1, _:
                return tensor[None, None, :, None, None]
            case 3, 1:
                return tensor[:, :, :, None, None]
            case 3, _:
                return tensor[None, None]
            case 5, _:
                return tensor
        raise DataError(f"{where}: has rank {tensor.dim()}, but the model's shape mapping takes 1 or 3; reshape it")

    @property
    def _exact(self) -> bool:
        return bool(self.network.arrayInputShapeMapping == EXACT_ARRAY)

    def inner_shape(self, feature: FeatureDescription, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Of one row as the layers read it, where a picture is [C, H, W] and an array has its own ``shape``."""
        if feature.type.WhichOneof("Type") == "imageType":
            return (1, *shape) if self.network.imageInputShapeMapping == RANK4_IMAGE else (1, 1, *shape)
        where = f"model: input '{feature.name}'"
        return tuple(self._mapped(feature, np.zeros(shape, np.float32), where).shape)

    def picture_steps(self, feature: FeatureDescription) -> list[tuple[float, Tensor | None]]:
        """y = scale x + bias for pictures [..., C, H, W], one after the other: the bias is [C, 1, 1] or [C, H, W].

        A step scales by channelScale and adds the channel's bias, or subtracts a mean image. No name: every picture.
        """
        result: list[tuple[float, Tensor | None]] = []
        space = feature.type.imageType.colorSpace
        for step in self.network.preprocessing:
            if step.featureName not in ("", feature.name):
                continue
            if step.WhichOneof("preprocessor") == "scaler":
                # The format has no default; a scale that is not set cannot mean 0, which would erase the picture.
                biases = _biases(step.scaler, space)
                result.append(
                    (step.scaler.channelScale or 1.0, torch.tensor(biases)[:, None, None] if any(biases) else None)
                )
            elif step.WhichOneof("preprocessor") == "meanImage":
                result.append((1.0, -torch.tensor(step.meanImage.meanImage, dtype=torch.float32)))
        return result

    @cached_property
    def _steps(self) -> dict[str, list[tuple[float, Tensor | None]]]:
        """The steps of each picture."""
        pictures = (feature for feature in self._features if feature.type.HasField("imageType"))
        return {feature.name: self.picture_steps(feature) for feature in pictures}

    def _preprocess(self, feature: FeatureDescription, given: NDArray[Any], picture: NDArray[np.float32]) -> None:
        """Write ``given`` [C, H, W] into ``picture``. By NumPy: torch's threads would spin on beside an engine's."""
        with np.errstate(all="ignore"):
            for index, (scale, bias) in enumerate(self._steps[feature.name] or [(1.0, None)]):
                np.multiply(
                    picture if index else np.ascontiguousarray(given), np.float32(scale), out=picture, dtype=np.float32
                )
                if bias is not None:
                    if bias.dim() == 1 and bias.numel() != picture.size:
                        raise ModelError(
                            f"model: mean image has {bias.numel()} values, expected {picture.size}; export it again"
                        )
                    picture += bias.numpy() if bias.dim() == 3 else bias.reshape(picture.shape).numpy()


def _biases(scaler: Any, space: int) -> list[float]:
    """In the order of the picture's channels."""
    if space == RGB:
        return [scaler.redBias, scaler.greenBias, scaler.blueBias]
    if space == BGR:
        return [scaler.blueBias, scaler.greenBias, scaler.redBias]
    return [scaler.grayBias]


def _answers(model: Model) -> list[str]:
    """A row may carry the label it is known by; predicting does not read it."""
    return [name for name in (model.description.predictedFeatureName,) if name]
