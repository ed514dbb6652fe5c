"""What a comparison needs: models that can be compared, the rows that they share, and the base test set."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from coreml_updatable.data.duplicates import groups_of
from coreml_updatable.data.inputs import Fit, Float32Array, Int64Array, UInt8Array
from coreml_updatable.data.rows.features import features_of
from coreml_updatable.errors import DataError, ModelError, UserError
from coreml_updatable.personalization.contenders import Contender, StageProgress, silent
from coreml_updatable.personalization.costs import agrees, cost_of, tried_with, updated
from coreml_updatable.personalization.embedding import Embedded, RowOfData, enter, frozen_rows, listed_rows
from coreml_updatable.personalization.laboratory import Entrant, Lab
from coreml_updatable.personalization.owners import Owners, World, draw, owner_types, split_rows
from coreml_updatable.personalization.population import Population
from coreml_updatable.personalization.replay_sets import Choice, chosen
from coreml_updatable.personalization.results import Cost
from coreml_updatable.runtime import RunnableModel
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.reserved_labels import reserved_labels
from coreml_updatable.text import did_you_mean

BLOCK = 64  # owners at a time: what they need stays below some hundred megabytes
MAX_OWNERS = 10_000_000
SHOTS = (0, 1, 2, 3, 5, 10, 20)
RETRAINED_NAME = "retrained with base rows"
CLOSE = 0.6  # of near duplicates that are too many to be duplicates


@dataclass(frozen=True)
class Settings:
    """``replay``: base rows of each label that a second contender of every network keeps, 0: none."""

    owners: int = 1000
    shots: tuple[int, ...] = SHOTS
    replay: int = 0
    replay_by: Choice = "herding"
    references: bool = True
    workers: int | None = None
    block: int = BLOCK
    fit: Fit | None = None
    half: int | None = None  # see ``split_rows``
    heads: Mapping[str, int] = field(default_factory=dict)  # bytes of the one file that an update of a split touches


@dataclass(frozen=True)
class Prepared:
    """A laboratory, with what only the report needs: ``small`` copies, the rows' names, notes and costs."""

    lab: Lab
    names: tuple[str, ...]
    costs: Mapping[str, Cost]
    small: UInt8Array = field(default_factory=lambda: np.zeros((0, 1, 1, 3), np.uint8))
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


def prepare(
    models: Sequence[tuple[str, RunnableModel]],
    data: Path,
    population: Population,
    settings: Settings,
    on_progress: StageProgress = silent,
    entered: "tuple[Entered, list[str]] | None" = None,
) -> Prepared:
    """Read the data once for each model and set up the laboratory.

    Raises DataError where the models share no label, where the data lacks what the scenario asks for, and for too few
    rows; a model that cannot be compared is left out with a note, as long as one is left. ``entered``: the models
    with the data that ``entered_models`` read already.
    """
    _expect_settings(models, settings)
    expect_data(models, data, population, settings)  # before any work
    started = time.perf_counter()
    models_in, notes = entered or entered_models(models, data, population, settings, on_progress)
    notes = list(notes)
    labels, more = _common_labels([one for one, _, _ in models_in])
    notes += more
    kept, world, more = _world(models_in, labels, population, settings)
    notes += more
    contenders = [one for one, _, _ in models_in]
    vectors = [np.ascontiguousarray(seen.embeddings[:, kept]) for _, seen, _ in models_in]
    frozen = [tuple(tuple(look[row] for row in kept) for look in seen.frozen if look) for _, seen, _ in models_in]
    shots = tuple(count for count in settings.shots if count)
    trial = tried_with(world)
    first = draw(trial, 0, 1)
    costs, tried = {}, []
    for index, (one, _, model) in enumerate(models_in):
        stored = chosen(vectors[index][0], world, settings.replay, settings.replay_by)
        asked = [*_first_rows(first, trial), *((0, row) for row in stored.tolist())]
        places = [(look, int(kept[row])) for look, row in asked]
        fixed = frozen_rows(model, data, places, population.style, population.seed, settings.fit)
        some = tuple(
            {row: behind[int(kept[row])] for of, row in asked if of == look} for look, behind in enumerate(fixed.rows)
        )
        only = Lab(trial, (one,), (vectors[index],), (some,), (Entrant(one.name, 0),), shots, ("at_once",))
        if one.engine != "task" and not agrees(only, model):
            notes.append(
                f"{one.name}: UpdateTask trains it otherwise than many owners together: they are trained one by one"
            )
            contenders[index] = one = replace(one, engine="task", file=model_bytes(model.message))
            every = [(look, int(row)) for look in range(len(fixed.rows)) for row in kept]
            output = frozen_rows(model, data, every, population.style, population.seed, settings.fit).rows
            frozen[index] = tuple(tuple(look[int(row)] for row in kept) for look in output)
        if one.engine == "graph":
            frozen[index] = ((some[0][0],),)  # for the shapes
        cost = cost_of(one, model, some[0][0], updated(only, model), fixed)
        costs[one.name] = replace(cost, file_bytes=settings.heads.get(one.name, cost.file_bytes))
        tried.append((only, stored, fixed))
    if settings.replay:
        for index, one in enumerate(list(contenders)):
            only, stored, fixed = tried[index]
            name, model = f"{one.name} + replay {settings.replay}", models_in[index][2]
            result = with_replay(one, name, vectors[index][0], world, stored)
            cost = cost_of(
                result, model, only.frozen[0][0][0], updated(replace(only, contenders=(result,)), model), fixed
            )
            more = 4 * vectors[index].shape[2] * len(stored)
            costs[name] = replace(cost, file_bytes=costs[one.name].file_bytes + more)
            contenders.append(result)
            vectors.append(vectors[index])
            frozen.append(frozen[index])
    lab = Lab(
        world,
        tuple(contenders),
        tuple(vectors),
        tuple(
            rows if contender.engine in ("task", "graph") else ()
            for contender, rows in zip(contenders, frozen, strict=True)
        ),
        tuple(_entrants(contenders, world, settings)),
        shots,
    )
    seen = models_in[0][1]
    names = tuple(seen.rows[row].name for row in kept)
    small = seen.small[kept] if len(seen.small) else seen.small
    return Prepared(lab, names, costs, small, tuple(notes), time.perf_counter() - started)


def _expect_settings(models: Sequence[tuple[str, RunnableModel]], settings: Settings) -> None:
    if not models:
        raise DataError("compare: no models, expected at least one; name some")
    if not 1 <= settings.owners <= MAX_OWNERS:
        raise DataError(f"compare: {settings.owners} owners, expected 1 to {MAX_OWNERS:,}; choose another number")
    shots = settings.shots
    if not any(shots) or list(shots) != sorted(set(shots)) or shots[0] < 0:
        raise DataError(f"compare: shots are {list(shots)}, expected rising numbers such as 0,1,2,5; sort them")
    if settings.replay < 0 or settings.block < 1 or (settings.workers is not None and settings.workers < 1):
        raise DataError("compare: workers and the block are at least 1, and a replay set has at least 0 rows")


Entered = list[tuple[Contender, Embedded, RunnableModel]]


def entered_models(
    models: Sequence[tuple[str, RunnableModel]],
    data: Path,
    population: Population,
    settings: Settings,
    on_progress: StageProgress,
) -> tuple[Entered, list[str]]:
    entered: Entered = []
    notes = []
    refused: UserError | None = None
    for index, (name, model) in enumerate(models):

        def of_model(fraction: float, detail: str, place: int = index) -> None:
            on_progress((place + fraction) / len(models), detail)

        try:
            one, seen = enter(model, name, data, population.style, population.seed, settings.fit, of_model)
        except (ModelError, DataError) as error:
            refused = refused or error
            notes.append(f"{name} is left out: {error}")
            continue
        if entered and [row.name for row in entered[0][1].rows] != [row.name for row in seen.rows]:
            notes.append(f"{name} is left out: it reads other rows of the data than {entered[0][0].name}")
            continue
        entered.append((one, seen, model))
    if not entered:
        raise refused or DataError("compare: no model can be compared; name others")
    return entered, notes


def _common_labels(contenders: Sequence[Contender]) -> tuple[tuple[str, ...], list[str]]:
    """Labels that all have; a k-NN without samples has any."""
    own = {
        contender.name: [label for label in contender.labels if label not in contender.reserved]
        for contender in contenders
    }
    common = _common(own)
    apart = [
        f"{name} has labels that not all models have ({', '.join(other[:5])}): rows of these count as unknown"
        for name, labels in own.items()
        if (other := [label for label in labels if label not in common])
    ]
    return common, apart


def _common(own: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The labels that all models have which have any."""
    known = {name: labels for name, labels in own.items() if labels}
    if not known:
        return ()
    common = tuple(label for label in next(iter(known.values())) if all(label in item for item in known.values()))
    if not common:
        listed = "; ".join(f"{name}: {', '.join(labels[:5])}" for name, labels in known.items())
        raise DataError(f"compare: the models have no label in common ({listed}); compare models of the same labels")
    return common


def expect_data(
    models: Sequence[tuple[str, RunnableModel]], data: Path, population: Population, settings: Settings
) -> None:
    """DataError for what names of models, labels and files tell: all that can be refused before a picture is read."""
    own = {}
    for name, model in models:
        reserved = {str(label) for label in reserved_labels(model.message)}
        own[name] = [label for label in map(str, model.labels or ()) if label not in reserved]
    common = _common(own)
    able = [model for _, model in models if model.is_updatable and len(model.description.input) == 1]
    if not able:
        return
    features = features_of(able[0].message, settings.fit)
    if population.style is not None and not features.has_pictures:
        raise DataError("scenario: style is for pictures, the models read arrays; leave [style] out")
    rows = listed_rows(data, able[0], features)
    if rows is not None:
        owner_types(_divided(rows, range(len(rows)), common, population, settings))


def _world(
    entered: Entered, labels: tuple[str, ...], population: Population, settings: Settings
) -> tuple[Int64Array, World, list[str]]:
    rows = entered[0][1].rows
    kept, notes = _distinct(entered)
    world = _divided(rows, kept.tolist(), labels, population, settings)
    owner_types(world)
    return kept, world, notes


def _divided(
    rows: Sequence[RowOfData], kept: Iterable[int], labels: tuple[str, ...], population: Population, settings: Settings
) -> World:
    """The world of the rows that are ``kept``; DataError where labels, kinds and their number do not fit."""
    folders = {row.label for row in rows}
    known = labels or tuple(sorted({population.kinds.get(row.kind, row.label) for row in rows}))
    there = {row.kind for row in rows} | folders
    for kind, label in population.kinds.items():
        if kind not in there:
            hint = did_you_mean(kind, sorted(there)) or f"it has {', '.join(sorted(there)[:8])}; correct it"
            raise DataError(f"scenario: kinds names {kind!r}, which the data does not have; {hint}")
        if label not in known:
            raise DataError(f"scenario: kinds.{kind} is {label!r}, the models have {', '.join(known)}; correct it")
    labels_of: dict[str, set[str]] = {}
    for row in rows:
        labels_of.setdefault(row.kind, set()).add(row.label)
    several = {kind for kind, found in labels_of.items() if len(found) > 1}
    kinds = [f"{row.label}/{row.kind}" if row.kind in several else row.kind for row in rows]
    named = [population.kinds.get(row.kind, population.kinds.get(row.label, row.label)) for row in rows]
    own = [label if label in known else "" for label in named]
    if not any(own):
        raise DataError(
            f"data: its folders are {', '.join(sorted(folders)[:8])}, the models' labels {', '.join(known[:8])}; none "
            "is the same, rename the folders, or map them in [kinds] of a scenario"
        )
    some = list(kept)
    kinds, own = [kinds[row] for row in some], [own[row] for row in some]
    split = split_rows(population, kinds, own, settings.half)
    if not len(split.test):
        raise DataError(f"data: {len(some)} distinct rows leave no base test set; give more data")
    return World(population, tuple(kinds), tuple(own), known, split, max(settings.shots))


def _distinct(entered: Entered) -> tuple[Int64Array, list[str]]:
    """Rows to draw from: the first of those that are equal or nearly so, and none that a k-NN has as a sample."""
    seen = entered[0][1]
    first: dict[bytes, int] = {}
    for index, digest in enumerate(seen.digests):
        first.setdefault(digest, index)
    kept = np.array(sorted(first.values()), np.int64)
    notes = []
    if len(kept) < len(seen.rows):
        notes.append(f"{len(seen.rows) - len(kept)} rows equal another one and are left out")
    if len(seen.small):
        alike = groups_of(seen.small[kept])
        once = kept[np.unique(alike, return_index=True)[1]]
        if 0 < len(kept) - len(once) <= CLOSE * len(kept):
            notes.append(f"{len(kept) - len(once)} pictures are nearly the same as another one and are left out")
            kept = np.sort(once)
    for one, embedded, _ in entered:
        if one.samples is not None and len(one.samples):
            samples = {sample.tobytes() for sample in one.samples}
            fresh = np.array([embedded.embeddings[0, row].tobytes() not in samples for row in kept], bool)
            if not fresh.all():
                notes.append(f"{(~fresh).sum()} rows are samples of {one.name} and are left out")
                kept = kept[fresh]
    return kept, notes


def _entrants(contenders: Sequence[Contender], world: World, settings: Settings) -> Iterator[Entrant]:
    for index, contender in enumerate(contenders):
        yield Entrant(contender.name, index)
    if not settings.references:
        return
    yield Entrant("base, without learning", 0, "base")
    network = next(
        (position for position, item in enumerate(contenders) if item.engine in ("span", "adam", "graph")), None
    )
    if network is None or not len(world.split.reference):
        return
    yield Entrant("nearest class mean", network, "class_means")
    yield Entrant("kNN-Per", network, "interpolated")
    if contenders[network].engine == "span":
        yield Entrant(RETRAINED_NAME, network, "retrained")


def with_replay(contender: Contender, name: str, vectors: Float32Array, world: World, rows: Int64Array) -> Contender:
    """The contender with a replay set of these rows: a network learns them in every update, a k-NN has them as
    samples."""
    if contender.samples is None:
        return replace(contender, name=name, replay=rows)
    labels = (*contender.sample_labels, *(world.row_labels[row] for row in rows))
    samples = np.concatenate([contender.samples, vectors[rows]]) if len(contender.samples) else vectors[rows]
    return replace(contender, name=name, samples=samples, sample_labels=labels, labels=tuple(dict.fromkeys(labels)))


def _first_rows(first: Owners, world: World) -> list[tuple[int, int]]:
    """Look and number of every row that the first owner of ``world`` learns, or is asked of; and row 0."""
    shared = [0, *world.split.test.tolist(), *world.split.unknown.tolist()]
    shots = zip(first.styles[0].tolist(), first.shots[0].tolist(), strict=True)
    held = zip(first.held_styles[0].tolist(), np.maximum(first.held_out[0], 0).tolist(), strict=True)
    return list(dict.fromkeys([*((0, row) for row in shared), *shots, *held]))
