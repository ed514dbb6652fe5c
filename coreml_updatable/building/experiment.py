"""The recipe's owner as a scenario: examples as the rows that a model reads."""

from collections.abc import Mapping
from typing import Any

from coreml_updatable.data.dataset import Dataset
from coreml_updatable.data.inputs import Examples
from coreml_updatable.personalization.scenario import Scenario
from coreml_updatable.personalization.slots import SlotsScenario
from coreml_updatable.personalization.wording import words_for
from coreml_updatable.recipes.recipe import Recipe

Row = Mapping[str, Any]


def rows_of(recipe: Recipe, examples: Examples) -> tuple[Row, ...]:
    """One row an example, without its label."""
    return tuple({recipe.input.name: value} for value in examples.values)


def labelled_rows(recipe: Recipe, examples: Examples) -> tuple[Row, ...]:
    """One row an example, with its label: what an update learns from."""
    labels = recipe.every_label()
    pairs = zip(examples.values, examples.labels, strict=True)
    return tuple({recipe.input.name: value, recipe.outputs.label: labels[label]} for value, label in pairs)


def scenario_of(recipe: Recipe, dataset: Dataset, test_rows: tuple[Row, ...]) -> Scenario:
    """The experiment that the recipe's [personalization] table describes."""
    owner = recipe.personalization
    if owner is None:
        raise ValueError("the recipe has no owner")
    return Scenario(
        kind=owner.kind,
        label=owner.label,
        owner_rows=rows_of(recipe, dataset.owner_support),
        held_out_rows=rows_of(recipe, dataset.owner_held_out),
        test_rows=test_rows,
        test_labels=tuple(recipe.labels[label] for label in dataset.test.labels),
        test_kinds=dataset.test.kinds,
        photos=owner.photos,
        seeds=owner.seeds,
        new_label=owner.new_label,
        paired=_paired(recipe, dataset),
        words=words_for(recipe.noun),
    )


def slots_scenario_of(recipe: Recipe, dataset: Dataset, test_rows: tuple[Row, ...]) -> SlotsScenario:
    """The experiment that the recipe's [slots] table describes."""
    slots = recipe.slots
    if slots is None:
        raise ValueError("the recipe has no slots")
    labels = recipe.every_label()
    return SlotsScenario(
        kinds=dict(zip(slots.kinds, slots.labels(), strict=False)),
        slots=slots.count,
        owner_rows=rows_of(recipe, dataset.owner_support),
        owner_labels=tuple(labels[label] for label in dataset.owner_support.labels),
        held_out_rows=rows_of(recipe, dataset.owner_held_out),
        held_out_labels=tuple(labels[label] for label in dataset.owner_held_out.labels),
        test_rows=test_rows,
        test_labels=tuple(labels[label] for label in dataset.test.labels),
        photos=slots.photos,
        seeds=slots.seeds,
    )


def _paired(recipe: Recipe, dataset: Dataset) -> tuple[Row, ...]:
    """Training rows of the label that the owner's are paired with, so that all kinds of it come early."""
    owner, train = recipe.personalization, dataset.train
    if owner is None or owner.paired_with is None:
        return ()
    chosen = [at for at, label in enumerate(train.labels) if recipe.labels[label] == owner.paired_with]
    turn: dict[str, int] = {}
    places = []
    for at in chosen:
        turn[train.kinds[at]] = turn.get(train.kinds[at], 0) + 1
        places.append((turn[train.kinds[at]], at))
    rows = labelled_rows(recipe, train)
    return tuple(rows[at] for _, at in sorted(places))
