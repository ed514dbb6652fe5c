"""The recipe's owner as a scenario: examples as the rows that a model reads."""

from collections.abc import Mapping
from typing import Any

from coreml_updatable.data.dataset import Dataset
from coreml_updatable.data.inputs import Examples
from coreml_updatable.personalization.scenario import Scenario
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
    owner, labels = recipe.personalization, recipe.every_label()
    if owner is None:
        raise ValueError("the recipe has no owner")
    return Scenario(
        kinds=owner.kinds,
        owner_rows=rows_of(recipe, dataset.owner_support),
        owner_kinds=dataset.owner_support.kinds,
        held_out_rows=rows_of(recipe, dataset.owner_held_out),
        held_out_kinds=dataset.owner_held_out.kinds,
        test_rows=test_rows,
        test_labels=tuple(labels[label] for label in dataset.test.labels),
        test_kinds=dataset.test.kinds,
        shots=owner.shots,
        seeds=owner.seeds,
        new_label=owner.new_label,
        paired=_paired(recipe, dataset),
        words=words_for(recipe.noun),
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
