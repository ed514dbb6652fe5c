"""A saved classifier of Turi Create as a converted source."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from coreml_updatable.conversion import ConvertedSource, Float64Array, Row, SourceRequest
from coreml_updatable.errors import SourceError
from coreml_updatable.spec.features import the_input
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.reading import read_model

from .turicreate_child import ask
from .turicreate_folder import KINDS, kind_of

TOLERANCE = 1e-4
REMEDY = "load the model in Turi Create 6.4.1 yourself, and save it anew"


def finished(request: SourceRequest) -> ConvertedSource:
    """The classifier in the folder ``request.source``; see ``turicreate.convert``."""
    folder = _folder(request)
    kind = kind_of(folder)
    model, classes = _exported(folder)
    if request.labels and len(request.labels) != len(classes):
        raise SourceError(f"labels: {len(request.labels)} for a model with {len(classes)} classes; name one for each")
    return ConvertedSource(
        model=model,
        labels=request.labels or classes,
        answers=lambda rows: _answers(folder, str(the_input(model).name), rows),
        reference="Turi Create's predict",
        tolerance=TOLERANCE,
        facts={"kind": KINDS[kind], "turicreate": str(model.description.metadata.userDefined[VERSION])},
    )


VERSION = "com.github.apple.turicreate.version"


def _folder(request: SourceRequest) -> Path:
    if not isinstance(request.source, Path):
        raise SourceError(
            f"source: is a {type(request.source).__name__}, expected the path of a saved model; save it with model.save"
        )
    if request.inputs or request.mean or request.std:
        raise SourceError(
            "input: a model of Turi Create has its own input and normalisation, expected none on the command line; "
            "leave --input, --pixels, --mean and --std out"
        )
    return request.source.resolve()


def _exported(folder: Path) -> tuple[Model, tuple[str, ...] | tuple[int, ...]]:
    with TemporaryDirectory() as private:
        path = Path(private) / "exported.mlmodel"
        request = {"model": str(folder), "to": str(path)}
        answer = ask("export", request, f"{folder}: exporting", REMEDY)
        return read_model(path), tuple(answer["classes"])


def _answers(folder: Path, feature: str, rows: Sequence[Row]) -> Float64Array:
    """float64 [n, classes], of pictures uint8 [height, width] or [height, width, channels]."""
    pixels = np.stack([np.asarray(row[feature]) for row in rows])
    with TemporaryDirectory() as private:
        path = Path(private) / "rows.npy"
        np.save(path, pixels if pixels.ndim == 4 else pixels[..., None], allow_pickle=False)
        request = {"model": str(folder), "feature": feature, "rows": str(path)}
        answer = ask("predict", request, f"{folder}: predicting", REMEDY)
    return np.array(answer["probabilities"], np.float64)
