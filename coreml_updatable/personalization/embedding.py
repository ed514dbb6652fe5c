"""The data as a model's fixed part sees it, computed once."""

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from coreml_updatable.data.inputs import Fit, Float32Array, UInt8Array
from coreml_updatable.data.rows.features import Features, features_of
from coreml_updatable.data.rows.reading import labelled_files, named, rows_of, training_rows
from coreml_updatable.errors import DataError, ModelError, UserError
from coreml_updatable.personalization import embedding_cache
from coreml_updatable.personalization.contenders import Contender, StageProgress, contender, silent
from coreml_updatable.personalization.population import Style
from coreml_updatable.personalization.styles import styled
from coreml_updatable.runtime import FrozenRow, RunnableModel, reference
from coreml_updatable.runtime.engine import engine_cache
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.updating.task import learning_part

AT_A_TIME = 64
SIDE = 64  # of the small copies that reports show and duplicates are found in


@dataclass(frozen=True)
class RowOfData:
    """A row's name, label ("" without one, or of a kind that the models have none for) and kind."""

    name: str
    label: str
    kind: str


@dataclass(frozen=True)
class Embedded:
    """The data as a model sees it. ``embeddings`` [V, n, D], a look each; ``frozen``: of a model that only tasks train,
    its rows behind the fixed part in every look, else nothing: see ``frozen_rows``."""

    rows: tuple[RowOfData, ...]
    embeddings: Float32Array
    frozen: tuple[tuple[FrozenRow, ...], ...]
    small: UInt8Array  # [n, SIDE, SIDE, 3] of pictures, else [0, ...]
    digests: tuple[bytes, ...]  # of what the model reads


def enter(
    model: RunnableModel,
    name: str,
    data: Path,
    style: Style | None = None,
    seed: int = 0,
    fit: Fit | None = None,
    on_progress: StageProgress = silent,
) -> tuple[Contender, Embedded]:
    """Run every row of ``data`` through the fixed part of ``model``, in every look that the scenario has.

    What an earlier run found of the same model and the same files is taken from the user's cache directory.
    ModelError for a model that does not learn labels, DataError for rows that do not fit it, and for embeddings that
    are not finite.
    """
    if not model.is_updatable:
        raise ModelError(f"{name}: is not updatable; mark it first")
    features = features_of(model.message, fit)
    files = labelled_files(data, features) if data.is_dir() else None
    incoming = iter(data_rows(data, model, features))
    try:
        first = next(incoming, None)
    except UserError as error:
        raise named(error, []) from error
    if first is None:
        raise DataError(f"{data}: holds no rows, expected some with labels; add them")
    reader = _Reader(model, name, style, seed, first)
    if files is None:
        for about, row in chain([first], incoming):
            reader.add(about, row)
        on_progress(1.0, f"{name}: {len(reader.rows)} rows")
        return reader.one, reader.embedded()
    key = engine_cache.key_of([model_bytes(model.message), repr((features.fit, style, seed if style else 0))])
    known = embedding_cache.kept(key) if reader.one.engine != "task" else {}
    spans: list[tuple[bytes, int, int, str]] = []
    for index, (folder, file) in enumerate(files):
        start, about = len(reader.rows), _about(data, folder, file)
        of_file = embedding_cache.file_key(file, start if style is not None else None)
        if of_file in known:
            names = [about.name + end for end in known[of_file].suffixes]
            reader.recall(known[of_file], [replace(about, name=name) for name in names])
        else:
            for own, row in rows_of(file, features):
                reader.add(replace(about, name=str(Path(own).relative_to(data))), row)
        spans.append((of_file, start, len(reader.rows), about.name))
        on_progress((index + 1) / (len(files) + 1), f"{name}: {len(reader.rows)} rows")
    result = reader.embedded()
    if reader.one.engine != "task" and any(span[0] not in known for span in spans):
        embedding_cache.keep(key, {span[0]: _of_file(result, *span[1:]) for span in spans})
    on_progress(1.0, f"{name}: {len(result.rows)} rows")
    return reader.one, result


def _about(data: Path, folder: Path, file: Path) -> RowOfData:
    """What a file ``label/file`` or ``label/kind/file`` of ``data`` holds."""
    inside = file.relative_to(folder).parts
    return RowOfData(str(file.relative_to(data)), folder.name, inside[0] if len(inside) > 1 else folder.name)


def _of_file(result: Embedded, start: int, end: int, shown: str) -> embedding_cache.OfFile:
    return embedding_cache.OfFile(
        tuple(row.name[len(shown) :] for row in result.rows[start:end]),
        result.digests[start:end],
        result.small[start:end],
        result.embeddings[:, start:end],
    )


class _Reader:
    """Rows of the data run through a model's fixed part, a block at a time; ``first``: a row, for the shapes."""

    def __init__(
        self,
        model: RunnableModel,
        name: str,
        style: Style | None,
        seed: int,
        first: tuple[RowOfData, Mapping[str, Any]],
    ) -> None:
        self._model, self._name, self._style, self._seed = model, name, style, seed
        try:
            self._part = learning_part(model, model.frozen([first[1]])[0])
        except UserError as error:
            raise named(error, [first[0].name]) from error
        self.one = contender(model, name, self._part)
        self.rows: list[RowOfData] = []
        self._digests, self._small = list[bytes](), list[UInt8Array]()
        self._looks = 1 + (style.count if style else 0)
        self._vectors: list[list[Float32Array]] = [[] for _ in range(self._looks)]
        self._frozen: list[list[FrozenRow]] = [[] for _ in range(self._looks)]
        self._waiting: list[tuple[RowOfData, Mapping[str, Any]]] = []

    def add(self, about: RowOfData, row: Mapping[str, Any]) -> None:
        """Take a row that was read."""
        self.rows.append(about)
        self._digests.append(hashlib.blake2b(_content(row), digest_size=embedding_cache.DIGEST).digest())
        self._small += _small(row)
        self._waiting.append((about, row))
        if len(self._waiting) == AT_A_TIME:
            self._run()

    def recall(self, kept: embedding_cache.OfFile, rows: Sequence[RowOfData]) -> None:
        """Take the rows of a file that an earlier run read."""
        self._run()
        self.rows += rows
        self._digests += kept.digests
        self._small += list(kept.small)
        for look, vectors in zip(self._vectors, kept.vectors, strict=True):
            look.append(vectors)

    def _run(self) -> None:
        block, self._waiting = self._waiting, []
        first = len(self.rows) - len(block)
        for look in range(self._looks if block else 0):
            given = [styled(row, self._style, look, self._seed, first + place) for place, (_, row) in enumerate(block)]
            try:
                kept = self._model.frozen(given)
            except UserError as error:
                raise named(error, [about.name for about, _ in block]) from error
            if self.one.engine == "task":
                self._frozen[look] += kept
            self._vectors[look].append(self._part.vectors(kept))
            _expect_finite(self._vectors[look][-1], block, self._name)

    def embedded(self) -> Embedded:
        """Everything that was taken."""
        self._run()
        count = len(self.rows)
        empty = np.zeros((count, 0), np.float32)
        return Embedded(
            tuple(self.rows),
            np.stack([np.concatenate(look) if look else empty for look in self._vectors]),
            tuple(tuple(look) for look in self._frozen),
            np.stack(self._small) if len(self._small) == count else np.zeros((0, SIDE, SIDE, 3), np.uint8),
            tuple(self._digests),
        )


def frozen_rows(
    model: RunnableModel, data: Path, wanted: Iterable[tuple[int, int]], style: Style | None, seed: int, fit: Fit | None
) -> "FixedPart":
    """Some rows behind the fixed part, and what a row costs there."""
    features, asked = features_of(model.message, fit), sorted(set(wanted))
    rows = _some_rows(data, model, features, {row for _, row in asked})
    result: tuple[dict[int, FrozenRow], ...] = tuple({} for _ in range(1 + (style.count if style else 0)))
    given = [styled(rows[row], style, look, seed, row) for look, row in asked]
    started = time.perf_counter()
    for (look, row), frozen in zip(asked, model.frozen(given), strict=True):
        result[look][row] = frozen
    seconds = (time.perf_counter() - started) / max(1, len(asked))
    return FixedPart(result, seconds, multiply_adds(model, given[0]))


@dataclass(frozen=True)
class FixedPart:
    """``rows``: behind it, by look and number. ``seconds`` and ``operations``, multiply-adds, of one row in it."""

    rows: tuple[dict[int, FrozenRow], ...]
    seconds: float
    operations: int


def multiply_adds(model: RunnableModel, row: Mapping[str, Any]) -> int:
    """Of the products and convolutions that the fixed part computes for a row, as torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    with reference(), FlopCounterMode(display=False) as counter:
        model.frozen([row])
    return int(counter.get_total_flops()) // 2


def _some_rows(data: Path, model: RunnableModel, features: Features, wanted: set[int]) -> dict[int, Mapping[str, Any]]:
    if not (data.is_dir() and features.has_pictures):
        return {index: row for index, (_, row) in enumerate(data_rows(data, model, features)) if index in wanted}
    files = labelled_files(data, features)  # of pictures, a row each
    return {index: next(iter(rows_of(files[index][1], features)))[1] for index in wanted}


def data_rows(data: Path, model: RunnableModel, features: Features) -> Iterable[tuple[RowOfData, Mapping[str, Any]]]:
    """Rows with what they are: of a folder ``label/file`` or ``label/kind/file``, or of a table with labels."""
    if data.is_dir():
        for folder, file in labelled_files(data, features):
            for name, row in rows_of(file, features):
                yield replace(_about(data, folder, file), name=str(Path(name).relative_to(data))), row
        return
    names = {str(feature.name) for feature in model.description.input}
    for name, row in training_rows(data, model.message, features):
        target = next((value for key, value in row.items() if key not in names), None)
        if target is None:
            raise DataError(f"{name}: has no label; add the column that the model learns from")
        label = str(np.asarray(target).reshape(-1)[0])
        yield RowOfData(name, label, label), {key: value for key, value in row.items() if key in names}


def listed_rows(data: Path, model: RunnableModel, features: Features) -> list[RowOfData] | None:
    """What the rows of ``data`` are, before a picture is read; None where a table holds pictures."""
    if not data.is_dir():
        return None if features.has_pictures else [about for about, _ in data_rows(data, model, features)]
    result = []
    for folder, file in labelled_files(data, features):
        count = 1 if features.has_pictures else sum(1 for _ in rows_of(file, features))
        result += [_about(data, folder, file)] * count
    return result


def _expect_finite(vectors: Float32Array, block: Sequence[tuple[RowOfData, Any]], name: str) -> None:
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise DataError(
            f"{block[bad[0]][0].name}: its embedding by {name} has NaN or infinite values, expected finite ones; leave "
            "the row out, or check the model's weights"
        )


def _content(row: Mapping[str, Any]) -> bytes:
    return b"".join(
        name.encode() + str(np.asarray(value).shape).encode() + np.asarray(value).tobytes()
        for name, value in sorted(row.items())
        if not isinstance(value, Mapping)
    )


def _small(row: Mapping[str, Any]) -> list[UInt8Array]:
    pictures = [value for value in row.values() if isinstance(value, Image.Image)]
    return [
        np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), np.uint8)
        for picture in pictures[:1]
    ]
