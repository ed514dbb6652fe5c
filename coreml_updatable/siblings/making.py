"""Make siblings of a model, prove that each trains as the model's update does, and only then write them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from coreml_updatable.converting.trial_rows import trial_rows
from coreml_updatable.errors import BuildError, ModelError
from coreml_updatable.files import expect_folder, write_all_atomically
from coreml_updatable.runtime import Row, RunnableModel, load
from coreml_updatable.siblings import executorch_program, onnxruntime_training
from coreml_updatable.siblings.description import described
from coreml_updatable.siblings.engines import ENGINE_NAMES
from coreml_updatable.siblings.learner import SiblingSource
from coreml_updatable.siblings.proof import TrainingAgreement, compared
from coreml_updatable.spec.messages import Model
from coreml_updatable.text import json_text
from coreml_updatable.typed import typed

ROWS = 10  # made up, for the proof
FILE = "sibling.json"


@dataclass(frozen=True)
class Sibling:
    """``files``: sizes in bytes by name, in ``folder``."""

    engine: str
    folder: Path
    files: Mapping[str, int]
    agreement: TrainingAgreement


MakeEngine = Callable[[SiblingSource, Path, Path, Path], Mapping[str, Any]]
ENGINES: dict[str, MakeEngine] = {"onnxruntime": onnxruntime_training.make, "executorch": executorch_program.make}


@typed
def make_siblings(
    model: RunnableModel | str | PathLike[str] | Model,
    folder: str | PathLike[str],
    engines: Sequence[str] = ENGINE_NAMES,
    rows: Sequence[Row] | None = None,
) -> list[Sibling]:
    """Write a sibling for each of ``engines`` into ``folder``/ENGINE.

    Each is trained by its engine beside the model's own update, on ``rows`` or made-up ones, and written only where
    weights and answers agree. ModelError where the model has no sibling, BuildError where an engine is not there,
    refuses, or trains otherwise.
    """
    source = SiblingSource(load(model))
    for engine in engines:
        if engine not in ENGINES:
            raise ModelError(f"siblings: there is no engine '{engine}'; there are {', '.join(ENGINES)}")
        expect_folder(Path(folder) / engine, error=BuildError, option="-o")
    proving = list(rows) if rows is not None else made_up_rows(source)
    return [
        _sibling(source, engine, Path(folder) / engine, proving, made_up=rows is None)
        for engine in dict.fromkeys(engines)
    ]


def _sibling(source: SiblingSource, engine: str, folder: Path, rows: Sequence[Row], *, made_up: bool) -> Sibling:
    with TemporaryDirectory(prefix="coreml_updatable.") as name:
        result, notes = Path(name), dict[str, Any]()

        def run(given: Path, trained: Path) -> None:
            notes.update(ENGINES[engine](source, result, given, trained))

        agreement = compared(source, rows, run, few_epochs(source) if made_up else None, made_up=made_up).expect(engine)
        contents = {path.name: path.read_bytes() for path in sorted(result.iterdir())}
    files = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
    }
    description = {"engine": engine, **described(source), **notes, "files": files, "agreement": asdict(agreement)}
    contents[FILE] = f"{json_text(description, indent=1)}\n".encode()
    write_all_atomically({folder / name: content for name, content in contents.items()})
    return Sibling(engine, folder, {name: len(content) for name, content in contents.items()}, agreement)


def made_up_rows(source: SiblingSource, count: int = ROWS) -> list[Row]:
    """Trial rows with every label in turn, or with random values."""
    random = np.random.default_rng(0)
    rows: list[Row] = []
    for index, row in enumerate(trial_rows(source.model.base, count)):
        target: Any = index % source.size
        if source.labels and source.loss.labels:
            target = source.labels[index % len(source.labels)]
        elif source.loss.cross_entropy:
            target = np.array([target], np.int32)
        else:
            target = random.standard_normal(source.size).astype(np.float32)
        rows.append({**row, source.loss.target: target})
    return rows


def few_epochs(source: SiblingSource) -> dict[str, Any]:
    """Two epochs, or as few as the model allows."""
    allowed = source.messages["epochs"]
    match allowed.WhichOneof("AllowedValues"):
        case "set":
            return {"epochs": min(int(value) for value in allowed.set.values)}
        case "range":
            return {"epochs": int(min(max(2, allowed.range.minValue), allowed.range.maxValue))}
    return {}
