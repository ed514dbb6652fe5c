"""The k-NN classifiers of a block of owners."""

from collections.abc import Iterator

import numpy as np

from coreml_updatable.personalization.answers import Answers, Found, OwnersRows, Revealed, joined
from coreml_updatable.personalization.laboratory import Lab, knn_classes
from coreml_updatable.personalization.owners import Owners
from coreml_updatable.personalization.shared_neighbors import Nearest, squared_distances


class Neighbors(OwnersRows):
    """k-NN classifiers: an update adds the shots, so all protocols end alike."""

    def __init__(self, lab: Lab, owners: Owners, index: int) -> None:
        super().__init__(lab, owners, index)
        classes = knn_classes(self.one, self.world)
        own = {label: place for place, label in enumerate(classes)}
        self.shot_labels = np.array([own[label] for label in (*self.world.labels, "")], np.int64)[owners.shot_labels]
        known = [self.world.labels.index(cls) if cls in self.world.labels else self.columns - 1 for cls in classes[:-1]]
        self.columns_of = np.array([*known, self.world.new], np.int64)
        self.near = lab.nearest(index)
        self.default = own.get(self.one.default, -1)  # what rows are called while there is no sample

    def learned(self) -> Iterator[Found]:
        held = self.near.of((self.owners.held_styles, np.maximum(self.owners.held_out, 0)))
        k = len(held.labels)
        flat = Nearest(held.distances.reshape(k, -1), held.labels.reshape(k, -1), held.votes)
        nearest = joined(flat, self.near.of((0, self.asked)), len(self.shots))
        distances = self.distances()
        result = {0: self._answers(nearest)}
        ends = {self.world.learned(count) for _, count in self.lab.points}
        for shot in range(max(ends)):
            nearest = nearest.with_sample(distances[shot], self.shot_labels[:, shot, None])
            if shot + 1 in ends:
                result[shot + 1] = self._answers(nearest)
        for index, (_, count) in enumerate(self.lab.points):
            yield index, result[self.world.learned(count)]
        if "one_by_one" in self.lab.protocols:
            yield from self._revealed()

    def _answers(self, nearest: Nearest) -> Answers:
        winner, cast = nearest.vote(len(self.columns_of))
        shares = cast / np.maximum(cast.sum(axis=0), 1e-300)
        result = np.zeros((self.columns, *winner.shape))
        for place, column in enumerate(self.columns_of):
            result[column] += shares[place]
        default = self.columns_of[self.default] if self.default >= 0 else self.columns - 1
        result[default] += winner < 0
        classes = np.where(winner < 0, default, self.columns_of[winner])
        return Answers(classes, np.ascontiguousarray(result.swapaxes(0, 1)))

    def _revealed(self) -> Iterator[Found]:
        within = np.stack([squared_distances(item, item) for item in self.shots]).transpose(1, 0, 2)  # [S, O, S]
        ends = self.ends("one_by_one")
        nearest = self.near.of((self.owners.styles, self.owners.shots))
        right = []
        for shot in range(max(ends)):
            if shot % self.world.rows_a_shot == 0:
                said, _ = nearest.of((slice(None), shot)).vote(len(self.columns_of))
                right.append(np.where(said < 0, self.default, said) == self.shot_labels[:, shot])
            nearest = nearest.with_sample(within[shot], self.shot_labels[:, shot, None])
            if shot + 1 in ends:
                yield ends[shot + 1], Revealed(np.mean(right, axis=0), np.full(len(self.shots), np.nan))
