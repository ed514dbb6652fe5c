"""A model that never learns on the device: made by its recipe's function, described, checked, proved and written."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from coreml_updatable import __version__
from coreml_updatable.building.finished import SETTINGS
from coreml_updatable.building.frozen_recipe import FrozenRecipe
from coreml_updatable.building.lock import building_alone
from coreml_updatable.building.unchanged import chance_rows
from coreml_updatable.checking import check
from coreml_updatable.conversion import Float32Array, FrozenRequest, FrozenSource
from coreml_updatable.errors import BuildError, ModelError, SourceError, a_kind
from coreml_updatable.files import write_all_atomically
from coreml_updatable.marking import describe, mark
from coreml_updatable.marking.preview import with_preview
from coreml_updatable.runtime import load
from coreml_updatable.sample_code import called, load_function
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.writing import model_bytes

ALLOWED_DIFFERENCE = 1e-4  # of the largest number that the source answers
ROWS = 2
SCHEMA = 1


@dataclass(frozen=True)
class Agreement:
    """The written model against its source, on pictures of noise."""

    pictures: int
    relative_difference: float  # the largest, of the source's largest number
    same_label: float  # share of the places whose largest number is of the same class


def missing(recipe: FrozenRecipe) -> str | None:
    """What the recipe's function can not import, as one sentence."""
    absent = [name for name in recipe.source.needs if find_spec(name) is None]
    return f"{', '.join(absent)} is not installed; run: {recipe.source.install}" if absent else None


def build_frozen(recipe: FrozenRecipe, folder: Path, weights: Path | None, target: Path) -> Mapping[str, Any]:
    """Write the model and report.json into ``target``; returns the report. Raises UserErrors of every kind."""
    absent = missing(recipe)
    if absent is not None:
        raise SourceError(f"{recipe.name}: {absent}")
    with building_alone(target):
        source = _made(recipe, folder, weights)
        model = _described(recipe, source.model)
        refusal = _refusal(model)
        problems = check(model)
        for problem in problems:
            if problem.severity == "error":
                raise BuildError(f"built model breaks rule {problem.rule}: {problem}")
        agreement = agree(model, source, recipe.output.name)
        content = model_bytes(model)
        report = {
            "schema": SCHEMA,
            "name": recipe.name,
            "description": recipe.metadata.description,
            "labels": list(recipe.labels),
            "learns": False,
            "why": recipe.why,
            "marking_says": refusal,
            "notes": list(source.notes),
            "source": dict(source.facts),
            "pictures": agreement.pictures,
            "relative_difference": agreement.relative_difference,
            "allowed_difference": ALLOWED_DIFFERENCE,
            "same_label": agreement.same_label,
            "problems": [str(problem) for problem in problems],
            "files": {f"{recipe.name}.mlmodel": {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}},
        }
        text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_all_atomically({target / f"{recipe.name}.mlmodel": content, target / "report.json": text.encode()})
    return report


def agree(model: Model, source: FrozenSource, output: str) -> Agreement:
    """Compare both on pictures of noise; a BuildError where they differ by more than 1e-4 of the largest number."""
    rows = chance_rows(model, ROWS)
    name = str(model.description.input[0].name)
    expected = source.answers(np.stack([np.asarray(row[name]) for row in rows]))
    said = np.stack([np.asarray(answer[output], np.float32) for answer in load(model).predict(rows)])
    if said.size != expected.size:
        raise BuildError(
            f"converted model: answers {list(said.shape[1:])}, its source {list(expected.shape[1:])}, expected the "
            "same; correct the recipe's function"
        )
    said = said.reshape(expected.shape)
    difference = float(np.abs(said - expected).max() / max(float(np.abs(expected).max()), 1e-30))
    if not difference <= ALLOWED_DIFFERENCE:  # NaN too
        raise BuildError(
            f"converted model: differs from its source by {difference:.2g} of its largest number, expected at most "
            f"{ALLOWED_DIFFERENCE:g}; nothing was written, this source does not convert faithfully"
        )
    return Agreement(len(rows), difference, _same(said, expected))


def _same(said: Float32Array, expected: Float32Array) -> float:
    return float((said.argmax(axis=1) == expected.argmax(axis=1)).mean())


def _made(recipe: FrozenRecipe, folder: Path, weights: Path | None) -> FrozenSource:
    if weights is None and recipe.source.weights is not None:
        weights = folder / recipe.source.weights
    if weights is not None and not weights.is_file():
        raise SourceError(f"{weights}: no such file of weights; check the path")
    make = load_function(folder, recipe.source.make)
    request = FrozenRequest(recipe.input.converted(), recipe.output.name, len(recipe.labels), weights, recipe.seed)
    made = called(f"{recipe.source.make}: making the model", make, request, error=SourceError)
    if not isinstance(made, FrozenSource):
        raise SourceError(f"{recipe.source.make}: gave {a_kind(made)}, expected a FrozenSource; correct it")
    return made


def _described(recipe: FrozenRecipe, model: Model) -> Model:
    metadata = recipe.metadata
    described = describe(
        model,
        features={recipe.input.name: recipe.input.description, recipe.output.name: recipe.output.description},
        description=metadata.description,
        author=metadata.author,
        license=metadata.license,
        version=metadata.version,
        user_defined={"made by": f"coreml_updatable {__version__}", "recipe": recipe.name},
    )
    return with_preview(described, recipe.preview.type, recipe.labels, recipe.preview.colors)


def _refusal(model: Model) -> str:
    """Why the model can not be marked, in the marking's own words; a BuildError if it can."""
    try:
        mark(model, SETTINGS)
    except ModelError as refused:
        return str(refused)
    raise BuildError("the recipe says that its model can not learn, but it can be marked; write a recipe.toml instead")
