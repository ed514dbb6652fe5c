"""A model that is not updatable: made by its recipe's function, described, checked, proved and written."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from coreml_updatable import __version__
from coreml_updatable.checking import check
from coreml_updatable.converting.contract import FrozenRequest, FrozenSource
from coreml_updatable.converting.registry import told_lacking
from coreml_updatable.converting.trial_rows import trial_rows
from coreml_updatable.data.inputs import Float32Array, Int64Array, UInt8Array
from coreml_updatable.data.sample_code import called, load_function
from coreml_updatable.errors import BuildError, ModelError, SourceError, a_kind
from coreml_updatable.files import alone, write_all_atomically
from coreml_updatable.marking import describe, mark
from coreml_updatable.marking.preview import with_preview
from coreml_updatable.marking.settings import UpdateSettings
from coreml_updatable.publishing.report.frozen import Seen, frozen_page
from coreml_updatable.recipes.frozen import FrozenRecipe
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model
from coreml_updatable.text import json_text

ALLOWED_DIFFERENCE = 1e-4  # of the range of the source's answers
ROWS = 2
SQUARES = 8  # along the longer side of the second picture


@dataclass(frozen=True)
class Agreement:
    """How far both agree; classes are int64 [n, ...places]."""

    pixels: UInt8Array
    relative_difference: float  # the largest, of the largest range in which a class's numbers lie
    source_classes: Int64Array  # with the largest number at each place
    model_classes: Int64Array

    @property
    def same_label(self) -> float:
        """Share of the places whose largest number is of the same class."""
        return float((self.model_classes == self.source_classes).mean())


def agree(model: Model, source: FrozenSource, output: str) -> Agreement:
    """Compare both on noise and on squares; a BuildError where they differ by more than 1e-4 of the answers' range."""
    name = str(model.description.input[0].name)
    fine, coarse = (np.asarray(row[name]) for row in trial_rows(model, ROWS))
    pixels = np.stack([fine, _in_squares(coarse)])
    expected = source.answers(pixels)
    said = np.stack(
        [np.asarray(answer[output], np.float32) for answer in load(model).predict([{name: one} for one in pixels])]
    )
    if said.size != expected.size:
        raise BuildError(
            f"converted model: answers {list(said.shape[1:])}, its source {list(expected.shape[1:])}, expected the "
            "same; correct the recipe's function"
        )
    said = said.reshape(expected.shape)
    spread = _range(expected)
    if spread <= ALLOWED_DIFFERENCE * float(np.abs(expected).max()):
        raise BuildError(
            f"source: answers the same at every place of every picture, within {spread:.1g}, expected numbers that "
            "differ, for constants prove nothing; give weights that see something"
        )
    difference = float(np.abs(said - expected).max()) / spread
    if not difference <= ALLOWED_DIFFERENCE:  # NaN too
        raise BuildError(
            f"converted model: differs from its source by {difference:.2g} of the range of its answers, expected at "
            f"most {ALLOWED_DIFFERENCE:g}; nothing was written, this source does not convert faithfully"
        )
    return Agreement(pixels, difference, expected.argmax(axis=1), said.argmax(axis=1))


def _in_squares(pixels: UInt8Array) -> UInt8Array:
    """Pixels from far apart, each as large as a square: shapes to see, where noise is as good as gray."""
    height, width = pixels.shape[:2]
    side = max(1, max(height, width) // SQUARES)
    return pixels[::side, ::side].repeat(side, axis=0).repeat(side, axis=1)[:height, :width]


def _range(answers: Float32Array) -> float:
    """From the lowest to the highest of each class [n, classes, ...], of the class where that is most."""
    by_class = np.moveaxis(answers, 1, 0).reshape(answers.shape[1], -1)
    return float(np.ptp(by_class, axis=1).max())


SCHEMA = 1


def missing(recipe: FrozenRecipe) -> str | None:
    """What the recipe's function cannot import, as one sentence."""
    absent = [name for name in recipe.source.needs if find_spec(name) is None]
    if not absent:
        return told_lacking(recipe.extras)
    advice = f"run: {recipe.source.install}" if recipe.source.install else "install it"
    return f"{', '.join(absent)} is not installed; {advice}"


def build_frozen(recipe: FrozenRecipe, folder: Path, weights: Path | None, target: Path) -> Mapping[str, Any]:
    """Write the model, and its report as JSON and HTML, into ``target``. Raises UserErrors of every kind."""
    absent = missing(recipe)
    if absent is not None:
        raise SourceError(f"{recipe.name}: {absent}")
    with alone(target, "another build of this model", error=BuildError, option="--out"):
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
            "pictures": len(agreement.pixels),
            "relative_difference": agreement.relative_difference,
            "allowed_difference": ALLOWED_DIFFERENCE,
            "same_label": agreement.same_label,
            "labels_seen": len(np.unique(agreement.source_classes)),
            "problems": [str(problem) for problem in problems],
            "files": {f"{recipe.name}.mlmodel": {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}},
        }
        text = json_text(report, indent=2) + "\n"
        page = frozen_page(report, folder.name, recipe.preview.colors, recipe.preview.type, _seen(agreement))
        made = {f"{recipe.name}.mlmodel": content, "report.json": text.encode(), "report.html": page.encode()}
        write_all_atomically({target / name: written for name, written in made.items()})
    return report


def _seen(agreement: Agreement) -> Seen | None:
    """The proof's pictures for the page, where there is a class for each pixel, and a colour for each class."""
    pixels, classes = agreement.pixels, agreement.source_classes
    if classes.shape != pixels.shape[:3]:
        return None
    height, width = pixels.shape[1:3]
    return Seen(pixels.reshape(len(pixels), height, width, -1), classes, agreement.model_classes)


def _made(recipe: FrozenRecipe, folder: Path, weights: Path | None) -> FrozenSource:
    if weights is None and recipe.source.weights is not None:
        weights = folder / recipe.source.weights
    if weights is not None and not weights.is_file():
        raise SourceError(f"{weights}: no such file of weights; check the path")
    make = load_function(folder, recipe.source.make, recipe.trust_code)
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
    """Why the model cannot be marked, in the marking's own words; a BuildError if it can."""
    try:
        mark(model, UpdateSettings())
    except ModelError as refused:
        return str(refused)
    raise BuildError("the recipe says that its model cannot learn, but it can be marked; write a recipe.toml instead")
