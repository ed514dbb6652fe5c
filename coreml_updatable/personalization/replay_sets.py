"""Base examples to mix into updates against forgetting: which ones stand best for a label."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Literal, TypeAlias

import numpy as np

from coreml_updatable.data.inputs import Float32Array, Int64Array
from coreml_updatable.personalization.owners import World

Choice: TypeAlias = Literal["herding", "k-center"]


def herding(embeddings: Float32Array, count: int) -> Int64Array:
    """Indices of ``count`` rows [n, D] whose running mean stays nearest to the mean of all (Welling 2009; as in iCaRL,
    Rebuffi et al. 2017, algorithm 4); fewer where there are fewer rows."""
    wide = embeddings.astype(np.float64)
    mean, total = wide.mean(axis=0), np.zeros(wide.shape[1])
    free, result = np.ones(len(wide), bool), list[int]()
    for place in range(min(count, len(wide))):
        gaps = np.linalg.norm(mean - (total + wide) / (place + 1), axis=1)
        best = int(np.where(free, gaps, np.inf).argmin())
        free[best] = False
        total += wide[best]
        result.append(best)
    return np.array(result, np.int64)


def k_center(embeddings: Float32Array, count: int) -> Int64Array:
    """Indices of ``count`` rows [n, D], each the farthest from those before it (Gonzalez 1985; Sener and Savarese
    2018); the first is the nearest to the mean."""
    wide = embeddings.astype(np.float64)
    result = [int(np.linalg.norm(wide - wide.mean(axis=0), axis=1).argmin())] if len(wide) else []
    far = np.linalg.norm(wide - wide[result[0]], axis=1) if result else np.zeros(0)
    while len(result) < min(count, len(wide)):
        result.append(int(far.argmax()))
        far = np.minimum(far, np.linalg.norm(wide - wide[result[-1]], axis=1))
    return np.array(result, np.int64)


def chosen(embeddings: Float32Array, world: World, per_class: int, by: Choice = "herding") -> Int64Array:
    """Rows of the reference set, ``per_class`` of each label, that an update is mixed with; the labels in turn."""
    reference = world.split.reference
    return reference[in_turn(embeddings[reference], [world.row_labels[row] for row in reference], per_class, by)]


def in_turn(embeddings: Float32Array, labels: Sequence[str], per_class: int, by: Choice) -> Int64Array:
    """Indices of ``per_class`` rows [n, D] of each label, the best of every label first, then the second ones."""
    pick, named = herding if by == "herding" else k_center, np.array(labels, object)
    groups = []
    for label in dict.fromkeys(labels):
        rows = np.flatnonzero(named == label)
        groups.append(rows[pick(embeddings[rows], per_class)].tolist())
    return np.array([row for turn in zip_longest(*groups) for row in turn if row is not None], np.int64)
