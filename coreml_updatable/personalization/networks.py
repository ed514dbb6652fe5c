"""The networks of a block of owners, and the reference lines that are made of them: all owners train together."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from coreml_updatable.data.inputs import Float32Array, Int64Array
from coreml_updatable.personalization import measures
from coreml_updatable.personalization.answers import Answers, Found, OwnersRows, Revealed, joined
from coreml_updatable.personalization.laboratory import Lab, last_point
from coreml_updatable.personalization.linear_heads import batches, softmax, train_in_span, train_weights
from coreml_updatable.personalization.owners import Owners
from coreml_updatable.personalization.shared_neighbors import BaseSamples, Votes, nearest_samples

if TYPE_CHECKING:
    from coreml_updatable.updating.owners import OwnersHead

NEIGHBORS = 3  # of kNN-Per
INTERPOLATION = 0.5  # the share of the k-NN in kNN-Per
RETRAINED = {"learningRate": 0.0, "momentum": 0.9, "epochs": 60, "miniBatchSize": 1 << 30, "shuffle": False}
MOST_RETRAINED = 100  # reference rows


class Networks(OwnersRows):
    """Linear heads. Rows that are learned: the owner's shots, and behind them the replay set."""

    def __init__(self, lab: Lab, owners: Owners, index: int) -> None:
        super().__init__(lab, owners, index)
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
        own = np.array(places, np.int64)[self.owners.shot_labels]
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
            own = [index for index, label in enumerate(self.owners.new_label) if label]
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
        result = np.zeros((len(logits), self.columns, logits.shape[2]), logits.dtype)
        owner = np.arange(len(logits))
        for place in range(logits.shape[1]):
            result[owner, self.columns_of[:, place]] += probabilities[:, place]
        return Answers(classes, result)

    def learned(self) -> Iterator[Found]:
        yield 0, self.base
        state = self.state
        for index, (protocol, count) in enumerate(self.lab.points):
            if index and protocol == "at_once":
                yield index, self.read(state.logits(state.trained(self.rows_of(0, self.world.learned(count)))))
        change, before = None, 0
        for index, (protocol, count) in enumerate(self.lab.points):
            if protocol == "continued":
                if self.world.learned(count) > before:
                    change = state.trained(self.rows_of(before, self.world.learned(count)), change)
                before = self.world.learned(count)
                yield index, self.read(state.logits(change))
        if "one_by_one" in self.lab.protocols:
            yield from self._one_by_one(state)

    def _one_by_one(self, state: "_Adam | _Span | _Graph") -> Iterator[Found]:
        ends = self.ends("one_by_one")
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
        for index, (protocol, count) in enumerate(self.lab.points):
            if protocol == "at_once":
                yield index, self._nearest_mean(self.world.learned(count))

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
            sums[owner, self.owners.shot_labels[:, shot]] += self.shots[:, shot]
            counts[owner, self.owners.shot_labels[:, shot]] += 1
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
        nearest = joined(held, shared, len(self.shots))
        distances = self.distances()
        learned = 0
        for index, (protocol, count) in enumerate(self.lab.points):
            if protocol != "at_once":
                continue
            for shot in range(learned, self.world.learned(count)):
                nearest = nearest.with_sample(distances[shot], self.owners.shot_labels[:, shot, None])
            learned = self.world.learned(count)
            network = self.read(self.state.logits(self.state.trained(self.rows_of(0, learned)) if learned else None))
            _, cast = nearest.vote(self.columns)
            shares = (cast / np.maximum(cast.sum(axis=0), 1e-300)).swapaxes(0, 1)
            mixed = (1 - INTERPOLATION) * network.probabilities + INTERPOLATION * shares
            yield index, Answers(mixed.argmax(axis=1), mixed)

    def retrained(self) -> Iterator[Found]:
        """The head trained long on reference rows and all of the owner's shots, everything under the owner's labels,
        the shots as often as the rows of a label; only where the shots are most. No ceiling: an update that learns the
        owner's shots alone can know him better."""
        yield 0, self.base
        reference = self.world.split.reference
        kept = reference[np.linspace(0, len(reference) - 1, min(len(reference), MOST_RETRAINED)).astype(int)]
        shots = self.shots.shape[1]
        often = max(1, round(len(kept) / max(1, len(self.world.labels)) / shots))
        other = Networks(_replaying(self.lab, self.number, kept), self.owners, self.number)
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
        yield last_point(self.lab), other.read(state.logits(change))


def _replaying(lab: Lab, index: int, rows: Int64Array) -> Lab:
    contenders = list(lab.contenders)
    contenders[index] = replace(contenders[index], replay=rows)
    return replace(lab, contenders=tuple(contenders))


class _Span:
    """Changes of weights as coefficients [O, S, K] of the learned rows."""

    def __init__(self, rows: Networks) -> None:
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
        result = train_in_span(self.products, mine.start, mine.targets, values, assumptions, change, rows)
        result[~mine.able] = 0
        return result

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

    def __init__(self, rows: Networks) -> None:
        self._rows = rows

    def trained(self, rows: Int64Array, change: Any = None) -> Any:
        mine = self._rows
        assert mine.one.layer is not None
        learned, targets = mine.learned_rows[:, rows], mine.targets[:, rows]
        result = train_weights(mine.one.layer, learned, targets, mine.one.parameters, mine.one.assumptions, change)
        result[~mine.able] = 0
        return result

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

    def __init__(self, rows: Networks) -> None:
        self._rows = rows

    def trained(self, rows: Int64Array, change: Any = None) -> Any:
        mine = self._rows
        learned, targets = mine.learned_rows[:, rows], mine.targets[:, rows]
        plan = [batch for _, batch in batches(len(rows), mine.one.parameters, mine.one.assumptions)]
        result = mine.head.trained(learned, targets, plan, mine.one.parameters, mine.one.assumptions, change)
        for array, base in zip(result, mine.head.base, strict=True):
            array[~mine.able] = base
        return result

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
