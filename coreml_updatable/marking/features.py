"""Renaming and describing the features of a model, its members included, and what Xcode's Preview tab shows.

Two lines of the model's own metadata make the preview show answers as they are meant, for example as colored masks
(coremltools' guide, "Xcode Model Preview Types"):

    com.apple.coreml.model.preview.type      "imageSegmenter"
    com.apple.coreml.model.preview.params    {"labels": ["background", ...], "colors": ["#000000", ...]}
"""

import json
from collections.abc import Mapping, Sequence

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.names import rename_blobs
from coreml_updatable.spec.features import PARAMETERS_KEY, TYPE_KEY
from coreml_updatable.spec.graph import blobs_of, free_name
from coreml_updatable.spec.messages import Model, copy_of
from coreml_updatable.spec.network import is_network, is_pipeline, network_of, pipeline_of


def rename_features(model: Model, names: Mapping[str, str]) -> Model:
    """Return ``model`` with features renamed (old -> new) in inputs, outputs, training inputs and pipeline members.

    Raises ModelError for a missing feature and for a new name that is taken.
    """
    description = model.description
    known = {str(f.name) for f in (*description.input, *description.output, *description.trainingInput)}
    for old, new in names.items():
        if old not in known:
            raise ModelError(f"features: the model has no {old!r}, expected one of {sorted(known)}; check the name")
        if not new or (new != old and new in known and new not in names):
            raise ModelError(
                f"features: {old!r} cannot become {new!r}, because that name is {'taken' if new else 'empty'}; "
                "choose another"
            )
    check_distinct([names.get(str(f.name), str(f.name)) for f in (*description.input, *description.output)])
    renamed = copy_of(model)
    _rename(renamed, {old: new for old, new in names.items() if old != new})
    return renamed


def check_distinct(names: Sequence[str]) -> None:
    """Raise ModelError if two features have the same name."""
    for name in names:
        if names.count(name) > 1:
            raise ModelError(f"features: {name!r} is given for two features; choose another name for one of them")


def rename_input(model: Model, name: str) -> Model:
    """Return ``model`` with its only input renamed to ``name``; ModelError if it has several, or the name is taken."""
    inputs = [str(feature.name) for feature in model.description.input]
    if len(inputs) != 1:
        raise ModelError(f"features: the model has {len(inputs)} inputs ({', '.join(inputs)}), expected 1 to rename")
    return rename_features(model, {inputs[0]: name})


def _rename(model: Model, names: Mapping[str, str]) -> None:
    description = model.description
    for feature in (*description.input, *description.output, *description.trainingInput):
        feature.name = names.get(feature.name, feature.name)
    description.predictedFeatureName = names.get(description.predictedFeatureName, description.predictedFeatureName)
    description.predictedProbabilitiesName = names.get(
        description.predictedProbabilitiesName, description.predictedProbabilitiesName
    )
    if is_network(model):
        _rename_in_network(model, names)
    elif is_pipeline(model):
        for member in pipeline_of(model).models:
            _rename(member, names)


def _rename_in_network(model: Model, names: Mapping[str, str]) -> None:
    network = network_of(model)
    blobs = blobs_of(network.layers)
    free = dict(names)
    for old, new in names.items():
        if new in blobs and new not in names:  # an inner blob has the name: it moves aside
            free[new] = free_name(f"{new}_blob", blobs)
            blobs.add(free[new])
        blobs.add(old)
    rename_blobs(network, free)


def describe(
    model: Model,
    *,
    features: Mapping[str, str] | None = None,
    description: str | None = None,
    author: str | None = None,
    license: str | None = None,
    version: str | None = None,
    user_defined: Mapping[str, str] | None = None,
) -> Model:
    """Return ``model`` with a short description of each named feature, and metadata; everything else stays.

    ``features`` maps names to descriptions; one text serves the input or output and the training input of that name.
    Raises ModelError for a missing feature.
    """
    described = copy_of(model)
    _describe_features(described, features or {})
    metadata = described.description.metadata
    for name, text in (
        ("shortDescription", description),
        ("author", author),
        ("license", license),
        ("versionString", version),
    ):
        if text is not None:
            setattr(metadata, name, text)
    for key in sorted(user_defined or {}):
        metadata.userDefined[key] = (user_defined or {})[key]
    return described


def _describe_features(model: Model, texts: Mapping[str, str]) -> None:
    description = model.description
    described = [*description.input, *description.output, *description.trainingInput]
    known = {str(feature.name) for feature in described}
    for name in texts:
        if name not in known:
            raise ModelError(f"features: the model has no {name!r}, expected one of {sorted(known)}; check the name")
    for feature in described:
        if feature.name in texts:
            feature.shortDescription = texts[feature.name]


def with_preview(model: Model, kind: str, labels: Sequence[str], colors: Sequence[str]) -> Model:
    """Return ``model`` with both entries; ``colors`` are hexadecimal, one per label."""
    result = copy_of(model)
    defined = result.description.metadata.userDefined
    defined[TYPE_KEY] = kind
    defined[PARAMETERS_KEY] = json.dumps({"labels": list(labels), "colors": list(colors)}, ensure_ascii=False)
    return result
