"""The personalization lab: models compared on a population of simulated owners, block by block, in processes.

Blocks of owners are pure functions of the laboratory and the owners' numbers (blocks.py). They run here, in processes,
or on a Dask cluster, and are kept as files as they come, so that a run can be taken up again.
"""

import hashlib
import io
import pickle
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from coreml_updatable.data.duplicates import groups_of
from coreml_updatable.data.inputs import Float32Array, Int64Array, UInt8Array
from coreml_updatable.data.rows.features import Fit, features_of
from coreml_updatable.errors import BuildError, DataError, ModelError, UserError
from coreml_updatable.files import write_atomically
from coreml_updatable.personalization import blocks as engine
from coreml_updatable.personalization.blocks import BlockResult, Entrant, Lab, run_block
from coreml_updatable.personalization.contenders import (
    Contender,
    Embedded,
    FixedPart,
    RowOfData,
    Told,
    enter,
    frozen_rows,
    listed_rows,
    silent,
)
from coreml_updatable.personalization.lab_results import (
    SCHEMA,
    WORST_SHOWN,
    Cost,
    EntrantResult,
    Gathered,
    LabResult,
    WorstOwner,
    conclusions,
    difference,
    last_point,
    points_of,
    shots_to_enough,
    sorts_at_end,
)
from coreml_updatable.personalization.population import Owners, Population, Split, World, draw, sorts_of, split_rows
from coreml_updatable.personalization.replay_sets import Choice, chosen
from coreml_updatable.runtime import FrozenRow, RunnableModel
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.reserved_labels import reserved_labels
from coreml_updatable.threads import set_threads, usable

BLOCK = 64  # owners at a time: what they need stays below some hundred megabytes
MAX_OWNERS = 10_000_000
SHOTS = (0, 1, 2, 3, 5, 10, 20)
AGREE = 1e-3  # of probabilities, between the engine and UpdateTask
RETRAINED_NAME = "retrained with base rows"
TRIED = 16  # test rows, on which the engine is tried against UpdateTask
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


def shots_in(text: str) -> tuple[int, ...]:
    """The numbers of a list such as 0,1,2,5."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise DataError(
            f"shots: {text!r} is not a list of integers, expected one such as 0,1,2,5; correct it"
        ) from None


@dataclass(frozen=True)
class Prepared:
    """A laboratory, with what only the report needs: ``small`` copies, the rows' names, notes and costs."""

    lab: Lab
    names: tuple[str, ...]
    small: UInt8Array
    notes: tuple[str, ...]
    costs: Mapping[str, Cost]
    dropped: int
    seconds: float


def prepare(
    models: Sequence[tuple[str, RunnableModel]],
    data: Path,
    population: Population,
    settings: Settings,
    told: Told = silent,
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
    models_in, notes = entered or entered_models(models, data, population, settings, told)
    notes = list(notes)
    labels, more = _common_labels([one for one, _, _ in models_in])
    notes += more
    whole, dropped, more = _world(models_in, labels, population, settings)
    notes += more
    kept, world = whole
    contenders = [one for one, _, _ in models_in]
    vectors = [np.ascontiguousarray(seen.embeddings[:, kept]) for _, seen, _ in models_in]
    frozen = [tuple(tuple(look[row] for row in kept) for look in seen.frozen if look) for _, seen, _ in models_in]
    shots = tuple(count for count in settings.shots if count)
    trial = replace(
        world, split=replace(world.split, test=world.split.test[:TRIED], unknown=world.split.unknown[:TRIED])
    )
    first = draw(trial, 0, 1)
    costs = {}
    for number, (one, _, model) in enumerate(models_in):
        asked = _first_rows(first, trial)
        places = [(look, int(kept[row])) for look, row in asked]
        fixed = frozen_rows(model, data, places, population.style, population.seed, settings.fit)
        some = tuple(
            {row: behind[int(kept[row])] for of, row in asked if of == look} for look, behind in enumerate(fixed.rows)
        )
        only = Lab(trial, (one,), (vectors[number],), (some,), (Entrant(one.name, 0),), shots, ("at_once",))
        if one.engine != "task" and not _agrees(only, model):
            notes.append(
                f"{one.name}: UpdateTask trains it otherwise than many owners together: they are trained one by one"
            )
            contenders[number] = one = replace(one, engine="task", file=model_bytes(model.message))
            every = [(look, int(row)) for look in range(len(fixed.rows)) for row in kept]
            found = frozen_rows(model, data, every, population.style, population.seed, settings.fit).rows
            frozen[number] = tuple(tuple(look[int(row)] for row in kept) for look in found)
        if one.engine == "graph":
            frozen[number] = ((some[0][0],),)  # for the shapes
        costs[one.name] = _cost(one, model, some[0][0], _update_ms(only, model, first), fixed)
    if settings.replay:
        for number, one in enumerate(list(contenders)):
            name = f"{one.name} + replay {settings.replay}"
            stored = chosen(vectors[number][0], world, settings.replay, settings.replay_by)
            contenders.append(with_replay(one, name, vectors[number][0], world, stored))
            vectors.append(vectors[number])
            frozen.append(frozen[number])
            more = 4 * vectors[number].shape[2] * len(stored)
            costs[name] = replace(costs[one.name], file_bytes=costs[one.name].file_bytes + more)
    lab = Lab(
        world,
        tuple(contenders),
        tuple(vectors),
        tuple(rows if one.engine in ("task", "graph") else () for one, rows in zip(contenders, frozen, strict=True)),
        tuple(_entrants(contenders, world, settings)),
        shots,
    )
    seen = models_in[0][1]
    names = tuple(seen.rows[row].name for row in kept)
    small = seen.small[kept] if len(seen.small) else seen.small
    return Prepared(lab, names, small, tuple(notes), costs, dropped, time.perf_counter() - started)


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
    models: Sequence[tuple[str, RunnableModel]], data: Path, population: Population, settings: Settings, told: Told
) -> tuple[Entered, list[str]]:
    entered: Entered = []
    notes = []
    refused: UserError | None = None
    for number, (name, model) in enumerate(models):

        def on_progress(fraction: float, detail: str, place: int = number) -> None:
            told((place + fraction) / len(models), detail)

        try:
            one, seen = enter(model, name, data, population.style, population.seed, settings.fit, on_progress)
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
    own = {one.name: [label for label in one.labels if label not in one.reserved] for one in contenders}
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
    common = tuple(label for label in next(iter(known.values())) if all(label in one for one in known.values()))
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
        sorts_of(_divided(rows, range(len(rows)), common, population, settings))


def _world(
    entered: Entered, labels: tuple[str, ...], population: Population, settings: Settings
) -> tuple[tuple[Int64Array, World], int, list[str]]:
    rows = entered[0][1].rows
    kept, notes = _distinct(entered)
    world = _divided(rows, kept.tolist(), labels, population, settings)
    sorts_of(world)
    return (kept, world), len(rows) - len(kept), notes


def _divided(
    rows: Sequence[RowOfData], kept: Iterable[int], labels: tuple[str, ...], population: Population, settings: Settings
) -> World:
    """The world of the rows that are ``kept``; DataError where labels, kinds and their number do not fit."""
    folders = {row.label for row in rows}
    known = labels or tuple(sorted({population.kinds.get(row.kind, row.label) for row in rows}))
    for kind, label in population.kinds.items():
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
    for number, digest in enumerate(seen.digests):
        first.setdefault(digest, number)
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
    for number, one in enumerate(contenders):
        yield Entrant(one.name, number)
    if not settings.references:
        return
    yield Entrant("base, without learning", 0, "base")
    network = next((number for number, one in enumerate(contenders) if one.engine in ("span", "adam", "graph")), None)
    if network is None or not len(world.split.reference):
        return
    yield Entrant("nearest class mean", network, "class_means")
    yield Entrant("kNN-Per", network, "interpolated")
    if contenders[network].engine == "span":
        yield Entrant(RETRAINED_NAME, network, "retrained")


def with_replay(one: Contender, name: str, vectors: Float32Array, world: World, rows: Int64Array) -> Contender:
    """The contender with a replay set of these rows: a network learns them in every update, a k-NN has them as
    samples."""
    if one.samples is None:
        return replace(one, name=name, replay=rows)
    labels = (*one.sample_labels, *(world.row_labels[row] for row in rows))
    samples = np.concatenate([one.samples, vectors[rows]]) if len(one.samples) else vectors[rows]
    return replace(one, name=name, samples=samples, sample_labels=labels, labels=tuple(dict.fromkeys(labels)))


def _first_rows(first: Owners, world: World) -> list[tuple[int, int]]:
    """Look and number of every row that the first owner of ``world`` learns, or is asked of; and row 0."""
    shared = [0, *world.split.test.tolist(), *world.split.unknown.tolist()]
    shots = zip(first.styles[0].tolist(), first.shots[0].tolist(), strict=True)
    held = zip(first.held_styles[0].tolist(), np.maximum(first.held_out[0], 0).tolist(), strict=True)
    return list(dict.fromkeys([*((0, row) for row in shared), *shots, *held]))


def _agrees(lab: Lab, model: RunnableModel) -> bool:
    """Whether the engine and one UpdateTask give the first owner the same answers at the most shots."""
    owners = draw(lab.world, 0, 1)
    one = lab.contenders[0]
    task = replace(lab, contenders=(replace(one, engine="task"),), memory={-1: model})
    if one.labels and not all(
        label in {str(own) for own in model.labels} for label in lab.world.labels
    ):  # a k-NN without samples of a label takes it as it is given
        return True
    numbers = [0, last_point(lab)]
    said = [dict(engine.Block(lab, owners).answers(lab.entrants[0])), dict(engine.by_tasks(task, owners, 0))]
    return all(
        isinstance(ours := said[0][number], engine.Answers)
        and isinstance(theirs := said[1][number], engine.Answers)
        and bool(np.abs(ours.probabilities - theirs.probabilities).max() <= AGREE)
        for number in numbers
    )


def _update_ms(lab: Lab, model: RunnableModel, owners: Owners) -> float:
    """One UpdateTask of the first owner with the most shots, its rows behind the fixed part already."""
    from coreml_updatable.updating import UpdateTask

    frozen = lab.frozen[0]
    labels = {str(label): label for label in model.labels}
    target = str(model.description.predictedFeatureName)
    rows = [
        frozen[look][row].with_features(**{target: next(iter(labels.values()), "new")})
        for look, row in zip(owners.styles[0], owners.shots[0], strict=True)
    ]
    started = time.perf_counter()
    UpdateTask(model, rows, parameters=dict(lab.contenders[0].parameters)).resume()
    return 1000 * (time.perf_counter() - started)


def _cost(one: Contender, model: RunnableModel, row: FrozenRow, update_ms: float, fixed: FixedPart) -> Cost:
    from coreml_updatable import bounds
    from coreml_updatable.spec.head_memory import head_memory
    from coreml_updatable.spec.network import last_member

    size = len(model_bytes(model.message))
    times, before = (update_ms, 1000 * fixed.seconds), fixed.operations
    if one.is_knn:
        assert one.samples is not None
        stored = one.samples.shape[1] * 4
        return Cost(before, 3 * one.samples.size, size, one.samples.nbytes, stored, *times)
    if one.layer is not None:
        work = one.layer.weights.size
    else:
        with bounds.bounded("model") as run:
            model.predict([row])
        work = int(run.work)
    return Cost(before, work, size, head_memory(last_member(model.message)).total, 0, *times)


Told3 = Callable[[str, float, str], None]


def run(
    prepared: Prepared,
    settings: Settings,
    told: Told = silent,
    kept: Path | None = None,
    resume: bool = False,
    dask: str | None = None,
) -> LabResult:
    """Train and measure all owners, and put the result together.

    ``kept``: a folder where each block is written as it comes, named by what it is a function of; with ``resume`` those
    that are there are read instead of run. ``dask``: the address of a scheduler whose workers run the blocks.
    """
    started = time.perf_counter()
    lab = prepared.lab
    firsts = range(0, settings.owners, settings.block)
    sizes = {first: min(settings.block, settings.owners - first) for first in firsts}
    gathered = Gathered(lab, settings.owners)
    store = _Store(kept, lab) if kept is not None else None
    for first, count in sizes.items() if store and resume else ():
        found = store.read(first, count) if store else None
        if found is not None:
            gathered.add(found)
    left = {first: count for first, count in sizes.items() if first not in gathered.firsts}
    workers = min(settings.workers or usable(), max(1, len(left)))
    results = (
        _on_dask(lab, left, dask) if dask else _in_processes(lab, left, workers) if workers > 1 else _here(lab, left)
    )
    for block in results:
        gathered.add(block)
        if store is not None:
            store.write(block)
        told(gathered.owners / settings.owners, f"{gathered.owners} of {settings.owners} owners")
    told(1.0, f"{gathered.owners} owners, {len(lab.entrants)} entrants, {len(lab.points)} points")
    return _result(prepared, gathered, time.perf_counter() - started)


def _here(lab: Lab, left: Mapping[int, int]) -> Iterator[BlockResult]:
    for first, count in left.items():
        yield run_block(lab, first, count)


_lab: Lab | None = None  # of a worker


def _begin(path: str) -> None:
    global _lab  # a worker has one laboratory, which is read once
    set_threads(1)
    with Path(path).open("rb") as file:  # written by the process that started this one
        _lab = pickle.load(file)  # noqa: S301


def _block(first: int, count: int) -> BlockResult:
    assert _lab is not None
    return run_block(_lab, first, count)


def _in_processes(lab: Lab, left: Mapping[int, int], workers: int) -> Iterator[BlockResult]:
    with _written(lab) as path:
        pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (str(path),))
        try:
            yield from _as_they_come(lambda first, count: pool.submit(_block, first, count), left, 2 * workers)
        except BrokenProcessPool as error:
            raise BuildError(
                "compare: a worker ended before its owners were done; the blocks that are there stay: run again with "
                "--resume, or fewer --workers"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _as_they_come(
    submit: Callable[[int, int], "Future[BlockResult]"], left: Mapping[int, int], most: int
) -> Iterator[BlockResult]:
    """The blocks as they are done; ``most`` are asked for at a time, so that results do not wait in memory."""
    asked, running = iter(left.items()), set["Future[BlockResult]"]()
    while True:
        running |= {submit(first, count) for first, count in islice(asked, most - len(running))}
        if not running:
            return
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()


@contextmanager
def _written(lab: Lab) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="coreml_updatable.") as folder:
        path = Path(folder) / "lab"
        with path.open("wb") as file:
            pickle.dump(replace(lab, memory={}), file, protocol=5)
        yield path


def _client(address: str) -> Any:
    """A client of the scheduler there; BuildError where none answers."""
    try:
        import distributed
    except ImportError:
        raise BuildError(
            "compare: --dask needs dask.distributed; install the extra: pip install 'coreml-updatable[cluster]'"
        ) from None
    cluster: Any = distributed
    try:
        client = cluster.Client(address, timeout=10)
    except (OSError, TimeoutError, ValueError) as error:
        raise BuildError(
            f"compare: no Dask scheduler answers at {address} ({error}); start one, or leave --dask out"
        ) from None
    return client


def _expect_scheduler(address: str) -> None:
    """BuildError where no scheduler answers at ``address``."""
    _client(address).close()


def _on_dask(lab: Lab, left: Mapping[int, int], address: str) -> Iterator[BlockResult]:
    """The blocks on a Dask cluster; the laboratory is sent once to every worker, and a block of a worker that died runs
    again on another."""
    client = _client(address)
    import distributed

    cluster: Any = distributed
    with client:
        [shared] = client.scatter([replace(lab, memory={})], broadcast=True)
        asked, most = iter(left.items()), 4 * max(1, sum(client.nthreads().values()))
        running = cluster.as_completed()
        while True:
            for first, count in islice(asked, most - running.count()):
                running.add(client.submit(run_block, shared, first, count, pure=False))
            if running.is_empty():
                return
            yield next(running).result()


def _expect_folder(folder: Path) -> None:
    """BuildError where blocks cannot be written into ``folder``, which is made if it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BuildError(f"{folder}: cannot be written to ({error.strerror}); choose another -o") from None


class _Store:
    """Blocks as files of arrays; ``key``: a digest of all that they are functions of."""

    def __init__(self, folder: Path, lab: Lab) -> None:
        self._folder = folder
        digest = hashlib.blake2b(digest_size=10)
        digest.update(repr((lab.world.population, lab.shots, lab.protocols, lab.replicates, lab.entrants)).encode())
        digest.update(repr((lab.world.kinds, lab.world.row_labels, lab.world.labels)).encode())
        for part in (lab.world.split.test, lab.world.split.unknown, lab.world.split.reference):
            digest.update(part.tobytes())
        for one, vectors in zip(lab.contenders, lab.embeddings, strict=True):
            digest.update(repr((one.engine, one.labels, one.parameters, one.assumptions, one.sample_labels)).encode())
            digest.update(one.file)
            arrays = [vectors, one.samples, one.replay]
            arrays += [one.layer.weights, one.layer.bias] if one.layer is not None else []
            for array in arrays:
                digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        self._key = digest.hexdigest()

    def _path(self, first: int, count: int) -> Path:
        return self._folder / f"owners-{self._key}-{first:08d}-{count}.npz"

    def write(self, block: BlockResult) -> None:
        buffer = io.BytesIO()
        np.savez(
            buffer,
            values=block.values,
            sums=block.sums,
            weights=block.weights,
            sorts=np.array(block.sorts, np.str_),
            shots=block.shots,
            used=block.used,
        )
        path = self._path(block.first, len(block.sorts))
        try:
            write_atomically(path, buffer.getvalue())
        except OSError as error:
            raise BuildError(
                f"{path}: cannot be written ({error.strerror}); the owners before it are kept: free some space, and go "
                "on with --resume"
            ) from None

    def read(self, first: int, count: int) -> BlockResult | None:
        path = self._path(first, count)
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as found:
                return BlockResult(
                    first,
                    found["values"],
                    found["sums"],
                    found["weights"],
                    tuple(found["sorts"].tolist()),
                    found["shots"],
                    found["used"],
                )
        except (OSError, ValueError, KeyError):  # half a file of an older run: run the block again
            return None


def _result(prepared: Prepared, gathered: Gathered, seconds: float) -> LabResult:
    lab, world = prepared.lab, prepared.lab.world
    entrants = []
    for number, entrant in enumerate(lab.entrants):
        needed, reached = shots_to_enough(gathered, number)
        learns = entrant.line == "learns"
        entrants.append(
            EntrantResult(
                entrant.name,
                lab.contenders[entrant.of].engine,
                entrant.line,
                points_of(gathered, number),
                needed,
                reached,
                sorts_at_end(gathered, number) if learns else (),
                prepared.costs.get(entrant.name) if learns else None,
            )
        )
    learning = [number for number, entrant in enumerate(lab.entrants) if not entrant.is_reference]
    pairs = [(one, other) for place, one in enumerate(learning) for other in learning[place + 1 :]]
    base = next((number for number, entrant in enumerate(lab.entrants) if entrant.line == "base"), None)
    pairs += [(base, one) for one in learning] if base is not None else []
    split: Split = world.split
    return LabResult(
        schema=SCHEMA,
        owners=gathered.owners,
        seed=world.population.seed,
        shots=(0, *lab.shots),
        labels=world.labels,
        kinds_per_owner=world.population.kinds_per_owner,
        rows=len(world.kinds),
        pictures=int(gathered.used.sum()),
        learned=int(gathered.learned.sum()),
        test_rows=len(split.test),
        unknown_rows=len(split.unknown),
        reference_rows=len(split.reference),
        entrants=tuple(entrants),
        differences=tuple(difference(gathered, one, other) for one, other in pairs),
        worst=tuple(_worst(prepared, gathered, learning)),
        conclusions=conclusions(gathered, entrants),
        notes=prepared.notes,
        seconds={"embeddings": prepared.seconds, "owners": seconds},
    )


def _worst(prepared: Prepared, gathered: Gathered, learning: Sequence[int]) -> Iterator[WorstOwner]:
    lab = gathered.lab
    point = last_point(lab)
    for number in learning[:1]:
        personal, before = gathered.values(number, point, engine.PERSONAL), gathered.values(number, 0, engine.PERSONAL)
        for place in np.argsort(personal, kind="stable")[:WORST_SHOWN].tolist():
            owner = draw(lab.world, place, 1)
            rows = [row for row in owner.held_out[0].tolist() if row >= 0][:6]
            yield WorstOwner(
                lab.entrants[number].name,
                place,
                gathered.sorts[place],
                owner.kinds[0],
                float(personal[place]),
                float(before[place]),
                tuple(rows),
                tuple(prepared.names[row] for row in rows),
            )


def compare(
    models: Sequence[tuple[str, RunnableModel]],
    data: Path,
    population: Population,
    settings: Settings,
    told: Told3 | None = None,
    kept: Path | None = None,
    resume: bool = False,
    dask: str | None = None,
) -> tuple[LabResult, Prepared]:
    """Set up the laboratory and run all owners: see ``prepare`` and ``run``."""

    def stage(name: str) -> Told:
        return silent if told is None else (lambda fraction, detail: told(name, fraction, detail))

    if dask is not None:
        _expect_scheduler(dask)
    if kept is not None:
        _expect_folder(kept)
    prepared = prepare(models, data, population, settings, stage("embeddings"))
    return run(prepared, settings, stage("owners"), kept, resume, dask), prepared
