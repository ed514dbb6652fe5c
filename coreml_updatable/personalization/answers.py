"""What a block of owners learns and is asked, as a contender sees it, and the answers."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from coreml_updatable.data.inputs import Float64Array, Int64Array
from coreml_updatable.personalization.laboratory import Lab, Protocol
from coreml_updatable.personalization.owners import Owners
from coreml_updatable.personalization.shared_neighbors import Nearest, squared_distances


@dataclass(frozen=True)
class Answers:
    """Classes [O, n] and probabilities [O, C, n]: the numbers of the world's labels, the new one, any other.

    Rows: the held-out ones, the base test set and the unknown rows.
    """

    classes: Int64Array
    probabilities: Any


@dataclass(frozen=True)
class Revealed:
    """Of one update a shot: ``before`` [O], the share of shots that were right before they were revealed, and ``worst``
    [O], the least base accuracy on the way (NaN: not measured)."""

    before: Float64Array
    worst: Float64Array


Found: TypeAlias = tuple[int, Answers | Revealed]


class OwnersRows:
    """The rows of a block of owners in one contender's embedding."""

    def __init__(self, lab: Lab, owners: Owners, index: int) -> None:
        self.lab, self.owners, self.one = lab, owners, lab.contenders[index]
        self.world = lab.world
        self.number = index
        self.vectors = lab.embeddings[index]
        self.shots = self.vectors[owners.styles, owners.shots]  # [O, S, D]
        self.replay = np.zeros(0, np.int64) if self.one.replay is None else self.one.replay
        self.held = self.vectors[owners.held_styles, np.maximum(owners.held_out, 0)]  # [O, H, D]
        self.asked = np.concatenate([self.world.split.test, self.world.split.unknown])
        self.shared = self.vectors[0, self.asked]
        self.columns = len(self.world.labels) + 2

    def ends(self, protocol: Protocol) -> dict[int, int]:
        """The number of each point of a protocol, by the rows that are learned until it."""
        return {self.world.learned(count): at for at, (way, count) in enumerate(self.lab.points) if way == protocol}

    def distances(self) -> Float64Array:
        """Squared distances of the held-out and the shared rows to the owners' shots, [S, O, H + n]."""
        owners, shots, size = self.shots.shape
        held = np.stack([squared_distances(b, a) for a, b in zip(self.held, self.shots, strict=True)])
        shared = squared_distances(self.shots.reshape(-1, size), self.shared).reshape(owners, shots, -1)
        return np.ascontiguousarray(np.concatenate([held, shared], axis=2).swapaxes(0, 1))


def joined(held: Nearest, shared: Nearest, owners: int) -> Nearest:
    """[k, O, H + n] from the held-out rows [k, O * H] and the rows that all owners share [k, n]."""
    parts = []
    for own, all_ in ((held.distances, shared.distances), (held.labels, shared.labels)):
        again = np.broadcast_to(all_[:, None], (len(all_), owners, all_.shape[1]))
        parts.append(np.concatenate([own.reshape(len(own), owners, -1), again], axis=2))
    return Nearest(parts[0], parts[1].astype(np.int64), held.votes)
