"""Owners drawn from a scenario and the rows of the data.

An owner is a function of the scenario, its seed and its own number: the same for any number of workers, any order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from coreml_updatable.data.inputs import Int64Array
from coreml_updatable.errors import DataError
from coreml_updatable.personalization.population import Brings, Change, Population
from coreml_updatable.personalization.wording import counted
from coreml_updatable.text import did_you_mean

MOST_UNKNOWN = 200  # rows of kinds without a label
IMPOSSIBLE = -2  # the label of no row


@dataclass(frozen=True)
class OwnerSplit:
    """Indices of rows. ``owners``: by kind, what owners learn and are tested on. ``test``: the base test set.

    ``unknown``: rows of kinds that no label is for, to be rejected. ``reference``: base rows that may be stored.
    ``held_out``: by kind, where the rows that owners are tested on are others than those in ``owners``.
    """

    owners: Mapping[str, Int64Array]
    test: Int64Array
    unknown: Int64Array
    reference: Int64Array
    held_out: Mapping[str, Int64Array] = field(default_factory=dict)


def split_rows(
    population: Population, kinds: Sequence[str], labels: Sequence[str], half: int | None = None
) -> OwnerSplit:
    """Divide the rows once, by kind; ``labels``: "" for a row of a kind that has none.

    ``half``: 0 or 1 gives one of two divisions that share no row: to tune on one, and to test on the other.
    """
    random = np.random.default_rng([population.seed, 1])
    kinds_of, label_of = np.array(kinds, object), np.array(labels, object)
    owners: dict[str, Int64Array] = {}
    test, unknown, reference = list[Int64Array](), list[Int64Array](), list[Int64Array]()
    for kind in sorted(set(kinds)):
        rows = random.permutation(np.flatnonzero(kinds_of == kind)).astype(np.int64)
        if half is not None:
            rows = rows[half::2]
        known = bool(label_of[rows[0]]) if len(rows) else False
        tested = round(len(rows) * population.test_share)
        kept = round(len(rows) * population.reference_share) if known else 0
        (test if known else unknown).append(rows[:tested])
        reference.append(rows[tested : tested + kept])
        owners[kind] = rows[tested + kept :]
    return OwnerSplit(
        owners,
        _at_most(test, population.most_test_rows),
        _at_most(unknown, min(MOST_UNKNOWN, population.most_test_rows)),
        _at_most(reference, population.most_test_rows),
    )


def _at_most(groups: Sequence[Int64Array], most: int) -> Int64Array:
    """The rows, as many of each group, so that there are no more than ``most``."""
    if not groups or not sum(map(len, groups)):
        return np.zeros(0, np.int64)
    share = min(1.0, most / sum(map(len, groups)))
    return np.sort(np.concatenate([group[: max(1, int(len(group) * share))] for group in groups if len(group)]))


@dataclass(frozen=True)
class Owners:
    """Some owners, one a row of each array; classes are numbers of the world's labels, one past them the new label.

    ``shots`` [O, S] rows of the data, in the order of learning, ``styles`` [O, S] which look each has, ``shot_labels``
    [O, S] the class that the owner says. ``held_out`` [O, H] rows (-1: none), ``held_styles``, ``wanted`` [O, H].
    ``changed`` [O, T]: the test rows whose kind the owner has another label for.
    """

    numbers: Int64Array
    sorts: tuple[Change, ...]
    kinds: tuple[tuple[str, ...], ...]
    shots: Int64Array
    styles: Int64Array
    shot_labels: Int64Array
    held_out: Int64Array
    held_styles: Int64Array
    wanted: Int64Array
    new_label: tuple[str, ...]  # "" for an owner without one
    changed: np.ndarray[tuple[int, int], np.dtype[np.bool_]]


@dataclass(frozen=True)
class World:
    """What owners are drawn from: each row's kind and label, the labels by number, and the division of the rows.

    ``paired``: each shot is learned together with the next of these rows, which start over when all had their turn.
    ``seeds``: there is one owner, who has every kind of the scenario, and owner number n is the order of his shots that
    seed n shuffles.
    """

    population: Population
    kinds: tuple[str, ...]
    row_labels: tuple[str, ...]
    labels: tuple[str, ...]
    split: OwnerSplit
    shots: int  # the most, of each of an owner's kinds
    paired: Int64Array = field(default_factory=lambda: np.zeros(0, np.int64))
    seeds: tuple[int, ...] = ()

    @property
    def rows_a_shot(self) -> int:
        """Rows that are learned with each shot, itself included."""
        return 2 if len(self.paired) else 1

    def learned(self, shots: int) -> int:
        """Rows that are learned at so many shots of each kind."""
        return min(shots, self.shots) * self.population.kinds_per_owner * self.rows_a_shot

    @cached_property
    def kind_names(self) -> tuple[str, ...]:
        """Every kind once."""
        return tuple(sorted(set(self.kinds)))

    @property
    def new(self) -> int:
        """The class number of an owner's own label."""
        return len(self.labels)

    @cached_property
    def label_of(self) -> Mapping[str, str]:
        """Each kind's label, "" where no label is for it."""
        return dict(zip(self.kinds, self.row_labels, strict=True))

    def possible(self, change: Change, brings: Brings) -> tuple[str, ...]:
        """The kinds that an owner of this sort can bring: enough rows for the shots, and at least one held out."""
        result = []
        for kind in brings.kinds or sorted(self.label_of):
            enough = len(self.split.owners.get(kind, ())) >= self.shots + (kind not in self.split.held_out)
            known = bool(self.label_of.get(kind))
            if enough and {"new_kind": not known, "new_label": True}.get(change, known):
                result.append(kind)
        return tuple(result)


@dataclass(frozen=True)
class OwnerType:
    """A sort of owner that the data has rows for: ``kinds`` are those that it can bring."""

    change: Change
    brings: Brings
    kinds: tuple[str, ...]


def owner_types(world: World) -> list[OwnerType]:
    """The sorts of owners to draw; DataError for one that the data has no rows for.

    Where the scenario names none: those with a new kind if the data has such kinds, else those who relabel one.
    """
    named = world.population.sorts or [(_natural(world), Brings())]
    result = []
    for change, brings in named:
        _expect_known(world, change, brings)
        if change == "relabel" and len(world.labels) < 2:
            raise DataError("scenario: relabel needs two labels, the models have one; use new_label")
        kinds = world.possible(change, brings)
        if len(kinds) < world.population.kinds_per_owner:
            raise _too_few(world, change, brings)
        result.append(OwnerType(change, brings, kinds))
    tested = {world.kinds[row] for row in world.split.test}
    if tested and not any(_leaves_some(world, sort, tested) for sort in result):
        raise DataError(
            f"scenario: the owners have another label for every kind of the base test set ({', '.join(sorted(tested))}"
            "), so forgetting cannot be measured; give rows of more kinds"
        )
    return result


def _leaves_some(world: World, sort: OwnerType, tested: set[str]) -> bool:
    """Whether an owner of this sort leaves a kind of the base test set under its label."""
    changed = sort.change in ("relabel", "new_label") and tested <= set(sort.kinds)
    return not changed or len(tested) > world.population.kinds_per_owner


def _natural(world: World) -> Change:
    if not all(world.label_of.values()) and world.possible("new_kind", Brings()):
        return "new_kind"
    return "relabel" if len(world.labels) > 1 else "same"


def _expect_known(world: World, change: Change, brings: Brings) -> None:
    for word, named, there in (("kind", brings.kinds, world.label_of), ("label", brings.labels, world.labels)):
        for name in named:
            if name not in there:
                hint = did_you_mean(name, there) or f"there are {', '.join(sorted(there))}"
                raise DataError(f"scenario: {change} names the {word} {name!r}, which does not exist; {hint}")


def _too_few(world: World, change: Change, brings: Brings) -> DataError:
    rows = {kind: len(owner) for kind, owner in world.split.owners.items()}
    most = max((count for kind, count in rows.items() if not brings.kinds or kind in brings.kinds), default=0)
    unknown = not any(
        not label and (not brings.kinds or kind in brings.kinds) for kind, label in world.label_of.items()
    )
    if change == "new_kind" and unknown:
        return DataError(
            "scenario: new_kind needs a kind that no label of the models is for, the data has none; add a folder, or "
            "use relabel"
        )
    return DataError(
        f"scenario: {change} needs {counted(world.population.kinds_per_owner, 'kind')} with {world.shots} shots and a "
        f"row to test on; after the base test set the data leaves at most {most} rows of a kind, so at most "
        f"{max(0, most - 1)} shots are possible; give more data{' or fewer shots' if most > 1 else ''}"
    )


def draw(world: World, first: int, count: int) -> Owners:
    """Owners number ``first`` up to ``first + count``."""
    sorts = owner_types(world)
    drawn = [_owner(world, sorts, index) for index in range(first, first + count)]
    most = world.population.held_out * world.population.kinds_per_owner
    width = max([most, *(len(entry.held_out) for entry in drawn)])
    held = np.full((count, width), -1, np.int64)
    wanted, held_styles = np.full((count, width), IMPOSSIBLE, np.int64), np.zeros((count, width), np.int64)
    for row, item in enumerate(drawn):
        held[row, : len(item.held_out)] = item.held_out
        wanted[row, : len(item.held_out)] = item.wanted
        held_styles[row] = item.style
    test_kinds = np.array([world.kinds[row] for row in world.split.test], object)
    changed = np.array([np.isin(test_kinds, entry.changed) for entry in drawn]).reshape(count, len(test_kinds))
    return Owners(
        numbers=np.arange(first, first + count),
        sorts=tuple(entry.sort for entry in drawn),
        kinds=tuple(entry.kinds for entry in drawn),
        shots=np.stack([entry.shots for entry in drawn]),
        styles=np.stack([entry.styles for entry in drawn]),
        shot_labels=np.stack([entry.shot_labels for entry in drawn]),
        held_out=held,
        held_styles=held_styles,
        wanted=wanted,
        new_label=tuple(entry.new_label for entry in drawn),
        changed=changed,
    )


@dataclass(frozen=True)
class _Owner:
    sort: Change
    kinds: tuple[str, ...]
    shots: Int64Array
    styles: Int64Array
    shot_labels: Int64Array
    held_out: Int64Array
    wanted: Int64Array
    style: int
    new_label: str
    changed: tuple[str, ...]


def _owner(world: World, sorts: Sequence[OwnerType], index: int) -> _Owner:
    population = world.population
    if world.seeds:
        random, sort = np.random.default_rng(world.seeds[index]), sorts[0]
        kinds = sort.kinds
    else:
        random = np.random.default_rng([population.seed, 2, index])
        weights = np.array([sort.brings.weight for sort in sorts])
        sort = sorts[int(random.choice(len(sorts), p=weights / weights.sum()))]
        kinds = tuple(str(kind) for kind in random.permutation(sort.kinds)[: population.kinds_per_owner])
    change = sort.change
    classes = {kind: _label(world, change, sort.brings, world.label_of[kind], random) for kind in kinds}
    rows = {kind: random.permutation(world.split.owners[kind]) for kind in kinds}
    fixed = world.split.held_out
    held = {
        kind: (fixed[kind] if kind in fixed else own[world.shots :][-population.held_out :])
        for kind, own in rows.items()
    }
    room = [len(rows[kind]) - (0 if kind in fixed else len(held[kind])) for kind in kinds]
    order = _order(population, world.shots * len(kinds), room, random)
    turns = {place: iter(rows[kind]) for place, kind in enumerate(kinds)}
    shots = np.array([next(turns[place]) for place in order], np.int64)
    shot_labels = np.array([classes[kinds[place]] for place in order], np.int64)
    others = len(world.labels)
    wrong = random.random(len(shot_labels)) < population.wrong_labels
    replaced = random.integers(0, max(1, others), len(shot_labels))
    replaced = np.where(replaced == shot_labels, (replaced + 1) % others, replaced)
    shot_labels = np.where(wrong & (others > 1), replaced, shot_labels)
    style = 1 + int(random.integers(population.style.count)) if population.style else 0
    shown = style if population.style and population.style.learn == "styled" else 0
    if len(world.paired):
        partners = world.paired[np.arange(len(shots)) % len(world.paired)]
        labels = np.array([world.labels.index(world.row_labels[row]) for row in partners], np.int64)
        shots, shot_labels = (np.stack(pair, axis=1).ravel() for pair in ((shots, partners), (shot_labels, labels)))
    return _Owner(
        sort=change,
        kinds=kinds,
        shots=shots,
        styles=np.full(len(shots), shown, np.int64),
        shot_labels=shot_labels,
        held_out=np.concatenate([held[kind] for kind in kinds]),
        wanted=np.concatenate([np.full(len(held[kind]), classes[kind], np.int64) for kind in kinds]),
        style=style,
        new_label=kinds[0] if change == "new_label" else "",
        changed=kinds if change in ("relabel", "new_label") else (),
    )


def _label(world: World, change: Change, brings: Brings, own: str, random: np.random.Generator) -> int:
    """The class that an owner of this sort has for a kind whose label is ``own`` ("": none)."""
    if change == "new_label":
        return world.new
    if change == "same":
        return world.labels.index(own)
    choices = [label for label in brings.labels or world.labels if label != own]
    return world.labels.index(str(random.choice(choices))) if choices else world.labels.index(own)


def _order(population: Population, total: int, room: Sequence[int], random: np.random.Generator) -> list[int]:
    """The kind's place of each shot: in turn, or by the imbalance and the drift; ``room``: the most of each kind.

    With imbalance r the first kind is shown r times as often as the last, with drift d the first kinds come early and
    the last ones late: weights (1 - d) + d times a tent that moves from the first kind to the last.
    """
    kinds = len(room)
    if kinds == 1 or (population.imbalance == 1 and population.drift == 0):
        return [place for _ in range(total // kinds) for place in range(kinds)]
    left, order = np.array(room), list[int]()
    places = np.arange(kinds)
    share = population.imbalance ** (-places / (kinds - 1))
    for turn in range(total):
        tent = np.maximum(0.0, 1 - np.abs(places - (kinds - 1) * turn / max(1, total - 1)))
        weights = share * ((1 - population.drift) + population.drift * tent) * (left > 0)
        weights = weights if weights.any() else (left > 0).astype(np.float64)
        order.append(int(random.choice(kinds, p=weights / weights.sum())))
        left[order[-1]] -= 1
    return order
