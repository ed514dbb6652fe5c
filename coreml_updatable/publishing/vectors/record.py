"""Vectors made: rows asked of a model, before and after updates that no mistake of an app survives.

The owner's own update comes first, with the model's defaults, a row at a time. Others follow where it would not notice
a *mistake* (``bench.py``): an epoch less, another rate, momentum, order, or a forgotten row.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from coreml_updatable.data.pictures import png
from coreml_updatable.publishing.vectors.bench import (
    LOSS_TOLERANCE,
    Bench,
    InputArray,
    ParameterValues,
    TrialUpdate,
    off,
    unnoticed_mistakes,
)
from coreml_updatable.publishing.vectors.document import (
    AFTER,
    BEFORE,
    Array,
    LeastSystems,
    Picture,
    Vectors,
)
from coreml_updatable.publishing.vectors.photos import photos
from coreml_updatable.publishing.vectors.replay import remembers
from coreml_updatable.publishing.vectors.values import FOLDER, digest, fitted_as, short
from coreml_updatable.runtime import load, reference
from coreml_updatable.spec.availability import AVAILABILITY
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.summary import summarize
from coreml_updatable.updating import Assumptions

CODE_SINCE = "iOS 16"  # the Swift package's
WITH_REPLAY = "with the replay set"


@reference()
def record(
    model: Model,
    file: str,
    feature: str,
    label: str,
    given: Sequence[InputArray],
    learned: Sequence[tuple[InputArray, str]],
    candidates: Sequence[InputArray] = (),
    replayed: Sequence[tuple[InputArray, str]] = (),
    replay_pictures: str = f"{FOLDER}/replay",
    made: Mapping[str, bytes] | None = None,
) -> tuple[Vectors, dict[str, bytes]]:
    """The vectors of ``model``, to be written as ``file``, and the pictures they name.

    ``given`` are put to its input ``feature``; ``learned`` are others with what their owner calls them; ``candidates``
    are asked, too, where one of them shows a mistake. ``replayed``: a replay set, which a network learns behind
    ``learned`` in an exercise of its own; its pictures are called ``replay_pictures`` and a number. Pictures are uint8
    [H, W, C]; arrays float32, rounded as the document holds them. ``made``: files that the vectors of another model of
    the very same rows named; those that this one names, too, are taken from it.
    """
    files, done = dict[str, bytes](), made or {}
    asked = [_named(item, f"{FOLDER}/picture-{index:02}.png", files, done) for index, item in enumerate(given, start=1)]
    shots = [
        _named(one, f"{FOLDER}/owner-{index:02}.png", files, done) for index, (one, _) in enumerate(learned, start=1)
    ]
    update = summarize(model).update
    known = {parameter.name: parameter for parameter in update.parameters} if update else {}
    bench = Bench(load(model), feature, label, known)
    parameters, labels = plain_parameters(model), [said for _, said in learned]
    rows = bench.rows(given, [one for one, _ in learned])
    story = bench.exercise(AFTER, rows, TrialUpdate(parameters, tuple(zip(range(len(learned)), labels, strict=True))))
    exercises = [replace(bench.exercise(BEFORE, rows, None), values=tuple(asked)), replace(story, values=tuple(asked))]
    taken = [one for one, _ in learned]
    pool = bench.rows([*_near(taken, [*candidates, *given]), *candidates, *given], taken)
    further = bench.further(pool, parameters, labels)
    if further is not None:
        names = {f"{FOLDER}/picture-{index + 1:02}.png": item for index, item in enumerate(given)}
        values = tuple(_known(item, names) or _named(item, _by_content(item), files, done) for item in further.raw)
        exercises.append(replace(further, values=values))
    unnoticed = unnoticed_mistakes(bench, [exercise for exercise in exercises if exercise.trial is not None])
    result = [exercise.document(feature, label, shots) for exercise in exercises]
    if replayed and not remembers(bench.model):
        again = [
            _named(one, f"{replay_pictures}-{index:02}.png", files, done) for index, (one, _) in enumerate(replayed, 1)
        ]
        both = [*learned, *replayed]
        rows = bench.rows(given, [one for one, _ in both])
        mixed = bench.exercise(WITH_REPLAY, rows, TrialUpdate(parameters, tuple(enumerate(said for _, said in both))))
        result.append(replace(mixed, values=tuple(asked)).document(feature, label, [*shots, *again]))
        if story.trial is not None and off(mixed, bench.run(rows, story.trial)) <= 1:
            unnoticed.append("without the replay set")
    target = fitted_as(model)
    if target is not None and len(given):
        photographed, lost = photos(bench, target, given, files)
        result.append(photographed)
        unnoticed += lost
    least = AVAILABILITY.get(int(model.specificationVersion))
    vectors = Vectors(
        model=file,
        sha256=hashlib.sha256(model_bytes(model)).hexdigest(),
        least_ios=LeastSystems(model=least, code=CODE_SINCE) if least else None,
        assumptions=asdict(Assumptions()),
        loss_tolerance=LOSS_TOLERANCE,
        exercises=tuple(result),
        unnoticed=tuple(unnoticed),
    )
    return vectors, files


def _named(values: InputArray, name: str, files: dict[str, bytes], done: Mapping[str, bytes]) -> Picture | Array:
    """How the document holds ``values``; a picture is added to ``files`` under ``name``."""
    if values.dtype == np.uint8:
        files[name] = done[name] if name in done else png(values.view(np.uint8))
        return Picture(png=name)
    return Array(shape=values.shape, values=tuple(short(values).ravel().tolist()))


def _near(rows: Sequence[InputArray], others: Sequence[InputArray]) -> list[InputArray]:
    """Rows close to each of ``rows``: nine parts of it, one of another one.

    At distance 0 from a k-NN's sample, the last bits of the embedding would decide how many votes it has.
    """
    near = []
    for row, other in zip(rows, [*others, *rows[1:], *rows[:1]], strict=False):
        blend = 0.9 * row.astype(np.float64) + 0.1 * other.astype(np.float64)
        near.append(blend.round().astype(np.uint8) if row.dtype == np.uint8 else blend.astype(np.float32))
    return near


def _known(values: InputArray, names: Mapping[str, InputArray]) -> Picture | None:
    """The file that has this picture already."""
    if values.dtype != np.uint8:
        return None
    return next((Picture(png=name) for name, item in names.items() if item is values), None)


def _by_content(values: InputArray) -> str:
    return f"{FOLDER}/asked-{digest(values.tobytes())}.png"


def plain_parameters(model: Model) -> ParameterValues:
    """The model's defaults, but no shuffling and the smallest mini-batch: then few undocumented choices play a part."""
    update = summarize(model).update
    chosen: ParameterValues = {}
    for parameter in update.parameters if update else ():
        chosen[parameter.name] = parameter.default
        if parameter.name == "shuffle":
            chosen["shuffle"] = False
        if parameter.name == "miniBatchSize":
            chosen["miniBatchSize"] = min(parameter.allowed or (int(parameter.range[0]) if parameter.range else 1,))
    return {name: value for name, value in chosen.items() if name != "seed"}
