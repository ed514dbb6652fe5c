"""The folds of a cross-validation: of each label about equally many in each, near-duplicates in one."""

from collections.abc import Sequence

import numpy as np

from coreml_updatable.data.inputs import Int64Array
from coreml_updatable.errors import DataError

FEWEST_DIFFERENT = 2  # pictures of a label in a cross-validation


def folds_of(labels: Int64Array, groups: Int64Array, count: int, seed: int) -> Int64Array:
    """A fold for each row: of each label about equally many, and rows of one group together."""
    order = np.random.default_rng(seed).permutation(len(labels))
    folds = np.full(len(labels), -1, np.int64)
    filled = np.zeros((count, int(labels.max(initial=0)) + 1), np.int64)
    for row in sorted(order.tolist(), key=lambda row: int(labels[row])):
        if folds[row] < 0:
            members = np.flatnonzero(groups == groups[row])
            fold = int(np.lexsort((filled.sum(axis=1), filled[:, labels[row]]))[0])
            folds[members] = fold
            np.add.at(filled[fold], labels[members], 1)
    return folds


def check_folds(labels: Sequence[str], kinds: Sequence[str], groups: Int64Array, where: str) -> None:
    """A DataError unless each of ``labels`` has two pictures that differ; ``kinds`` gives each picture's label."""
    for label in labels:
        rows = [row for row, kind in enumerate(kinds) if kind == label]
        different = len({int(groups[row]) for row in rows})
        if different < FEWEST_DIFFERENT:
            raise DataError(
                f"{where}: the label {label!r} has {different} usable picture{'s' * (different != 1)} apart from "
                f"near-duplicates, at least {FEWEST_DIFFERENT} are needed, and 20 or more are better; add pictures"
            )
