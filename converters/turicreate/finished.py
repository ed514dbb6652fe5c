"""Convert a saved classifier of Turi Create."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from coreml_updatable.converting.contract import ConvertedSource, Row, SourceRequest
from coreml_updatable.data.inputs import Float64Array
from coreml_updatable.errors import SourceError
from coreml_updatable.spec.features import COLOR_SPACES
from coreml_updatable.spec.io import read_model
from coreml_updatable.spec.messages import FeatureDescription, Model
from coreml_updatable.spec.network import is_pipeline, pipeline_of

from .child import REMEDY, ask
from .neighbors import NEIGHBORS, neighbors_of, untied

NEIGHBORS_KIND = "nearest_neighbor_classifier"
KINDS = {
    "drawing_classifier": "drawing classifier",
    "image_classifier": "image classifier",
    "classifier_logistic_regression": "logistic classifier",
    NEIGHBORS_KIND: "nearest-neighbors classifier",
}
NEVER = "cannot be trained on a device; train a logistic, nearest-neighbors, image or drawing classifier"
REFUSED = {
    "boosted_trees_classifier": f"trees {NEVER}",
    "random_forest_classifier": f"trees {NEVER}",
    "decision_tree_classifier": f"trees {NEVER}",
    "classifier_svm": "its margins are not probabilities; train a logistic classifier",
    "activity_classifier": "its updatable export reportedly does not compile in Xcode (turicreate issue "
    "2048); to try it anyway, export it "
    "and mark the file",
}
ARCHIVE, OBJECTS, MAGIC = "dir_archive.ini", "objects.bin", b"TCMODEL0"
LONGEST_NAME = 200


def kind_of(folder: Path) -> str:
    """Return one of KINDS; SourceError names any other type and what to do instead.

    ``objects.bin`` begins with TCMODEL0, the length of a name as a u64, little-endian, and the name.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: is not a folder, expected one from Turi Create's model.save; check the path")
    if not (folder / ARCHIVE).is_file():
        raise SourceError(f"{folder}: has no {ARCHIVE}, expected a folder from Turi Create's model.save")
    try:
        with (folder / OBJECTS).open("rb") as file:
            start = file.read(len(MAGIC) + 8 + LONGEST_NAME)
    except OSError as error:
        raise SourceError(
            f"{folder / OBJECTS}: cannot be read ({error.strerror}); copy the complete folder of the model"
        ) from error
    length = int.from_bytes(start[8:16], "little")
    name = start[16 : 16 + length].decode("ascii", "replace")
    if not start.startswith(MAGIC) or not 0 < length <= LONGEST_NAME or len(name) < length or not name.isidentifier():
        raise SourceError(f"{folder / OBJECTS}: is not a model of Turi Create 5 or 6; save it again with model.save")
    if name in KINDS:
        return name
    reason = REFUSED.get(name, "only classifiers that can be trained on a device are converted: " + _known())
    raise SourceError(f"{folder}: is a {name} of Turi Create: {reason}")


def _known() -> str:
    return ", ".join(KINDS.values())


ROWS = 16


def rows_by_chance(model: Model, seed: int) -> tuple[Row, ...]:
    """Return rows that fit the inputs of an exported ``model``, with text and keys that it knows.

    Single numbers are integers, which Turi Create accepts for both types of numbers.
    """
    generator = np.random.default_rng(seed)
    inputs = model.description.input
    return tuple({str(value.name): _value(value, model, generator) for value in inputs} for _ in range(ROWS))


def _value(feature: FeatureDescription, model: Model, generator: np.random.Generator) -> Any:
    match feature.type.WhichOneof("Type"):
        case "imageType":
            image = feature.type.imageType
            channels = COLOR_SPACES[image.colorSpace][1]
            return generator.integers(0, 256, (int(image.height), int(image.width), channels), np.uint8)
        case "multiArrayType":
            return generator.standard_normal(tuple(feature.type.multiArrayType.shape), np.float32)
        case "stringType":
            return str(generator.choice(_known_values(model, str(feature.name))))
        case "dictionaryType":
            return {key: float(generator.integers(-5, 6)) for key in _known_values(model, str(feature.name))}
    return float(generator.integers(-5, 6))


def _known_values(model: Model, feature: str) -> list[str]:
    """Return the words of the encoder or vectorizer that reads ``feature``."""
    for member in pipeline_of(model).models if is_pipeline(model) else ():
        if feature in [str(item.name) for item in member.description.input]:
            for found in (member.oneHotEncoder.stringCategories, member.dictVectorizer.stringToIndex):
                if found.vector:
                    return [str(word) for word in found.vector]
    return [""]


def columns_of(rows: Sequence[Row], folder: Path) -> dict[str, Any]:
    """Prepare columns for ``python38/frames.py``: pictures go into files in ``folder``."""
    columns: dict[str, Any] = {}
    for index, name in enumerate(rows[0]):
        values = [row[name] for row in rows]
        first = np.asarray(values[0])
        if first.dtype == np.uint8 and first.ndim >= 2:
            pixels = np.stack([np.asarray(value).reshape(*first.shape[:2], -1) for value in values])
            path = folder / f"pictures{index}.npy"
            np.save(path, pixels, allow_pickle=False)
            columns[name] = {"pictures": str(path)}
        else:
            columns[name] = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
    return columns


TOLERANCE = 1e-4
TIED = (
    "no row was compared: every row that was tried is equally near to several samples, and which of them vote "
    "depends on the implementation"
)


def finished(request: SourceRequest) -> ConvertedSource:
    """Convert the classifier in the folder ``request.source``; see ``turicreate.convert``."""
    folder = _folder(request)
    kind = kind_of(folder)
    if kind == NEIGHBORS_KIND:
        return _remembering(folder, request)
    model, classes = exported(folder)
    if request.labels and len(request.labels) != len(classes):
        raise SourceError(
            f"labels: found {len(request.labels)} for a model with {len(classes)} classes; give one per class"
        )
    return ConvertedSource(
        model=model,
        labels=request.labels or classes,
        answers=lambda rows: answers(folder, rows),
        reference="Turi Create's predict",
        tolerance=TOLERANCE,
        rows=rows_by_chance(model, request.seed),
        facts={"kind": KINDS[kind]},
    )


def _remembering(folder: Path, request: SourceRequest) -> ConvertedSource:
    result = neighbors_of(folder, request.labels)
    rows = untied(result, rows_by_chance(result.model, request.seed))
    options = {"classes": result.classes, "neighbors": NEIGHBORS}
    return ConvertedSource(
        model=result.model,
        labels=result.labels,
        answers=(lambda rows: answers(folder, rows, options)) if rows else None,
        reference=f"Turi Create's predict_topk with {NEIGHBORS} neighbours",
        tolerance=TOLERANCE,
        rows=rows,
        notes=() if rows else (TIED,),
        facts={"kind": KINDS[NEIGHBORS_KIND]},
    )


def _folder(request: SourceRequest) -> Path:
    if not isinstance(request.source, Path):
        raise SourceError(
            f"source: is a {type(request.source).__name__}, expected the path of a saved model; save it with model.save"
        )
    if request.inputs or request.mean or request.std:
        raise SourceError(
            "input: a Turi Create model has its own input and normalization; omit --input, --pixels, --mean and --std"
        )
    return request.source.resolve()


def exported(folder: Path) -> tuple[Model, tuple[str, ...] | tuple[int, ...]]:
    """Return the model from ``export_coreml``, and the classes in the order of its outputs."""
    with TemporaryDirectory() as private:
        path = Path(private) / "exported.mlmodel"
        request = {"model": str(folder), "to": str(path)}
        answer = ask("export", request, f"{folder}: exporting", REMEDY)
        return read_model(path), tuple(answer["classes"])


def answers(folder: Path, rows: Sequence[Row], options: Mapping[str, Any] | None = None) -> Float64Array:
    """Return the saved model's own probabilities, float64 [n, classes]."""
    with TemporaryDirectory() as private:
        request = {"model": str(folder), "columns": columns_of(rows, Path(private)), **(options or {})}
        answer = ask("predict", request, f"{folder}: predicting", REMEDY)
    return np.array(answer["probabilities"], np.float64)
