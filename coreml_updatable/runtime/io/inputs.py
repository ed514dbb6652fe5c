"""From a row's features to the tensors that a network's layers read."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime.io.arrays import default, numbers
from coreml_updatable.runtime.io.pictures import pixels
from coreml_updatable.runtime.io.row import expect_features, expect_mapping
from coreml_updatable.spec.color_spaces import BGR, RGB
from coreml_updatable.spec.messages import FeatureDescription, Model, NeuralNetwork

RANK4_IMAGE = EXACT_ARRAY = 1


@dataclass(frozen=True)
class Inputs:
    """The inputs of a network model, and its preprocessing of pictures by feature name."""

    model: Model
    network: NeuralNetwork

    def __post_init__(self) -> None:
        for feature in self.model.description.input:
            if feature.type.WhichOneof("Type") in ("stringType", "dictionaryType", "sequenceType", "stateType"):
                raise ModelError(f"model: input '{feature.name}' is neither a picture nor numbers; export it again")
        for step in self.network.preprocessing:
            if step.featureName and step.featureName not in self.names:
                raise ModelError(f"model: preprocessing names '{step.featureName}', which is no input; check the names")

    @cached_property
    def names(self) -> list[str]:
        return [feature.name for feature in self.model.description.input]

    @cached_property
    def _needed(self) -> list[str]:
        return [feature.name for feature in self.model.description.input if not feature.type.isOptional]

    @cached_property
    def _known(self) -> list[str]:
        """Every feature that a row may have: what is learnt from it, and the label it is known by, are not read."""
        training = (feature.name for feature in self.model.description.trainingInput)
        return list(dict.fromkeys([*self.names, *training, *_answers(self.model)]))

    def tensors(self, row: Mapping[str, Any], number: int) -> dict[str, Tensor]:
        """The blobs of row ``number`` (for errors), by input name, in the shapes of the network's mapping."""
        expect_mapping(row, number)
        expect_features(row, self._needed, self._known, number)
        return {feature.name: self._tensor(feature, row, number) for feature in self.model.description.input}

    def _tensor(self, feature: FeatureDescription, row: Mapping[str, Any], number: int) -> Tensor:
        where = f"row {number}: feature '{feature.name}'"
        if feature.name not in row and feature.type.WhichOneof("Type") == "imageType":
            raise DataError(f"{where}: is not given, and a picture has no default; give it")
        if feature.name not in row:
            return self._mapped(feature, default(feature).astype(np.float32), where)
        value = row[feature.name]
        if feature.type.WhichOneof("Type") != "imageType":
            return self._mapped(feature, numbers(feature, value, where, sequences=not self._exact), where)
        own = np.array(pixels(feature, value, where), np.float32, order="C")  # the caller's memory stays the caller's
        prepared = self._preprocessed(feature, torch.from_numpy(own))
        return prepared[None] if self.network.imageInputShapeMapping == RANK4_IMAGE else prepared[None, None]

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
        raise DataError(f"{where}: has rank {tensor.dim()}, the model's shape mapping takes 1 or 3; reshape it")

    @property
    def _exact(self) -> bool:
        return bool(self.network.arrayInputShapeMapping == EXACT_ARRAY)

    def _preprocessed(self, feature: FeatureDescription, picture: Tensor) -> Tensor:
        """y = channelScale x + the channel's bias; or x - mean image. [C, H, W], in place. No name: every picture."""
        for step in self.network.preprocessing:
            if step.featureName not in ("", feature.name):
                continue
            if step.WhichOneof("preprocessor") == "scaler":
                _scale(step.scaler, feature.type.imageType.colorSpace, picture)
            elif step.WhichOneof("preprocessor") == "meanImage":
                mean = torch.tensor(step.meanImage.meanImage, dtype=torch.float32)
                if mean.numel() != picture.numel():
                    raise ModelError(
                        f"model: mean image has {mean.numel()} values, expected {picture.numel()}; export it again"
                    )
                picture.sub_(mean.reshape(picture.shape))
        return picture


def _scale(scaler: Any, space: int, picture: Tensor) -> None:
    if space == RGB:
        biases = [scaler.redBias, scaler.greenBias, scaler.blueBias]
    elif space == BGR:
        biases = [scaler.blueBias, scaler.greenBias, scaler.redBias]
    else:
        biases = [scaler.grayBias]
    # The format has no default; a scale that is not set cannot mean 0, which would erase the picture.
    picture.mul_(scaler.channelScale or 1.0)
    if any(biases):
        picture.add_(torch.tensor(biases)[:, None, None])


def _answers(model: Model) -> list[str]:
    """A row may carry the label it is known by; predicting does not read it."""
    return [name for name in (model.description.predictedFeatureName,) if name]
