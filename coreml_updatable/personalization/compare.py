"""Models compared on a population of simulated owners, block by block."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from coreml_updatable.data.inputs import Progress
from coreml_updatable.errors import DataError
from coreml_updatable.machine import busy_note, now, others_since
from coreml_updatable.personalization.block_store import BlockStore, expect_folder
from coreml_updatable.personalization.conclusions import conclusions
from coreml_updatable.personalization.contenders import StageProgress, silent
from coreml_updatable.personalization.gathering import Gathered, by_owner_type, difference, points_of, shots_to_enough
from coreml_updatable.personalization.laboratory import last_point
from coreml_updatable.personalization.measures import PERSONAL
from coreml_updatable.personalization.owners import draw
from coreml_updatable.personalization.population import Population
from coreml_updatable.personalization.preparing import Prepared, Settings, prepare
from coreml_updatable.personalization.results import SCHEMA, Comparison, EntrantResult, WorstOwner
from coreml_updatable.personalization.workers import expect_scheduler, here, in_processes, on_dask
from coreml_updatable.runtime import RunnableModel
from coreml_updatable.threads import usable

WORST_SHOWN = 8


def shots_in(text: str) -> tuple[int, ...]:
    """The numbers of a list such as 0,1,2,5."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise DataError(
            f"shots: {text!r} is not a list of integers, expected one such as 0,1,2,5; correct it"
        ) from None


def run(
    prepared: Prepared,
    settings: Settings,
    on_progress: StageProgress = silent,
    kept: Path | None = None,
    resume: bool = False,
    dask: str | None = None,
) -> Comparison:
    """Train and measure all owners, and put the result together.

    ``kept``: a folder where each block is written as it comes, named by what it is a function of; with ``resume`` those
    that are there are read instead of run. ``dask``: the address of a scheduler whose workers run the blocks.
    """
    started = time.perf_counter()
    lab = prepared.lab
    firsts = range(0, settings.owners, settings.block)
    sizes = {first: min(settings.block, settings.owners - first) for first in firsts}
    gathered = Gathered(lab, settings.owners)
    store = BlockStore(kept, lab) if kept is not None else None
    for first, count in sizes.items() if store and resume else ():
        result = store.read(first, count) if store else None
        if result is not None:
            gathered.add(result)
    left = {first: count for first, count in sizes.items() if first not in gathered.firsts}
    workers = min(settings.workers or usable(), max(1, len(left)))
    results = on_dask(lab, left, dask) if dask else in_processes(lab, left, workers) if workers > 1 else here(lab, left)
    for block in results:
        gathered.add(block)
        if store is not None:
            store.write(block)
        on_progress(gathered.owners / settings.owners, f"{gathered.owners} of {settings.owners} owners")
    on_progress(1.0, f"{gathered.owners} owners, {len(lab.entrants)} entrants, {len(lab.points)} points")
    return result_of(gathered, prepared, time.perf_counter() - started)


def result_of(gathered: Gathered, prepared: Prepared, seconds: float = 0.0) -> Comparison:
    """What the owners that are gathered say. ``prepared`` of the same laboratory."""
    lab, world = gathered.lab, gathered.lab.world
    entrants = []
    for index, entrant in enumerate(lab.entrants):
        needed, reached = shots_to_enough(gathered, index)
        learns = entrant.line == "learns"
        entrants.append(
            EntrantResult(
                entrant.name,
                lab.contenders[entrant.of].engine,
                entrant.line,
                points_of(gathered, index),
                needed,
                reached,
                by_owner_type(gathered, index) if learns else (),
                gathered.kinds(index) if learns else (),
                prepared.costs.get(entrant.name) if learns else None,
            )
        )
    learning = [position for position, entrant in enumerate(lab.entrants) if not entrant.is_reference]
    pairs = [(item, other) for place, item in enumerate(learning) for other in learning[place + 1 :]]
    base = next((position for position, entrant in enumerate(lab.entrants) if entrant.line == "base"), None)
    pairs += [(base, item) for item in learning] if base is not None else []
    return Comparison(
        schema=SCHEMA,
        owners=gathered.owners,
        seed=world.population.seed,
        shots=(0, *lab.shots),
        labels=world.labels,
        kinds_per_owner=world.population.kinds_per_owner,
        rows=len(world.kinds),
        pictures=int(gathered.used.sum()),
        learned=int(gathered.learned.sum()),
        test_rows=len(world.split.test),
        unknown_rows=len(world.split.unknown),
        reference_rows=len(world.split.reference),
        entrants=tuple(entrants),
        differences=tuple(difference(gathered, one, other) for one, other in pairs),
        worst=tuple(_worst(prepared, gathered, learning)) if prepared.names else (),
        conclusions=conclusions(gathered, entrants),
        notes=prepared.notes,
        seconds={"embeddings": prepared.seconds, "owners": seconds},
    )


def _worst(prepared: Prepared, gathered: Gathered, learning: Sequence[int]) -> Iterator[WorstOwner]:
    lab = gathered.lab
    point = last_point(lab)
    for index in learning[:1]:
        personal, before = gathered.values(index, point, PERSONAL), gathered.values(index, 0, PERSONAL)
        for place in np.argsort(personal, kind="stable")[:WORST_SHOWN].tolist():
            owner = draw(lab.world, place, 1)
            rows = [row for row in owner.held_out[0].tolist() if row >= 0][:6]
            yield WorstOwner(
                lab.entrants[index].name,
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
    on_progress: Progress | None = None,
    kept: Path | None = None,
    resume: bool = False,
    dask: str | None = None,
) -> tuple[Comparison, Prepared]:
    """Set up the laboratory and run all owners: see ``prepare`` and ``run``."""

    def stage(name: str) -> StageProgress:
        return silent if on_progress is None else (lambda fraction, detail: on_progress(name, fraction, detail))

    if dask is not None:
        expect_scheduler(dask)
    if kept is not None:
        expect_folder(kept)
    started = now()
    prepared = prepare(models, data, population, settings, stage("embeddings"))
    result = run(prepared, settings, stage("owners"), kept, resume, dask)
    busy = busy_note(others_since(started)).removesuffix(".")
    return (replace(result, notes=(*result.notes, busy)) if busy else result), prepared
