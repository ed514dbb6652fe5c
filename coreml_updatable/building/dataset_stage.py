"""The rows, pictures or arrays: drawn, loaded or read from a folder, or as an earlier run left them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from coreml_updatable.building.cache import remembered
from coreml_updatable.building.request import BuildRequest
from coreml_updatable.data.dataset import Dataset, load_dataset
from coreml_updatable.data.inputs import Examples
from coreml_updatable.data.wanted import Owner, SampleFunction, Wanted
from coreml_updatable.recipes.recipe import Recipe

PARTS = ("train", "validation", "test", "owner_support", "owner_held_out")


def collect(request: BuildRequest, tell: Callable[[float, str], None]) -> Dataset:
    """All rows of the build; kept under ``request.data_key``."""

    def make() -> Mapping[str, npt.NDArray[Any]]:
        data = request.recipe.data

        def own(reference: str | None) -> SampleFunction | None:
            return SampleFunction(request.folder, reference, request.recipe.trust_code) if reference else None

        return _packed(
            load_dataset(
                replace(wanted(request.recipe), adapt=own(data.adapt)),
                folder=request.data,
                draw=own(data.draw),
                load=own(data.load),
                on_progress=lambda _stage, fraction, detail: tell(fraction, detail),
            )
        )

    return _unpacked(remembered(request.cache, "pictures", request.data_key, make))


def wanted(recipe: Recipe) -> Wanted:
    """What the recipe says of its data, in the words of the data room."""
    owner, data = recipe.personalization, recipe.data
    return Wanted(
        input=recipe.row_input(),
        labels=recipe.labels,
        kinds=data.kinds,
        owners=tuple(Owner(kind, label, owner.support(), owner.held_out) for kind, label in owner.kinds.items())
        if owner
        else (),
        reserved_labels=recipe.every_label()[len(recipe.labels) :],
        test_share=data.test_share,
        validation_share=data.validation_share,
        drawn_kinds=data.drawn_kinds,
        drawn_per_kind=data.drawn_per_kind,
        maximum_per_kind=data.maximum_per_kind,
        seed=recipe.seed,
    )


def _packed(dataset: Dataset) -> Mapping[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {
        "origin": np.array(dataset.origin),
        "unreadable": np.array(json.dumps(dataset.unreadable)),
    }
    for part in PARTS:
        examples: Examples = getattr(dataset, part)
        arrays[f"{part}_values"] = examples.values
        arrays[f"{part}_labels"] = examples.labels
        arrays[f"{part}_names"] = np.array(json.dumps(examples.names))
        arrays[f"{part}_kinds"] = np.array(json.dumps(examples.kinds))
    return arrays


def _unpacked(arrays: Mapping[str, npt.NDArray[Any]]) -> Dataset:
    parts = {
        part: Examples(
            values=arrays[f"{part}_values"],
            labels=arrays[f"{part}_labels"],
            names=tuple(json.loads(str(arrays[f"{part}_names"]))),
            kinds=tuple(json.loads(str(arrays[f"{part}_kinds"]))),
        )
        for part in PARTS
    }
    return Dataset(**parts, origin=str(arrays["origin"]), unreadable=tuple(json.loads(str(arrays["unreadable"]))))
