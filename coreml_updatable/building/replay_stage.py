"""Base examples for an app to mix into updates: chosen among the training rows, measured, and written as files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from coreml_updatable.building.models_stage import Variants
from coreml_updatable.building.owner import EvaluatedModels, laboratory
from coreml_updatable.converting.neighbors import embedded
from coreml_updatable.data.dataset import Dataset
from coreml_updatable.data.inputs import Float32Array, Int64Array, UInt8Array
from coreml_updatable.personalization.laboratory import Lab
from coreml_updatable.personalization.replay_effect import ReplayEffect, effect
from coreml_updatable.personalization.replay_file import replay_files
from coreml_updatable.personalization.replay_sets import chosen
from coreml_updatable.publishing.report.pictures import evenly
from coreml_updatable.recipes.recipe import Recipe
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model

MOST_CANDIDATES = 200  # training rows of each label that are chosen among
Learned = tuple[UInt8Array | Float32Array, str]  # a row, and its label


@dataclass(frozen=True)
class Replayed:
    """``rows``: the training rows of the set, in its order, with their labels; empty where none is written. ``sets``:
    of each part that is compared, numbers of those of its training rows that are chosen in the same way.

    ``files`` may be published; ``own`` hold a user's rows, and stay with him.
    """

    effect: ReplayEffect
    rows: tuple[Learned, ...]
    files: Mapping[str, bytes]
    own: Mapping[str, bytes]
    sets: tuple[Int64Array, ...] = ()


def replay_set(
    recipe: Recipe,
    dataset: Dataset,
    parts: Sequence[EvaluatedModels],
    variants: Variants,
    layouts: Mapping[str, Model],
    *,
    private: bool,
) -> Replayed:
    """Choose and measure the set that [replay] asks for, and make its files where it is to be written.

    ``parts``: the network, or for each fold one that never learned its test rows, and what it reads.
    """
    assert recipe.replay is not None
    lab, stored = _with_candidates(recipe, parts[0])
    result, rows = effect(lab, recipe.replay.per_class)
    if not (result.helps or recipe.replay.when == "always"):
        return Replayed(result, (), {}, {})
    sets = [stored[rows - lab.world.split.reference[0]]]
    for part in parts[1:]:
        lab, stored = _with_candidates(recipe, part)
        rows = chosen(lab.embeddings[0][0], lab.world, recipe.replay.per_class, result.choice)
        sets.append(stored[rows - lab.world.split.reference[0]])
    kept = parts[0].learned[sets[0]]
    labels, train = recipe.every_label(), len(dataset.train)
    taken = [dataset.train.take([row]) if row < train else dataset.validation.take([row - train]) for row in kept]
    learned = tuple((item.values[0], labels[item.labels[0]]) for item in taken)
    feature, label, name = recipe.input.name, recipe.outputs.label, f"{recipe.name}.mlmodel"
    given = [{feature: value, label: said} for value, said in learned]
    own = replay_files(name, model_bytes(variants.network), given, result.choice, recipe.replay.per_class)
    files: dict[str, bytes] = {}
    head = layouts.get(f"{recipe.name}Head.mlmodel")
    if head is not None:
        extractor = layouts[f"{recipe.name}Extractor.mlmodel"]
        vectors = embedded(extractor, ({feature: value} for value, _ in learned))
        blob = str(extractor.description.output[0].name)
        seen = [{blob: vector, label: said} for vector, (_, said) in zip(vectors, learned, strict=True)]
        files = replay_files(
            f"{recipe.name}Head.mlmodel", model_bytes(head), seen, result.choice, recipe.replay.per_class
        )
    if not private:
        files, own = {**own, **files}, {}
    sizes = {name: len(content) for name, content in {**files, **own}.items()}
    return Replayed(replace(result, files=sizes), learned, files, own, tuple(sets))


def _with_candidates(recipe: Recipe, part: EvaluatedModels) -> tuple[Lab, Int64Array]:
    """The network's laboratory, whose last rows, its reference set, are the candidates; their numbers, too."""
    stored = candidates(part.data.train.labels)
    return laboratory(recipe, part, part.models[:1], reference=stored), stored


def candidates(labels: Int64Array) -> Int64Array:
    """Numbers of the training rows that a set is chosen among, at most MOST_CANDIDATES of each label."""
    result = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        result.append(members[evenly(len(members), MOST_CANDIDATES)])
    return np.concatenate(result)
