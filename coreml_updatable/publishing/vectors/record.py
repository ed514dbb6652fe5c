"""Vectors made: rows put to a model, before and after one update."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from coreml_updatable.data.inputs import Float32Array, UInt8Array
from coreml_updatable.publishing.vectors.differences import difference
from coreml_updatable.publishing.vectors.document import Array, ExpectedUpdate, Picture, Row, Tolerances, Vectors
from coreml_updatable.publishing.vectors.values import answer, png, short
from coreml_updatable.runtime import RunnableModel, load, reference
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.summary import summarize
from coreml_updatable.updating import Assumptions, UpdateTask
from coreml_updatable.updating.probes.outcomes import assuming, choices

FOLDER = "vectors"  # of the pictures
# Wide enough for a device that rounds otherwise: noise of 0.5% on every feature that the frozen part gives moves the
# samples' probabilities by at most 0.0033 before the update and 0.0055 after it. The update itself moves them by 0.4.
TOLERANCES = Tolerances(before=0.01, after=0.02)


@reference()
def record(
    model: Model,
    file: str,
    feature: str,
    label: str,
    given: Sequence[UInt8Array | Float32Array],
    learnt: Sequence[tuple[UInt8Array | Float32Array, str]],
) -> tuple[Vectors, dict[str, bytes]]:
    """The vectors of ``model``, to be written as ``file``, and the PNG files they name.

    ``given`` are put to its input ``feature``; ``learnt`` are others with what their owner calls them. Pictures are
    uint8 [H, W, C]; arrays float32, rounded as the document holds them.
    """
    files: dict[str, bytes] = {}
    named = [_named(one, f"{FOLDER}/picture-{number:02}.png", files) for number, one in enumerate(given, start=1)]
    taught = [_named(one, f"{FOLDER}/owner-{number:02}.png", files) for number, (one, _) in enumerate(learnt, start=1)]
    runnable, parameters = load(model), plain_parameters(model)
    whole = _Rows(
        [{feature: short(one)} for one in given], [{feature: short(one), label: said} for one, said in learnt]
    )
    frozen = _Rows(runnable.frozen(whole.asked), runnable.frozen(whole.learned))  # the fixed layers run once a row
    after = _after(runnable, frozen, parameters)
    vectors = Vectors(
        model=file,
        sha256=hashlib.sha256(model_bytes(model)).hexdigest(),
        assumptions=asdict(Assumptions()),
        tolerances=TOLERANCES,
        rows=tuple({feature: one} for one in named),
        before=tuple(answer(one) for one in runnable.predict(list(frozen.asked))),
        update=ExpectedUpdate(
            parameters=parameters,
            rows=tuple({feature: one, label: said} for one, (_, said) in zip(taught, learnt, strict=True)),
            after=after,
            sensitive=tuple(_sensitive(runnable, whole, frozen, parameters, after)),
        ),
    )
    return vectors, files


def _named(values: UInt8Array | Float32Array, name: str, files: dict[str, bytes]) -> Picture | Array:
    """How the document holds ``values``; a picture is added to ``files`` under ``name``."""
    if values.dtype == np.uint8:
        files[name] = png(values.view(np.uint8))
        return Picture(png=name)
    return Array(shape=values.shape, values=tuple(short(values).ravel().tolist()))


def plain_parameters(model: Model) -> dict[str, bool | int | float]:
    """The model's defaults, but no shuffling and the smallest mini-batch: then few undocumented choices play a part."""
    update = summarize(model).update
    chosen: dict[str, bool | int | float] = {}
    for parameter in update.parameters if update else ():
        chosen[parameter.name] = parameter.default
        if parameter.name == "shuffle":
            chosen["shuffle"] = False
        if parameter.name == "miniBatchSize":
            chosen["miniBatchSize"] = min(parameter.allowed or (int(parameter.range[0]) if parameter.range else 1,))
    return {name: value for name, value in chosen.items() if name != "seed"}


@dataclass(frozen=True)
class _Rows:
    """Rows to predict, and rows to learn from, with their labels."""

    asked: Sequence[Any]
    learned: Sequence[Any]


def _after(model: RunnableModel, rows: _Rows, parameters: Mapping[str, bool | int | float]) -> tuple[Row, ...]:
    task = UpdateTask(model, rows.learned, parameters)
    return tuple(answer(one) for one in task.resume().model.predict(list(rows.asked)))


def _sensitive(
    model: RunnableModel,
    whole: _Rows,
    frozen: _Rows,
    parameters: Mapping[str, bool | int | float],
    expected: tuple[Row, ...],
) -> list[str]:
    """The assumptions of which another choice moves an answer after the update by more than is allowed."""
    found = []
    for assumption, known in choices().items():
        for choice in known[1:]:
            other = load(model, assumptions=assuming({assumption: choice}))
            rows = frozen if other.part == model.part else whole  # an assumption may change the fixed layers, too
            answers = _after(other, rows, parameters)
            if any(difference(one, two) > TOLERANCES.after for one, two in zip(expected, answers, strict=True)):
                found.append(assumption)
                break
    return found
