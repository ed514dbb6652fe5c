"""A block of owners: a pure function of the laboratory (models, embeddings, scenario) and of the owners' numbers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from coreml_updatable.data.inputs import Float32Array, Float64Array, Int64Array
from coreml_updatable.personalization import measures
from coreml_updatable.personalization.contenders import Contender
from coreml_updatable.personalization.linear_heads import batches, softmax, train_in_span, train_weights
from coreml_updatable.personalization.population import Owners, World, draw
from coreml_updatable.personalization.shared_neighbors import (
    BaseSamples,
    Nearest,
    Votes,
    nearest_samples,
    squared_distances,
)
from coreml_updatable.runtime import FrozenRow, load
from coreml_updatable.spec.io import parse_model
from coreml_updatable.updating import UpdateTask
from coreml_updatable.updating.task import learning_part

if TYPE_CHECKING:
    from coreml_updatable.updating.owners import OwnersHead

Protocol: TypeAlias = Literal["at_once", "continued", "one_by_one"]
PROTOCOLS: tuple[Protocol, ...] = ("at_once", "continued", "one_by_one")
Line: TypeAlias = Literal["learns", "base", "class_means", "interpolated", "retrained"]
MEASURES = (
    "personal_accuracy",
    "base_accuracy",
    "forgetting",
    "log_loss",
    "brier",
    "calibration_error",
    "unknown_auroc",
    "worst_base_accuracy",
    "before_reveal",
)
PERSONAL, BASE, FORGETTING, WORST, REVEAL = 0, 1, 2, 7, 8
RESAMPLED = (PERSONAL, BASE, FORGETTING)
REPLICATES = 200
NEIGHBORS = 3  # of kNN-Per
INTERPOLATION = 0.5  # the share of the k-NN in kNN-Per
RETRAINED = {"learningRate": 0.0, "momentum": 0.9, "epochs": 60, "miniBatchSize": 1 << 30, "shuffle": False}
MOST_RETRAINED = 100  # reference rows


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

    def head(self, number: int) -> "OwnersHead":
        """The trained layers of a network with several; made once in every worker."""
        key = 1_000_000 + number
        if key not in self.memory:
            one = self.contenders[number]
            model = load(parse_model(one.file, one.name), assumptions=one.assumptions)
            self.memory[key] = learning_part(model, next(iter(_values(self.frozen[number][0])))).owners
        return self.memory[key]  # type: ignore[no-any-return]

    def nearest(self, number: int) -> Nearest:
        """The nearest base samples of a k-NN to every row of the data, in every look: [V, n]; computed once."""
        if number not in self.memory:
            one, vectors = self.contenders[number], self.embeddings[number]
            base, k = base_samples(one, self.world), int(one.parameters["numberOfNeighbors"])
            found = nearest_samples(vectors.reshape(-1, vectors.shape[2]), base, k)
            shape = (k, *vectors.shape[:2])
            self.memory[number] = Nearest(found.distances.reshape(shape), found.labels.reshape(shape), found.votes)
        return self.memory[number]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class BlockResult:
    """``values`` [entrants, points, measures, O]; ``sums`` [entrants, points, 3, B] and ``weights`` [B] of the
    bootstrap; ``sorts`` of the owners, ``shots`` [O, S]: rows in the order of learning, ``used``: rows that somebody is
    tested on. ``called`` [entrants, 2, kinds, 2, classes + 1]: before any update, and after the most shots in one, how
    often the base's test rows of each kind, and those held out of owners, are called each class; last, how often that
    is right."""

    first: int
    values: Float32Array
    sums: Float64Array
    weights: Float64Array
    sorts: tuple[str, ...]
    shots: Int64Array
    used: Int64Array
    called: Float64Array


def _pooled(parts: Sequence[BlockResult], lab: Lab) -> BlockResult:
    """The same owners with the models of each part. What concerns the base test set is weighted by the rows of each
    part; all else is the mean."""
    first, rows = parts[0], np.array([len(part.world.split.test) for part in lab.parts])
    shares = rows / rows.sum()
    of_base = [BASE, FORGETTING, WORST]
    values = np.mean([part.values for part in parts], axis=0)
    values[:, :, of_base] = np.einsum("p,p...->...", shares, np.stack([part.values[:, :, of_base] for part in parts]))
    sums = np.mean([part.sums for part in parts], axis=0)
    sums[:, :, 1:] = np.einsum("p,p...->...", shares, np.stack([part.sums[:, :, 1:] for part in parts]))
    used = np.unique(np.concatenate([part.used for part in parts]))
    called = np.sum([part.called for part in parts], axis=0)
    return replace(first, values=values.astype(np.float32), sums=sums, used=used, called=called)


def last_point(lab: Lab) -> int:
    """The most shots in one update."""
    return max(number for number, (protocol, _) in enumerate(lab.points) if protocol == "at_once")


def _values(rows: Rows) -> Iterable[FrozenRow]:
    return rows.values() if isinstance(rows, Mapping) else rows


def knn_classes(one: Contender, world: World) -> list[str]:
    """Labels by the class number of a k-NN: those of its samples in their order, the other labels, the new one."""
    return [*one.labels, *(label for label in world.labels if label not in one.labels), ""]


def base_samples(one: Contender, world: World) -> BaseSamples:
    numbers = {label: number for number, label in enumerate(knn_classes(one, world))}
    assert one.samples is not None
    assert one.votes is not None
    labels = np.array([numbers[label] for label in one.sample_labels], np.int64)
    return BaseSamples(one.samples, labels, one.votes)


def run_block(lab: Lab, first: int, count: int) -> BlockResult:
    """Train and measure ``count`` owners from number ``first`` on, for every entrant at every point."""
    if lab.parts:
        return _pooled([run_block(part, first, count) for part in lab.parts], lab)
    owners = draw(lab.world, first, count)
    judge = _Judge(lab, owners)
    values = np.full((len(lab.entrants), len(lab.points), len(MEASURES), count), np.nan, np.float32)
    sums = np.zeros((len(lab.entrants), len(lab.points), len(RESAMPLED), lab.replicates))
    called = np.zeros((len(lab.entrants), 2, len(lab.world.kind_names), 2, len(lab.world.labels) + 3))
    block, ends = Block(lab, owners), (0, last_point(lab))
    for place, entrant in enumerate(lab.entrants):
        base: Answers | None = None
        measured: dict[int, tuple[Answers, Any]] = {}  # the same answers at several points are measured once
        for number, answers in block.answers(entrant):
            if isinstance(answers, Revealed):
                values[place, number, REVEAL], values[place, number, WORST] = answers.before, answers.worst
                continue
            base = answers if base is None else base
            if id(answers) not in measured:
                measured[id(answers)] = answers, judge.measured(answers, base)
            values[place, number, :WORST], sums[place, number] = measured[id(answers)][1]
            if number in ends:
                called[place, ends.index(number)] = judge.called(answers)
    used = np.unique(np.concatenate([owners.held_out[owners.held_out >= 0], lab.world.split.test]))
    shots = owners.shots[:, :: lab.world.rows_a_shot]
    return BlockResult(first, values, sums, judge.owner_weights.sum(axis=0), owners.sorts, shots, used, called)


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


class _Judge:
    """Measures of one block; what is asked of the base and of every model is the same."""

    def __init__(self, lab: Lab, owners: Owners) -> None:
        world = lab.world
        self._held = owners.held_out.shape[1]
        self._tests = len(world.split.test)
        self._wanted = owners.wanted
        numbers = {label: number for number, label in enumerate(world.labels)}
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
        found = np.stack(
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
        return found, self._resampled(right, kept, was)

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
        return np.stack([(np.nan_to_num(one) * self.owner_weights).sum(axis=0) for one in columns])


Found: TypeAlias = tuple[int, Answers | Revealed]


class Block:
    """A block of owners and what is computed of it once for several entrants."""

    def __init__(self, lab: Lab, owners: Owners) -> None:
        self._lab, self._owners = lab, owners
        self._networks: dict[int, _Networks] = {}

    def answers(self, entrant: Entrant) -> Iterator[Found]:
        """The answers of an entrant by the number of the point; the base comes first."""
        lab, one = self._lab, self._lab.contenders[entrant.of]
        if one.engine == "neighbors":
            found = _Neighbors(lab, self._owners, entrant.of).learned()
        elif one.engine == "task":
            found = by_tasks(lab, self._owners, entrant.of)
        else:
            network = self._networks.setdefault(entrant.of, _Networks(lab, self._owners, entrant.of))
            lines = {
                "class_means": network.class_means,
                "interpolated": network.interpolated,
                "retrained": network.retrained,
            }
            found = lines.get(entrant.line, network.learned)()
        if entrant.line == "base":
            _, base = next(found)
            found = ((number, base) for number in range(len(lab.points)))
        yield from found


class _Rows:
    """The rows of a block of owners in one contender's embedding."""

    def __init__(self, lab: Lab, owners: Owners, number: int) -> None:
        self.lab, self.owners, self.one = lab, owners, lab.contenders[number]
        self.world = lab.world
        self.number = number
        self.vectors = lab.embeddings[number]
        self.shots = self.vectors[owners.styles, owners.shots]  # [O, S, D]
        self.replay = np.zeros(0, np.int64) if self.one.replay is None else self.one.replay
        self.held = self.vectors[owners.held_styles, np.maximum(owners.held_out, 0)]  # [O, H, D]
        self.asked = np.concatenate([self.world.split.test, self.world.split.unknown])
        self.shared = self.vectors[0, self.asked]
        self.columns = len(self.world.labels) + 2

    def distances(self) -> Float64Array:
        """Squared distances of the held-out and the shared rows to the owners' shots, [S, O, H + n]."""
        owners, shots, size = self.shots.shape
        held = np.stack([squared_distances(b, a) for a, b in zip(self.held, self.shots, strict=True)])
        shared = squared_distances(self.shots.reshape(-1, size), self.shared).reshape(owners, shots, -1)
        return np.ascontiguousarray(np.concatenate([held, shared], axis=2).swapaxes(0, 1))


class _Networks(_Rows):
    """Linear heads. Rows that are learned: the owner's shots, and behind them the replay set."""

    def __init__(self, lab: Lab, owners: Owners, number: int) -> None:
        super().__init__(lab, owners, number)
        again = np.broadcast_to(self.vectors[0, self.replay], (len(self.shots), len(self.replay), self.shots.shape[2]))
        self.learned_rows = np.concatenate([self.shots, again], axis=1)
        self.start = self.logits(self.learned_rows)
        held, shared = self.logits(self.held).swapaxes(1, 2), self.logits(self.shared).T
        self.asked_start = np.concatenate([held, np.broadcast_to(shared, (len(held), *shared.shape))], axis=2)
        self.order = {label: place for place, label in enumerate(self.one.labels)}
        self.targets, self.able = self._targets()
        self.columns_of = self._columns_of()

    def _targets(self) -> tuple[Int64Array, Any]:
        """The output that each row is to have; owners whose label the network cannot learn do not learn at all."""
        places = [self.order[label] for label in self.world.labels]
        places.append(self.order[self.one.reserved[0]] if self.one.reserved else -1)
        own = np.array(places, np.int64)[self.owners.taught]
        again = np.array([self.order[self.world.row_labels[row]] for row in self.replay], np.int64)
        targets = np.concatenate([own, np.broadcast_to(again, (len(own), len(again)))], axis=1)
        return np.maximum(targets, 0), (own >= 0).all(axis=1)

    def _columns_of(self) -> Int64Array:
        """[O, K]: the class that each output stands for; a reserved one is the new label of an owner who has one."""
        columns = np.full((len(self.shots), len(self.one.labels)), self.columns - 1, np.int64)
        for place, label in enumerate(self.one.labels):
            if label in self.world.labels:
                columns[:, place] = self.world.labels.index(label)
        if self.one.reserved:
            own = [number for number, label in enumerate(self.owners.new_label) if label]
            columns[own, self.order[self.one.reserved[0]]] = self.world.new
        return columns

    @cached_property
    def head(self) -> "OwnersHead":
        """Of several layers."""
        return self.lab.head(self.number)

    def logits(self, rows: Float32Array) -> Any:
        """[..., K] of rows [..., D] by the base."""
        if self.one.layer is not None:
            return self.one.layer.logits(rows)
        flat = self.head.base_logits(np.ascontiguousarray(rows.reshape(-1, rows.shape[-1])))
        return flat.reshape(*rows.shape[:-1], -1)

    def rows_of(self, first: int, last: int) -> Int64Array:
        """Numbers of the shots from ``first`` up to ``last``, and of the replay set."""
        shots = self.shots.shape[1]
        return np.concatenate([np.arange(first, last), shots + np.arange(len(self.replay))])

    @cached_property
    def state(self) -> "_Adam | _Span | _Graph":
        if self.one.engine == "graph":
            return _Graph(self)
        return _Adam(self) if self.one.engine == "adam" else _Span(self)

    @cached_property
    def base(self) -> Answers:
        return self.read(self.asked_start)

    def read(self, logits: Any) -> Answers:
        """Answers from the logits [O, K, n] of the rows that are asked."""
        with np.errstate(all="ignore"):
            probabilities = softmax(logits, axis=1)
        classes = np.take_along_axis(self.columns_of, logits.argmax(axis=1), axis=1)
        made = np.zeros((len(logits), self.columns, logits.shape[2]), logits.dtype)
        owner = np.arange(len(logits))
        for place in range(logits.shape[1]):
            made[owner, self.columns_of[:, place]] += probabilities[:, place]
        return Answers(classes, made)

    def learned(self) -> Iterator[Found]:
        yield 0, self.base
        state = self.state
        for number, (protocol, count) in enumerate(self.lab.points):
            if number and protocol == "at_once":
                yield number, self.read(state.logits(state.trained(self.rows_of(0, self.world.learned(count)))))
        change, before = None, 0
        for number, (protocol, count) in enumerate(self.lab.points):
            if protocol == "continued":
                if self.world.learned(count) > before:
                    change = state.trained(self.rows_of(before, self.world.learned(count)), change)
                before = self.world.learned(count)
                yield number, self.read(state.logits(change))
        if "one_by_one" in self.lab.protocols:
            yield from self._one_by_one(state)

    def _one_by_one(self, state: "_Adam | _Span | _Graph") -> Iterator[Found]:
        ends = {
            self.world.learned(count): number
            for number, (way, count) in enumerate(self.lab.points)
            if way == "one_by_one"
        }
        tests = slice(self.held.shape[1], self.held.shape[1] + len(self.world.split.test))
        labels = np.array([self.world.labels.index(self.world.row_labels[row]) for row in self.world.split.test])
        change, right, worst = None, [], np.full(len(self.shots), np.inf)
        for shot in range(0, max(ends), step := self.world.rows_a_shot):
            right.append((state.says(shot, change) == self.targets[:, shot]) & self.able)
            change = state.trained(self.rows_of(shot, shot + step), change)
            logits = state.logits(change)
            called = np.take_along_axis(self.columns_of, logits[..., tests].argmax(axis=1), axis=1)
            worst = np.minimum(worst, measures.shares_of(called == labels, ~self.owners.changed))
            if shot + step in ends:
                yield ends[shot + step], self.read(logits)
                yield ends[shot + step], Revealed(np.mean(right, axis=0), worst)

    def class_means(self) -> Iterator[Found]:
        """The label of the nearest class mean, over the reference rows of each label and the owner's shots of it."""
        for number, (protocol, count) in enumerate(self.lab.points):
            if protocol == "at_once":
                yield number, self._nearest_mean(self.world.learned(count))

    def _nearest_mean(self, count: int) -> Answers:
        base, numbers = self._reference()
        classes = len(self.world.labels) + 1
        sums = np.zeros((len(self.shots), classes, base.shape[1]), np.float32)
        counts = np.zeros((len(self.shots), classes))
        for label in range(classes - 1):
            sums[:, label] = base[numbers == label].sum(axis=0)
            counts[:, label] = (numbers == label).sum()
        owner = np.arange(len(self.shots))
        for shot in range(count):
            sums[owner, self.owners.taught[:, shot]] += self.shots[:, shot]
            counts[owner, self.owners.taught[:, shot]] += 1
        means = sums / np.maximum(counts, 1)[..., None]
        products = [means @ self.held.swapaxes(1, 2), means @ self.shared.T]
        near = np.concatenate(products, axis=2) - (means**2).sum(axis=2)[..., None] / 2  # -d^2 / 2, and the row's own
        scores = np.where(counts[..., None] > 0, near, -np.inf)
        shares = softmax(scores, axis=1)
        return Answers(scores.argmax(axis=1), np.concatenate([shares, np.zeros_like(shares[:, :1])], axis=1))

    def _reference(self) -> tuple[Float32Array, Int64Array]:
        """Embeddings and class numbers of the reference rows."""
        rows = self.world.split.reference
        numbers = [self.world.labels.index(self.world.row_labels[row]) for row in rows]
        return self.vectors[0, rows], np.array(numbers, np.int64)

    def interpolated(self) -> Iterator[Found]:
        """kNN-Per (Marfoq et al. 2022): half the network's probabilities, half those of a k-NN on the owner's shots and
        the reference rows in the same embedding."""
        votes = Votes(False, self.one.assumptions)
        base = BaseSamples(*self._reference(), votes)
        size = self.vectors.shape[2]
        held = nearest_samples(self.held.reshape(-1, size), base, NEIGHBORS)
        shared = nearest_samples(self.shared, base, NEIGHBORS)
        nearest = _joined(held, shared, len(self.shots))
        distances = self.distances()
        learned = 0
        for number, (protocol, count) in enumerate(self.lab.points):
            if protocol != "at_once":
                continue
            for shot in range(learned, self.world.learned(count)):
                nearest = nearest.with_sample(distances[shot], self.owners.taught[:, shot, None])
            learned = self.world.learned(count)
            network = self.read(self.state.logits(self.state.trained(self.rows_of(0, learned)) if learned else None))
            _, cast = nearest.vote(self.columns)
            shares = (cast / np.maximum(cast.sum(axis=0), 1e-300)).swapaxes(0, 1)
            mixed = (1 - INTERPOLATION) * network.probabilities + INTERPOLATION * shares
            yield number, Answers(mixed.argmax(axis=1), mixed)

    def retrained(self) -> Iterator[Found]:
        """The head trained long on reference rows and all of the owner's shots, everything under the owner's labels,
        the shots as often as the rows of a label; only where the shots are most. No ceiling: an update that learns the
        owner's shots alone can know him better."""
        yield 0, self.base
        reference = self.world.split.reference
        kept = reference[np.linspace(0, len(reference) - 1, min(len(reference), MOST_RETRAINED)).astype(int)]
        shots = self.shots.shape[1]
        often = max(1, round(len(kept) / max(1, len(self.world.labels)) / shots))
        other = _Networks(_replaying(self.lab, self.number, kept), self.owners, self.number)
        for owner, kinds in enumerate(self.owners.kinds):
            own = dict(
                zip((self.world.kinds[row] for row in self.owners.shots[owner]), other.targets[owner], strict=False)
            )
            for place, row in enumerate(kept, start=shots):
                if self.world.kinds[row] in kinds:
                    other.targets[owner, place] = own.get(self.world.kinds[row], other.targets[owner, place])
        rows = np.concatenate([np.tile(np.arange(shots), often), other.rows_of(0, 0)])
        state = _Span(other)
        # The loss bends by half the mean square of the rows at most (Boehning 1992), of rows that no block changes.
        squares = (self.vectors[0, kept].astype(np.float64) ** 2).sum(axis=1).mean() + 1
        change = state.trained(rows, None, {**RETRAINED, "learningRate": float(1 / squares)})
        last = max(number for number, (way, _) in enumerate(self.lab.points) if way == "at_once")
        yield last, other.read(state.logits(change))


def _joined(held: Nearest, shared: Nearest, owners: int) -> Nearest:
    """[k, O, H + n] from the held-out rows [k, O * H] and the rows that all owners share [k, n]."""
    parts = []
    for own, all_ in ((held.distances, shared.distances), (held.labels, shared.labels)):
        again = np.broadcast_to(all_[:, None], (len(all_), owners, all_.shape[1]))
        parts.append(np.concatenate([own.reshape(len(own), owners, -1), again], axis=2))
    return Nearest(parts[0], parts[1].astype(np.int64), held.votes)


def _replaying(lab: Lab, number: int, rows: Int64Array) -> Lab:
    contenders = list(lab.contenders)
    contenders[number] = replace(contenders[number], replay=rows)
    return replace(lab, contenders=tuple(contenders))


class _Span:
    """Changes of weights as coefficients [O, S, K] of the learned rows."""

    def __init__(self, rows: _Networks) -> None:
        assert rows.one.layer is not None
        self._rows, layer = rows, rows.one.layer
        self.products = layer.products(rows.learned_rows, rows.learned_rows)
        owners, total, size = rows.learned_rows.shape
        held = layer.products(rows.learned_rows, rows.held)
        shared = layer.products(rows.learned_rows.reshape(-1, size), rows.shared).reshape(owners, total, -1)
        self._asked = np.concatenate([held, shared], axis=2)  # [O, S, H + n]

    def trained(self, rows: Int64Array, change: Any = None, parameters: Mapping[str, Any] | None = None) -> Any:
        mine = self._rows
        values, assumptions = parameters or mine.one.parameters, mine.one.assumptions
        found = train_in_span(self.products, mine.start, mine.targets, values, assumptions, change, rows)
        found[~mine.able] = 0
        return found

    def logits(self, change: Any) -> Any:
        """[O, K, n] of the rows that are asked."""
        if change is None:
            return self._rows.asked_start
        learned = np.flatnonzero(change.any(axis=(0, 2)))
        with np.errstate(all="ignore"):
            return self._rows.asked_start + change[:, learned].swapaxes(1, 2) @ self._asked[:, learned]

    def says(self, shot: int, change: Any) -> Any:
        logits = self._rows.start[:, shot]
        if change is not None:
            logits = logits + (self.products[:, shot, None] @ change)[:, 0]
        return logits.argmax(axis=1)


class _Adam:
    """Changes of weights as they are [O, K, D + 1], the bias behind them."""

    def __init__(self, rows: _Networks) -> None:
        self._rows = rows

    def trained(self, rows: Int64Array, change: Any = None) -> Any:
        mine = self._rows
        assert mine.one.layer is not None
        learned, targets = mine.learned_rows[:, rows], mine.targets[:, rows]
        found = train_weights(mine.one.layer, learned, targets, mine.one.parameters, mine.one.assumptions, change)
        found[~mine.able] = 0
        return found

    def logits(self, change: Any) -> Any:
        rows = self._rows
        if change is None:
            return rows.asked_start
        moved = [change[..., :-1] @ rows.held.swapaxes(1, 2), change[..., :-1] @ rows.shared.T]
        return rows.asked_start + np.concatenate(moved, axis=2) + change[..., -1:]

    def says(self, shot: int, change: Any) -> Any:
        logits = self._rows.start[:, shot]
        if change is not None:
            logits = logits + np.einsum("od,okd->ok", self._rows.shots[:, shot], change[..., :-1]) + change[..., -1]
        return logits.argmax(axis=1)


class _Graph:
    """The weights of several layers, as they are: [O, ...] of each."""

    def __init__(self, rows: _Networks) -> None:
        self._rows = rows

    def trained(self, rows: Int64Array, change: Any = None) -> Any:
        mine = self._rows
        learned, targets = mine.learned_rows[:, rows], mine.targets[:, rows]
        plan = [batch for _, batch in batches(len(rows), mine.one.parameters, mine.one.assumptions)]
        found = mine.head.trained(learned, targets, plan, mine.one.parameters, mine.one.assumptions, change)
        for array, base in zip(found, mine.head.base, strict=True):
            array[~mine.able] = base
        return found

    def logits(self, change: Any) -> Any:
        mine = self._rows
        if change is None:
            return mine.asked_start
        asked = [mine.head.logits(rows, change) for rows in (mine.held, mine.shared)]
        return np.ascontiguousarray(np.concatenate(asked, axis=1).swapaxes(1, 2))

    def says(self, shot: int, change: Any) -> Any:
        mine = self._rows
        if change is None:
            return mine.start[:, shot].argmax(axis=1)
        return mine.head.logits(np.ascontiguousarray(mine.shots[:, shot, None]), change)[:, 0].argmax(axis=1)


class _Neighbors(_Rows):
    """k-NN classifiers: an update adds the shots, so all protocols end alike."""

    def __init__(self, lab: Lab, owners: Owners, number: int) -> None:
        super().__init__(lab, owners, number)
        classes = knn_classes(self.one, self.world)
        own = {label: place for place, label in enumerate(classes)}
        self.taught = np.array([own[label] for label in (*self.world.labels, "")], np.int64)[owners.taught]
        known = [self.world.labels.index(one) if one in self.world.labels else self.columns - 1 for one in classes[:-1]]
        self.columns_of = np.array([*known, self.world.new], np.int64)
        self.near = lab.nearest(number)

    def learned(self) -> Iterator[Found]:
        held = self.near.of((self.owners.held_styles, np.maximum(self.owners.held_out, 0)))
        k = len(held.labels)
        flat = Nearest(held.distances.reshape(k, -1), held.labels.reshape(k, -1), held.votes)
        nearest = _joined(flat, self.near.of((0, self.asked)), len(self.shots))
        distances = self.distances()
        found = {0: self._answers(nearest)}
        ends = {self.world.learned(count) for _, count in self.lab.points}
        for shot in range(max(ends)):
            nearest = nearest.with_sample(distances[shot], self.taught[:, shot, None])
            if shot + 1 in ends:
                found[shot + 1] = self._answers(nearest)
        for number, (_, count) in enumerate(self.lab.points):
            yield number, found[self.world.learned(count)]
        if "one_by_one" in self.lab.protocols:
            yield from self._revealed()

    def _answers(self, nearest: Nearest) -> Answers:
        winner, cast = nearest.vote(len(self.columns_of))
        shares = cast / np.maximum(cast.sum(axis=0), 1e-300)
        made = np.zeros((self.columns, *winner.shape))
        for place, column in enumerate(self.columns_of):
            made[column] += shares[place]
        classes = np.where(winner < 0, self.columns - 1, self.columns_of[winner])
        return Answers(classes, np.ascontiguousarray(made.swapaxes(0, 1)))

    def _revealed(self) -> Iterator[Found]:
        within = np.stack([squared_distances(one, one) for one in self.shots]).transpose(1, 0, 2)  # [S, O, S]
        ends = {
            self.world.learned(count): number
            for number, (way, count) in enumerate(self.lab.points)
            if way == "one_by_one"
        }
        nearest = self.near.of((self.owners.styles, self.owners.shots))
        right = []
        for shot in range(max(ends)):
            if shot % self.world.rows_a_shot == 0:
                said, _ = nearest.of((slice(None), shot)).vote(len(self.columns_of))
                right.append(said == self.taught[:, shot])
            nearest = nearest.with_sample(within[shot], self.taught[:, shot, None])
            if shot + 1 in ends:
                yield ends[shot + 1], Revealed(np.mean(right, axis=0), np.full(len(self.shots), np.nan))


def by_tasks(lab: Lab, owners: Owners, number: int) -> Iterator[Found]:
    """A contender that only UpdateTask trains: each owner by itself, all shots in one update."""
    one, world = lab.contenders[number], lab.world
    frozen = lab.frozen[number]
    key = -1 - number
    if key not in lab.memory:  # of a worker
        lab.memory[key] = load(parse_model(one.file, one.name), assumptions=one.assumptions)
    model = lab.memory[key]
    target = str(model.description.predictedFeatureName)
    shared = [frozen[0][row] for row in (*world.split.test, *world.split.unknown)]
    again = [] if one.replay is None else one.replay.tolist()
    labels = {str(label): label for label in model.labels}
    for point, (protocol, count) in enumerate(lab.points):
        if protocol != "at_once":
            continue
        classes, shares = [], []
        for owner in range(len(owners.numbers)):
            own = owners.new_label[owner] if one.is_knn or not owners.new_label[owner] else "".join(one.reserved[:1])
            names = [*world.labels, own]
            learned = world.learned(count)
            taught = [names[place] for place in owners.taught[owner, :learned]]
            personal = model
            if learned and all(taught):
                rows = [
                    frozen[look][row].with_features(**{target: labels.get(label, label)})
                    for look, row, label in zip(owners.styles[owner], owners.shots[owner], taught, strict=False)
                ]
                rows += [frozen[0][row].with_features(**{target: labels[world.row_labels[row]]}) for row in again]
                personal = UpdateTask(model, rows, parameters=dict(one.parameters)).resume().model
            held = [
                frozen[look][max(row, 0)]
                for look, row in zip(owners.held_styles[owner], owners.held_out[owner], strict=True)
            ]
            said = _in_world(personal.predict([*held, *shared]), model, names, len(world.labels))
            classes.append(said[0])
            shares.append(said[1])
        yield point, Answers(np.stack(classes), np.stack(shares).swapaxes(1, 2))


def _in_world(answers: Sequence[Mapping[str, Any]], model: Any, names: Sequence[str], new: int) -> tuple[Any, Any]:
    """Classes [n] and probabilities [n, new + 2] of a model's answers; ``names``: the label of each class."""
    description = model.description
    label, shares = str(description.predictedFeatureName), str(description.predictedProbabilitiesName)
    places = {name: place for place, name in enumerate(names) if name}
    probabilities = np.zeros((len(answers), new + 2))
    classes = np.array([places.get(str(answer[label]), new + 1) for answer in answers], np.int64)
    for row, answer in enumerate(answers):
        for name, share in answer[shares].items():
            probabilities[row, places.get(str(name), new + 1)] += share
    return classes, probabilities
