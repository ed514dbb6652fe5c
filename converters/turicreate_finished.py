"""A saved classifier of Turi Create as a converted source."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from coreml_updatable.conversion import ConvertedSource, Float64Array, Row, SourceRequest
from coreml_updatable.errors import SourceError
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.reading import read_model

from .turicreate_child import REMEDY, ask
from .turicreate_folder import KINDS, NEIGHBORS_KIND, kind_of
from .turicreate_neighbors import NEIGHBORS, neighbors_of, untied
from .turicreate_rows import columns_of, rows_by_chance

TOLERANCE = 1e-4
TIED = (
    f"no row was compared: each that was tried is as near to a sample among its {NEIGHBORS} nearest as to another, and "
    "which of them vote is up to who runs the model"
)


def finished(request: SourceRequest) -> ConvertedSource:
    """The classifier in the folder ``request.source``; see ``turicreate.convert``."""
    folder = _folder(request)
    kind = kind_of(folder)
    if kind == NEIGHBORS_KIND:
        return _remembering(folder, request)
    model, classes = exported(folder)
    if request.labels and len(request.labels) != len(classes):
        raise SourceError(f"labels: {len(request.labels)} for a model with {len(classes)} classes; name one for each")
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
    found = neighbors_of(folder, request.labels)
    rows = untied(found, rows_by_chance(found.model, request.seed))
    options = {"classes": found.classes, "neighbors": NEIGHBORS}
    return ConvertedSource(
        model=found.model,
        labels=found.labels,
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
            "input: a model of Turi Create has its own input and normalisation, expected none on the command line; "
            "leave --input, --pixels, --mean and --std out"
        )
    return request.source.resolve()


def exported(folder: Path) -> tuple[Model, tuple[str, ...] | tuple[int, ...]]:
    """What ``export_coreml`` writes, and the classes in the order of its answers."""
    with TemporaryDirectory() as private:
        path = Path(private) / "exported.mlmodel"
        request = {"model": str(folder), "to": str(path)}
        answer = ask("export", request, f"{folder}: exporting", REMEDY)
        return read_model(path), tuple(answer["classes"])


def answers(folder: Path, rows: Sequence[Row], options: Mapping[str, Any] | None = None) -> Float64Array:
    """float64 [n, classes]: what the saved model itself answers."""
    with TemporaryDirectory() as private:
        request = {"model": str(folder), "columns": columns_of(rows, Path(private)), **(options or {})}
        answer = ask("predict", request, f"{folder}: predicting", REMEDY)
    return np.array(answer["probabilities"], np.float64)
