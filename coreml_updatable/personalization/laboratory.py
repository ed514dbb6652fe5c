"""Everything that a block of owners needs; the same in every worker."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from coreml_updatable.data.inputs import Float32Array
from coreml_updatable.personalization.contenders import Contender
from coreml_updatable.personalization.owners import World
from coreml_updatable.personalization.shared_neighbors import BaseSamples, Nearest, nearest_samples
from coreml_updatable.runtime import FrozenRow, load
from coreml_updatable.spec.io import parse_model
from coreml_updatable.updating.task import learning_part

if TYPE_CHECKING:
    from coreml_updatable.updating.owners import OwnersHead

Protocol: TypeAlias = Literal["at_once", "continued", "one_by_one"]
PROTOCOLS: tuple[Protocol, ...] = ("at_once", "continued", "one_by_one")
Line: TypeAlias = Literal["learns", "base", "class_means", "interpolated", "retrained"]
REPLICATES = 200
Rows: TypeAlias = Sequence[FrozenRow] | Mapping[int, FrozenRow]


@dataclass(frozen=True)
class Entrant:
    """What is compared: a contender, or a reference line made of contender number ``of``."""

    name: str
    of: int
    line: Line = "learns"

    @property
    def is_reference(self) -> bool:
        return self.line != "learns"


@dataclass(frozen=True)
class Lab:
    """Everything that a block of owners needs; the same in every worker."""

    world: World
    contenders: tuple[Contender, ...]
    embeddings: tuple[Float32Array, ...]  # of each contender, [V, n, D]
    frozen: tuple[tuple[Rows, ...], ...]  # of each contender that a task trains, in each look, by number
    entrants: tuple[Entrant, ...]
    shots: tuple[int, ...]  # of each kind, rising, without 0
    protocols: tuple[Protocol, ...] = PROTOCOLS
    replicates: int = REPLICATES
    memory: dict[int, Any] = field(default_factory=dict, compare=False, repr=False)
    parts: "tuple[Lab, ...]" = ()  # of a cross-validation: each with models that never saw its part of the test set

    @cached_property
    def points(self) -> tuple[tuple[Protocol, int], ...]:
        """Protocol and shots of each thing measured; 0 shots, the base, come first and once."""
        return (("at_once", 0), *((protocol, count) for protocol in self.protocols for count in self.shots))

    @cached_property
    def picture_weights(self) -> Float32Array:
        """[B, n]: how often each picture of the data is drawn in each bootstrap replicate."""
        random = np.random.default_rng([self.world.population.seed, 5])
        drawn = random.poisson(1.0, (len(self.world.kinds), self.replicates))  # so that more rows change no other's
        return np.ascontiguousarray(drawn.T, np.float32)

    def head(self, index: int) -> "OwnersHead":
        """The trained layers of a network with several; made once in every worker."""
        key = 1_000_000 + index
        if key not in self.memory:
            one = self.contenders[index]
            model = load(parse_model(one.file, one.name), assumptions=one.assumptions)
            self.memory[key] = learning_part(model, next(iter(listed(self.frozen[index][0])))).owners
        return self.memory[key]  # type: ignore[no-any-return]  # kept values are of any type

    def nearest(self, index: int) -> Nearest:
        """The nearest base samples of a k-NN to every row of the data, in every look: [V, n]; computed once."""
        if index not in self.memory:
            one, vectors = self.contenders[index], self.embeddings[index]
            base, k = base_samples(one, self.world), int(one.parameters["numberOfNeighbors"])
            result = nearest_samples(vectors.reshape(-1, vectors.shape[2]), base, k)
            shape = (k, *vectors.shape[:2])
            self.memory[index] = Nearest(result.distances.reshape(shape), result.labels.reshape(shape), result.votes)
        return self.memory[index]  # type: ignore[no-any-return]  # kept values are of any type


def last_point(lab: Lab) -> int:
    """The most shots in one update."""
    return max(index for index, (protocol, _) in enumerate(lab.points) if protocol == "at_once")


def listed(rows: Rows) -> Iterable[FrozenRow]:
    return rows.values() if isinstance(rows, Mapping) else rows


def knn_classes(contender: Contender, world: World) -> list[str]:
    """Labels by the class number of a k-NN: those of its samples in their order, the other labels, the new one."""
    return [*contender.labels, *(label for label in world.labels if label not in contender.labels), ""]


def base_samples(contender: Contender, world: World) -> BaseSamples:
    numbers = {label: index for index, label in enumerate(knn_classes(contender, world))}
    assert contender.samples is not None
    assert contender.votes is not None
    labels = np.array([numbers[label] for label in contender.sample_labels], np.int64)
    return BaseSamples(contender.samples, labels, contender.votes)
