"""Base examples for an app to mix into updates: chosen among the training rows, measured, and written as files."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from coreml_updatable.building.evaluation_stage import behind
from coreml_updatable.building.experiment import labelled_rows, rows_of
from coreml_updatable.building.models_stage import Variants, marked_pair
from coreml_updatable.converting.contract import Converted
from coreml_updatable.converting.neighbors import embedded
from coreml_updatable.data.dataset import Dataset
from coreml_updatable.data.inputs import Examples, Float32Array, Int64Array, UInt8Array
from coreml_updatable.personalization.blocks import Entrant, Lab
from coreml_updatable.personalization.contenders import contender
from coreml_updatable.personalization.population import Brings, Population, Split, World
from coreml_updatable.personalization.replay_effect import ReplayEffect, effect
from coreml_updatable.personalization.replay_file import replay_files
from coreml_updatable.publishing.report.pictures import evenly
from coreml_updatable.recipes.recipe import Recipe
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model
from coreml_updatable.updating.task import learning_part

MOST_CANDIDATES = 200  # training rows of each label that are chosen among
Learned = tuple[UInt8Array | Float32Array, str]  # a row, and its label


@dataclass(frozen=True)
class Replayed:
    """``rows``: the training rows of the set, in its order, with their labels; empty where none is written.

    ``files`` may be published; ``own`` hold a user's rows, and stay with him.
    """

    effect: ReplayEffect
    rows: tuple[Learned, ...]
    files: Mapping[str, bytes]
    own: Mapping[str, bytes]


def replay_set(
    recipe: Recipe,
    dataset: Dataset,
    converted: Converted,
    variants: Variants,
    layouts: Mapping[str, Model],
    *,
    private: bool,
) -> Replayed:
    """Choose and measure the set that [replay] asks for, and make its files where it is to be written."""
    assert recipe.replay is not None
    every = _both(dataset)
    lab, candidates = _lab(recipe, dataset, converted, variants)
    found, rows = effect(lab, recipe.replay.per_class)
    if not (found.helps or recipe.replay.when == "always"):
        return Replayed(found, (), {}, {})
    kept = candidates[rows - (len(lab.world.kinds) - len(candidates))]
    labels = recipe.every_label()
    chosen = tuple((every.values[row], labels[every.labels[row]]) for row in kept)
    feature, label, name = recipe.input.name, recipe.outputs.label, f"{recipe.name}.mlmodel"
    given = [{feature: value, label: said} for value, said in chosen]
    own = replay_files(name, model_bytes(variants.network), given, found.choice, recipe.replay.per_class)
    files: dict[str, bytes] = {}
    head = layouts.get(f"{recipe.name}Head.mlmodel")
    if head is not None:
        extractor = layouts[f"{recipe.name}Extractor.mlmodel"]
        vectors = embedded(extractor, ({feature: value} for value, _ in chosen))
        blob = str(extractor.description.output[0].name)
        seen = [{blob: vector, label: said} for vector, (_, said) in zip(vectors, chosen, strict=True)]
        files = replay_files(
            f"{recipe.name}Head.mlmodel", model_bytes(head), seen, found.choice, recipe.replay.per_class
        )
    if not private:
        files, own = {**own, **files}, {}
    sizes = {name: len(content) for name, content in {**files, **own}.items()}
    return Replayed(replace(found, files=sizes), chosen, files, own)


def _both(dataset: Dataset) -> Examples:
    """Training rows, then validation rows."""
    one, other = dataset.train, dataset.validation
    values = np.concatenate([one.values, other.values]) if len(other) else one.values
    labels = np.concatenate([one.labels, other.labels])
    return Examples(values, labels, (*one.names, *other.names), (*one.kinds, *other.kinds))


def _lab(recipe: Recipe, dataset: Dataset, converted: Converted, variants: Variants) -> tuple[Lab, Int64Array]:
    """The recipe's owners, and the numbers of the training rows (then validation rows) to choose among, which are the
    laboratory's last rows. Behind fixed features a network that never learned the test rows stands for the model."""
    network, part = variants.network, dataset
    learned = np.arange(len(dataset.train))
    if converted.tails:
        folds, tail, test = dataset.folds, converted.tails[0], np.arange(len(dataset.test))
        learned = np.arange(len(converted.features["learned"]))
        if len(folds):
            fold = next(number for number in range(len(converted.tails) - 1) if (folds == number).any())
            tail, test, learned = (
                converted.tails[1 + fold],
                np.flatnonzero(folds == fold),
                np.flatnonzero(folds != fold),
            )
        network = marked_pair(recipe, tail.model)[0]
        part = behind(dataset, converted, learned, test)
    places = _candidates(part.train.labels)
    return _laboratory(recipe, part, network, places), learned[places]


def _candidates(labels: Int64Array) -> Int64Array:
    found = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        found.append(members[evenly(len(members), MOST_CANDIDATES)])
    return np.concatenate(found)


def _laboratory(recipe: Recipe, part: Dataset, network: Model, candidates: Int64Array) -> Lab:
    owner = recipe.personalization
    assert owner is not None
    labels = recipe.every_label()
    train = part.train
    base = Examples(
        train.values[candidates],
        train.labels[candidates],
        tuple(train.names[row] for row in candidates),
        tuple(train.kinds[row] for row in candidates),
    )
    parts = (part.owner_support, part.owner_held_out, part.test, base)
    kinds = np.array([kind for one in parts for kind in one.kinds], object)
    places = np.split(np.arange(len(kinds)), np.cumsum([len(one) for one in parts])[:-1])
    split = Split(
        {kind: places[0][kinds[places[0]] == kind] for kind in owner.kinds},
        places[2],
        np.zeros(0, np.int64),
        places[3],
        {kind: places[1][kinds[places[1]] == kind] for kind in owner.kinds},
    )
    population = Population(seed=recipe.seed, kinds_per_owner=len(owner.kinds), same=Brings(kinds=tuple(owner.kinds)))
    row_labels = tuple(labels[number] for one in parts for number in one.labels)
    world = World(population, tuple(kinds), row_labels, tuple(labels), split, owner.shots[-1])
    model = load(network)
    rows = model.frozen([row for one in parts for row in rows_of(recipe, one)])
    found = learning_part(model, model.frozen([labelled_rows(recipe, base)[0]])[0])
    return Lab(
        world,
        (contender(model, recipe.name, found),),
        (found.vectors(rows)[None],),
        ((tuple(rows),),),
        (Entrant(recipe.name, 0),),
        owner.shots,
        ("at_once",),
    )
