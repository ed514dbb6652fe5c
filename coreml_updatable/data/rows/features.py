"""Which features a model reads, and how a picture of another size is made to fit, in the words of Vision."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coreml_updatable.data.inputs import Fit
from coreml_updatable.data.pictures import fit_of
from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.spec.messages import FeatureDescription, Model


@dataclass(frozen=True)
class Features:
    """``inputs``: what is predicted from. ``known``: the training inputs as well. By name."""

    inputs: dict[str, FeatureDescription]
    known: dict[str, FeatureDescription]
    fit: Fit
    resized: set[Path] = field(default_factory=set)  # pictures of another size, which were made to fit

    @property
    def has_pictures(self) -> bool:
        return any(kind(feature) == "imageType" for feature in self.inputs.values())

    def the_picture(self, where: str) -> FeatureDescription:
        """The one input that is a picture; DataError where there is none, several, or other inputs are needed too."""
        pictures = [feature for feature in self.inputs.values() if kind(feature) == "imageType"]
        if not pictures:
            raise DataError(f"{where}: is a picture, but the model reads {self._listed()}; pass .npy, .json or .csv")
        return self._alone(pictures, f"{where}: is one picture")

    def the_array(self, where: str) -> FeatureDescription:
        """The one input that an array can be."""
        return self._alone(list(self.inputs.values()), f"{where}: is one array")

    def _alone(self, features: list[FeatureDescription], result: str) -> FeatureDescription:
        needed = [name for name, feature in self.inputs.items() if not feature.type.isOptional]
        if len(features) != 1 or any(name != features[0].name for name in needed):
            raise DataError(
                f"{result}, but the model reads {self._listed()}; pass rows with all of them as .json or .csv"
            )
        return features[0]

    def _listed(self) -> str:
        return ", ".join(f"'{name}'" for name in self.inputs)


def features_of(model: Model, fit: Fit | None = None) -> Features:
    """Without ``fit``, pictures are made to fit as the model's metadata say, else by a crop to the middle.

    A DataError for a ``fit`` of a model that takes no pictures.
    """
    inputs = {feature.name: feature for feature in model.description.input}
    training = {feature.name: feature for feature in model.description.trainingInput}
    features = Features(inputs, {**inputs, **training}, fit or fit_of(model))
    if fit is not None and not features.has_pictures:
        raise DataError(f"--fit {fit}: has no effect, because the model takes no pictures; omit it")
    return features


def target_of(model: Model) -> FeatureDescription:
    """The training input that says what to learn: the one that is no input."""
    names = {feature.name for feature in model.description.input}
    targets = [feature for feature in model.description.trainingInput if feature.name not in names]
    if not model.isUpdatable:
        raise ModelError("model: is not updatable; mark it first")
    if len(targets) != 1:
        listed = ", ".join(f"'{feature.name}'" for feature in targets) or "none"
        raise DataError(
            f"model: folders of pictures provide only one label, but the model is trained with {listed}; pass rows "
            "as .json or .csv"
        )
    return targets[0]


def label_of(feature: FeatureDescription, folder: str, where: str) -> Any:
    """A folder's name as the value to learn."""
    if kind(feature) == "stringType":
        return folder
    try:
        number = int(folder)
    except ValueError:
        raise DataError(
            f"{where}: the name of the folder is the label, but '{feature.name}' is an integer; rename the folder"
        ) from None
    return number if kind(feature) == "int64Type" else [number]


def kind(feature: FeatureDescription) -> str:
    return str(feature.type.WhichOneof("Type"))
