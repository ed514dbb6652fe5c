"""The measures of one block of owners, and their bootstrap."""

from typing import Any

import numpy as np

from coreml_updatable.data.inputs import Float64Array
from coreml_updatable.personalization import measures
from coreml_updatable.personalization.answers import Answers
from coreml_updatable.personalization.laboratory import Lab
from coreml_updatable.personalization.owners import Owners


class Judge:
    """Measures of one block; what is asked of the base and of every model is the same."""

    def __init__(self, lab: Lab, owners: Owners) -> None:
        world = lab.world
        self._held = owners.held_out.shape[1]
        self._tests = len(world.split.test)
        self._wanted = owners.wanted
        numbers = {label: index for index, label in enumerate(world.labels)}
        self._labels = np.array([numbers[world.row_labels[row]] for row in world.split.test], np.int64)
        self._counted = owners.held_out >= 0
        self._kept = ~owners.changed
        self._weights = lab.picture_weights
        self._test_weights = lab.picture_weights[:, world.split.test]
        seed = world.population.seed
        self.owner_weights = np.stack(
            [np.random.default_rng([seed, 6, number]).poisson(1.0, lab.replicates) for number in owners.numbers]
        ).astype(np.float64)
        rows = np.maximum(owners.held_out, 0)
        held = self._weights[:, rows].transpose(1, 2, 0) * self._counted[..., None]  # [O, H, B]
        self._held_weights = np.ascontiguousarray(held)
        self._held_totals = held.sum(axis=1)
        self._test_totals = self._kept.astype(np.float32) @ self._test_weights.T
        places = {kind: place for place, kind in enumerate(world.kind_names)}
        kinds = np.array([places[kind] for kind in world.kinds], np.int64)
        self._groups = np.concatenate(
            [2 * kinds[rows] + 1, np.broadcast_to(2 * kinds[world.split.test], self._kept.shape)], axis=1
        )
        self._size = len(places), 2, len(world.labels) + 2

    def called(self, answers: Answers) -> Float64Array:
        """[kinds, 2, classes + 1]: see ``BlockResult``."""
        asked = np.concatenate([self._counted, self._kept], axis=1)
        classes = answers.classes[:, : asked.shape[1]]
        wanted = np.concatenate([self._wanted, np.broadcast_to(self._labels, self._kept.shape)], axis=1)
        cells = self._groups * self._size[2] + classes
        counts = np.bincount(cells[asked], minlength=np.prod(self._size)).reshape(self._size)
        right = np.bincount(self._groups[asked & (classes == wanted)], minlength=2 * self._size[0])
        return np.concatenate([counts, right.reshape(*self._size[:2], 1)], axis=2).astype(np.float64)

    def measured(self, answers: Answers, base: Answers) -> tuple[Float64Array, Float64Array]:
        """[7, O] measures and [3, B] sums of the bootstrap."""
        part, tests = slice(0, self._held), slice(self._held, self._held + self._tests)
        right = answers.classes[:, part] == self._wanted
        kept = answers.classes[:, tests] == self._labels
        was = base.classes[:, tests] == self._labels
        p = answers.probabilities[:, :, part]
        top = answers.probabilities.max(axis=1)
        accuracy = measures.shares_of(kept, self._kept)
        result = np.stack(
            [
                measures.shares_of(right, self._counted),
                accuracy,
                measures.shares_of(was, self._kept) - accuracy,
                measures.log_loss(p, self._wanted, self._counted),
                measures.brier(p, self._wanted, self._counted),
                measures.calibration_error(top[:, part], right, self._counted),
                measures.rejection(
                    top[:, : self._held + self._tests],
                    np.concatenate([self._counted, self._kept], axis=1),
                    top[:, self._held + self._tests :],
                ),
            ]
        )
        return result, self._resampled(right, kept, was)

    def _resampled(self, right: Any, kept: Any, was: Any) -> Float64Array:
        """Sums over the owners, each as often as its replicate draws it, of its accuracy on the pictures drawn."""
        with np.errstate(divide="ignore", invalid="ignore"):
            personal = (right[:, None].astype(np.float32) @ self._held_weights)[:, 0] / self._held_totals
            now = (kept & self._kept).astype(np.float32) @ self._test_weights.T / self._test_totals
            then = (was & self._kept).astype(np.float32) @ self._test_weights.T / self._test_totals
        # An owner of whom a replicate draws no picture counts with his own accuracy.
        own = measures.shares_of(right, self._counted)[:, None]
        personal = np.where(np.isfinite(personal), personal, own)
        columns = [personal, now, then - now]
        return np.stack([(np.nan_to_num(column) * self.owner_weights).sum(axis=0) for column in columns])
