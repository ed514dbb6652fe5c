"""What a model brings into a comparison: its learning part, and the embeddings of the data, computed once."""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from PIL import Image, ImageFilter

from coreml_updatable.data.inputs import Float32Array, Int64Array, UInt8Array
from coreml_updatable.data.rows.features import Features, Fit, features_of
from coreml_updatable.data.rows.reading import labelled_files, named, rows_of, training_rows
from coreml_updatable.errors import DataError, ModelError, UserError
from coreml_updatable.personalization.linear_heads import LinearLayer
from coreml_updatable.personalization.population import Style
from coreml_updatable.personalization.shared_neighbors import Votes
from coreml_updatable.runtime import FrozenRow, RunnableModel
from coreml_updatable.runtime.neighbors.classifier import NearestNeighborsModel
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.reserved_labels import reserved_labels
from coreml_updatable.updating import UpdateTask
from coreml_updatable.updating.assumptions import Assumptions, trained_under
from coreml_updatable.updating.task import LearningPart, learning_part

AT_A_TIME = 64
SIDE = 64  # of the small copies that reports show and duplicates are found in
Engine: TypeAlias = Literal["span", "adam", "neighbors", "task"]
Told: TypeAlias = Callable[[float, str], None]


def silent(fraction: float, detail: str) -> None:
    """Tell nobody."""
    del fraction, detail


@dataclass(frozen=True)
class RowOfData:
    """A row's name, label ("" without one, or of a kind that the models have none for) and kind."""

    name: str
    label: str
    kind: str


@dataclass(frozen=True)
class Contender:
    """A model as the engine trains it. ``engine``: how; "task": one UpdateTask after another, in the model itself."""

    name: str
    engine: Engine
    labels: tuple[str, ...]  # of its outputs; of a k-NN those of its samples, in their order
    reserved: tuple[str, ...]
    parameters: Mapping[str, Any]
    assumptions: Assumptions
    layer: LinearLayer | None = None
    samples: Float32Array | None = None
    sample_labels: tuple[str, ...] = ()
    votes: Votes | None = None
    replay: Int64Array | None = None  # rows of the data that every update is mixed with
    file: bytes = b""  # of the model, where a task trains it

    @property
    def is_knn(self) -> bool:
        return self.votes is not None

    def with_parameters(self, parameters: Mapping[str, Any]) -> "Contender":
        """The same with other values of its parameters."""
        return replace(self, parameters={**self.parameters, **parameters})


def contender(model: RunnableModel, name: str, part: LearningPart) -> Contender:
    """Return what of a model an update changes; ModelError where it learns no labels."""
    values = dict(UpdateTask(model, []).parameters)
    assumptions = trained_under(model.assumptions)
    member = part.member
    if isinstance(member, NearestNeighborsModel):
        uniform = member.base.kNearestNeighborsClassifier.WhichOneof("WeightingScheme") != "inverseDistanceWeighting"
        kept = tuple(str(label) for label in member.sample_labels)
        return Contender(
            name,
            "neighbors",
            tuple(dict.fromkeys(kept)),
            (),
            values,
            assumptions,
            samples=member.samples,
            sample_labels=kept,
            votes=Votes(uniform, member.assumptions),
        )
    reserved = tuple(str(label) for label in reserved_labels(model.message))
    labels = tuple(str(label) for label in part.labels)
    if not labels:
        raise ModelError(f"{name}: is not a classifier that learns labels; compare classifiers")
    if part.layer is None:
        return Contender(name, "task", labels, reserved, values, assumptions, file=model_bytes(model.message))
    layer = LinearLayer(part.layer.weights, part.layer.bias, part.layer.trained, part.layer.optimizer)
    engine: Engine = "span" if layer.optimizer == "sgdOptimizer" else "adam"
    return Contender(name, engine, labels, reserved, values, assumptions, layer)


@dataclass(frozen=True)
class Embedded:
    """The data as a model sees it. ``embeddings`` [V, n, D], a look each; ``frozen``: rows behind the fixed part."""

    rows: tuple[RowOfData, ...]
    embeddings: Float32Array
    frozen: tuple[tuple[FrozenRow, ...], ...]
    small: UInt8Array  # [n, SIDE, SIDE, 3] of pictures, else [0, ...]
    digests: tuple[bytes, ...]  # of what the model reads
    seconds: float  # in the fixed part


def enter(
    model: RunnableModel,
    name: str,
    data: Path,
    style: Style | None = None,
    seed: int = 0,
    fit: Fit = Fit.CENTRE_CROP,
    told: Told = silent,
) -> tuple[Contender, Embedded]:
    """Run every row of ``data`` through the fixed part of ``model``, in every look that the scenario has.

    ModelError for a model that does not learn labels, DataError for rows that do not fit it, and for embeddings that
    are not finite.
    """
    if not model.is_updatable:
        raise ModelError(f"{name}: is not updatable; mark it first")
    incoming = iter(data_rows(data, model, features_of(model.message, fit)))
    rows, digests, small = list[RowOfData](), list[bytes](), list[UInt8Array]()
    looks = range(1 + (style.count if style else 0))
    vectors: list[list[Float32Array]] = [[] for _ in looks]
    frozen: list[list[FrozenRow]] = [[] for _ in looks]
    part: LearningPart | None = None
    one: Contender | None = None
    seconds = 0.0
    while block := list(islice(incoming, AT_A_TIME)):
        for look in looks:
            given = [styled(row, style, look, seed, len(rows) + at) for at, (_, row) in enumerate(block)]
            started = time.perf_counter()
            try:
                kept = model.frozen(given)
                if part is None or one is None:
                    part = learning_part(model, kept[0])
                    one = contender(model, name, part)
            except UserError as error:
                raise named(error, [about.name for about, _ in block]) from error
            seconds += time.perf_counter() - started
            frozen[look] += kept
            if one.engine == "task":
                continue
            vectors[look].append(part.vectors(kept))
            _expect_finite(vectors[look][-1], block, name)
        for about, row in block:
            rows.append(about)
            digests.append(hashlib.blake2b(_content(row), digest_size=16).digest())
            small += _small(row)
        told(len(rows) / (len(rows) + 8 * AT_A_TIME), f"{name}: {len(rows)} rows")
    if one is None:
        raise DataError(f"{data}: holds no rows, expected some with labels; add them")
    told(1.0, f"{name}: {len(rows)} rows")
    stacked = [np.concatenate(look) if look else np.zeros((len(rows), 0), np.float32) for look in vectors]
    copies = np.stack(small) if len(small) == len(rows) else np.zeros((0, SIDE, SIDE, 3), np.uint8)
    kept_rows = tuple(tuple(look) for look in frozen)
    return one, Embedded(tuple(rows), np.stack(stacked), kept_rows, copies, tuple(digests), seconds)


def data_rows(data: Path, model: RunnableModel, features: Features) -> Iterable[tuple[RowOfData, Mapping[str, Any]]]:
    """Rows with what they are: of a folder ``label/file`` or ``label/kind/file``, or of a table with labels."""
    if data.is_dir():
        for folder, file in labelled_files(data, features):
            inside = file.relative_to(folder).parts
            kind = inside[0] if len(inside) > 1 else folder.name
            for name, row in rows_of(file, features):
                yield RowOfData(str(Path(name).relative_to(data)), folder.name, kind), row
        return
    names = {str(feature.name) for feature in model.description.input}
    for name, row in training_rows(data, model.message, features):
        target = next((value for key, value in row.items() if key not in names), None)
        if target is None:
            raise DataError(f"{name}: has no label; add the column that the model learns from")
        label = str(np.asarray(target).reshape(-1)[0])
        yield RowOfData(name, label, label), {key: value for key, value in row.items() if key in names}


def styled(row: Mapping[str, Any], style: Style | None, look: int, seed: int, number: int) -> Mapping[str, Any]:
    """The row with every picture in an owner's look: the look's own light, blur and crop; clutter of the picture's."""
    if style is None or look == 0:
        return row
    random = np.random.default_rng([seed, 3, look])
    brightness, blur, crop = (float(random.uniform(*ends)) for ends in (style.brightness, style.blur, style.crop))
    tint = random.uniform(0.85, 1.15, 3)
    clutter = np.random.default_rng([seed, 4, look, number])
    made = {
        name: _restyled(value, brightness * tint, blur, crop, style.background, clutter)
        if isinstance(value, Image.Image)
        else value
        for name, value in row.items()
    }
    if not any(isinstance(value, Image.Image) for value in row.values()):
        raise DataError("scenario: style is for pictures, the models read arrays; leave [style] out")
    return made


def _restyled(
    picture: Image.Image, light: Any, blur: float, crop: float, background: float, random: np.random.Generator
) -> Image.Image:
    width, height = picture.size
    across, down = round(width * crop), round(height * crop)
    left, top = (width - across) // 2, (height - down) // 2
    made = picture.crop((left, top, left + across, top + down)).resize((width, height), Image.Resampling.BILINEAR)
    if blur:
        made = made.filter(ImageFilter.GaussianBlur(blur * width))
    pixels = np.asarray(made, np.float32)
    pixels = pixels * (light if pixels.ndim == 3 else light.mean())
    border_x, border_y = round(width * background / 2), round(height * background / 2)
    if border_x or border_y:
        noise = random.integers(0, 256, (4, 4, *pixels.shape[2:])).astype(np.uint8)
        around = np.asarray(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC), np.float32)
        inside = np.zeros((height, width), bool)
        inside[border_y : height - border_y, border_x : width - border_x] = True
        pixels = np.where(inside[..., None] if pixels.ndim == 3 else inside, pixels, around)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


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
