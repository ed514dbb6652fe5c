"""All pictures of a build: for training, validation and test, and the owner's.

Each picture's place is decided by a hash of the seed, its kind and its name: the order of files, the platform and
numpy's version have no part in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from coreml_updatable.data.arrays import draw_arrays, to_array
from coreml_updatable.data.drawn import draw_pictures
from coreml_updatable.data.duplicates import groups_of
from coreml_updatable.data.folders import check_classes, list_folder, read_files, some_of
from coreml_updatable.data.folds import check_folds, folds_of
from coreml_updatable.data.inputs import Examples, Float32Array, ImageInput, Int64Array, Progress, UInt8Array, silent
from coreml_updatable.data.pictures import to_pixels
from coreml_updatable.data.public import find_collection, find_food101, list_food101, read_collection
from coreml_updatable.data.sample_code import called
from coreml_updatable.data.stored import StoredRows
from coreml_updatable.data.wanted import Owner, SampleFunction, Wanted
from coreml_updatable.errors import DataError

FEWEST_HELD_OUT = 2
FEWEST_TESTED = 100  # pictures of a test set; where it would be smaller, all are tested, by folds
FOLDS = 5


@dataclass(frozen=True)
class Dataset:
    """The owner's pictures carry the label the owner gives them; without an owner there are none."""

    train: Examples
    validation: Examples
    test: Examples
    owner_support: Examples  # to learn from, in the order of their hash
    owner_held_out: Examples  # never learned
    origin: str  # one plain sentence
    unreadable: tuple[str, ...]  # one sentence for each file that was left out
    # Of cross-validation, where the test set is the training set: the fold of each; else empty.
    folds: Int64Array = field(default_factory=lambda: np.zeros(0, np.int64))
    # Of each training row, then each validation row: equal where two are nearly the same picture; else empty.
    groups: Int64Array = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def to_learn(self) -> tuple[Examples, ...]:
        """Return the rows for a trial update: the first of these that is not empty."""
        return self.owner_support, self.validation, self.train


@dataclass(frozen=True)
class Pictures:
    """Everything that was found, not yet split; ``official`` as in ``split``."""

    values: UInt8Array | Float32Array  # [n, ...] as in ``Examples``
    kinds: tuple[str, ...]
    names: tuple[str, ...]
    official: tuple[bool | None, ...]
    origin: str
    unreadable: tuple[str, ...] = ()


def load_dataset(
    wanted: Wanted,
    *,
    folder: Path | None = None,
    draw: SampleFunction | None = None,
    load: SampleFunction | None = None,
    on_progress: Progress = silent,
    store: Path | None = None,
) -> Dataset:
    """The pictures from ``folder`` if one is given (class folders, or an extracted Food-101), else drawn by ``draw``,
    else a whole collection from ``load``, a function that gives (kind, name, PIL image) triples; where the input is a
    multi-array, arrays in the place of pictures. Many rows of a folder are kept in the file ``store``, if given."""
    if folder is not None:
        pictures = _from_folder(folder, wanted, on_progress, store)
    elif draw is not None:
        pictures = _drawn(draw, wanted, on_progress)
    elif load is not None:
        pictures = _loaded(load, wanted, on_progress)
    else:
        raise DataError("found no pictures, because the recipe does not draw or load any; pass a folder of photos")
    return arranged(pictures, wanted, str(folder) if folder is not None else "the sample's pictures")


def expect_enough_files(folder: Path, wanted: Wanted) -> None:
    """A DataError where no build can come of ``folder``, whatever its files hold: by names and counts alone, before
    any file is opened. What is wrong inside the files, ``load_dataset`` tells."""
    if isinstance(wanted.input, ImageInput) and (find_collection(folder) or find_food101(folder)) is not None:
        return
    photos = list_folder(folder, wanted).photos
    for owner in wanted.owners:
        _expect_enough_of(owner, sum(photo.kind == owner.kind for photo in photos), str(folder))
    base = [photo for photo in photos if wanted.label_of(photo.kind) is not None]
    labels = [str(wanted.label_of(photo.kind)) for photo in base]
    if wanted.by_folds:
        check_folds(wanted.labels, labels, np.arange(len(base)), str(folder))
        return
    kinds, names = [photo.kind for photo in base], [photo.name for photo in base]
    parts = split(kinds, names, wanted.test_share, wanted.validation_share, wanted.seed)
    check_enough(wanted.labels, labels, parts, str(folder))


def arranged(pictures: Pictures, wanted: Wanted, where: str) -> Dataset:
    """Split what was found; ``where`` begins the sentence if there is too little."""
    base = [index for index, kind in enumerate(pictures.kinds) if wanted.label_of(kind) is not None]
    kinds, names = [pictures.kinds[index] for index in base], [pictures.names[index] for index in base]
    official = [pictures.official[index] for index in base]
    groups = _groups(pictures, wanted)
    owners = [_owners(pictures, wanted, owner, where, groups) for owner in wanted.owners]
    support, held_out = [index for own, _ in owners for index in own], [index for _, own in owners for index in own]
    own_groups = groups[np.array(base, np.intp)]
    if wanted.by_folds and not any(official) and len(base) * wanted.test_share < FEWEST_TESTED:
        labels = [str(wanted.label_of(kind)) for kind in kinds]
        check_folds(wanted.labels, labels, own_groups, where)
        everything = _examples(pictures, wanted, base)
        return Dataset(
            train=everything,
            validation=_examples(pictures, wanted, []),
            test=everything,
            owner_support=_examples(pictures, wanted, support),
            owner_held_out=_examples(pictures, wanted, held_out),
            origin=pictures.origin,
            unreadable=pictures.unreadable,
            folds=folds_of(everything.labels, own_groups, FOLDS, wanted.seed),
            groups=own_groups,
        )
    parts = split(kinds, names, wanted.test_share, wanted.validation_share, wanted.seed, official)
    check_enough(wanted.labels, [str(wanted.label_of(kind)) for kind in kinds], parts, where)
    parts = _without_copies(parts, own_groups)
    return Dataset(
        train=_examples(pictures, wanted, [base[index] for index in parts.train]),
        validation=_examples(pictures, wanted, [base[index] for index in parts.validation]),
        test=_examples(pictures, wanted, [base[index] for index in parts.test]),
        owner_support=_examples(pictures, wanted, support),
        owner_held_out=_examples(pictures, wanted, held_out),
        origin=pictures.origin,
        unreadable=pictures.unreadable,
        groups=own_groups[np.array([*parts.train, *parts.validation], np.intp)],
    )


def _groups(pictures: Pictures, wanted: Wanted) -> Int64Array:
    """Who is nearly the same as whom; looked for where pictures of the user's are judged by few."""
    if not (wanted.by_folds and isinstance(wanted.input, ImageInput)):
        return np.arange(len(pictures.kinds))
    return groups_of(cast(UInt8Array, pictures.values))


def _without_copies(parts: "Split", groups: Int64Array) -> "Split":
    """``parts`` without the rows of validation and test that are nearly the same as a training row, which train too."""
    trained = {int(groups[row]) for row in parts.train}
    kept = [[row for row in part if int(groups[row]) not in trained] for part in (parts.validation, parts.test)]
    moved = [row for row in (*parts.validation, *parts.test) if int(groups[row]) in trained]
    return Split(tuple(sorted((*parts.train, *moved))), tuple(kept[0]), tuple(kept[1]))


def _owners(
    pictures: Pictures, wanted: Wanted, owner: Owner, where: str, groups: Int64Array
) -> tuple[list[int], list[int]]:
    mine = [index for index, kind in enumerate(pictures.kinds) if kind == owner.kind]
    mine.sort(key=lambda position: place_of(wanted.seed, owner.kind, pictures.names[position]))
    _expect_enough_of(owner, len(mine), where)
    support = mine[: owner.support]
    shown = {int(groups[index]) for index in support}
    others = [index for index in mine[owner.support :] if int(groups[index]) not in shown]
    if len(others) < FEWEST_HELD_OUT:
        raise DataError(
            f"{where}: all but {len(others)} pictures of the owner's kind {owner.kind!r} are nearly the same as those "
            "to learn from; add others"
        )
    return support, others[: owner.held_out]


def _expect_enough_of(owner: Owner, count: int, where: str) -> None:
    if count < owner.support + FEWEST_HELD_OUT:
        raise DataError(
            f"{where}: the owner's kind {owner.kind!r} has {count} usable picture{'s' * (count != 1)}, "
            f"at least {owner.support + FEWEST_HELD_OUT} are needed ({owner.support} to learn from, "
            f"{FEWEST_HELD_OUT} or more never shown); add pictures or lower personalization.shots"
        )


def _examples(pictures: Pictures, wanted: Wanted, positions: Sequence[int]) -> Examples:
    kinds = tuple(pictures.kinds[position] for position in positions)
    labels = np.array([wanted.index_of(kind) for kind in kinds], dtype=np.int64)
    names = tuple(pictures.names[position] for position in positions)
    every: Any = pictures.values
    rows = np.array(positions, dtype=np.intp)
    values: Any = every.part(rows) if isinstance(every, StoredRows) else every[rows]
    return Examples(values, labels, names, kinds)


def _from_folder(folder: Path, wanted: Wanted, on_progress: Progress, store: Path | None) -> Pictures:
    pictures = isinstance(wanted.input, ImageInput)
    collection = find_collection(folder) if pictures else None
    if collection is not None:
        return _collected(folder, wanted, collection)
    food101 = find_food101(folder) if pictures else None
    listing = list_food101(food101, wanted) if food101 is not None else list_folder(folder, wanted)
    chosen = listing.photos if food101 is not None else some_of(listing.photos, wanted.maximum_per_kind)
    read = read_files(chosen, wanted.input, on_progress, store)
    photos = read.photos
    unreadable = (*listing.skipped, *read.skipped)
    what = "photos of Food-101 (with its own test set)" if food101 is not None else "photos"
    what = what if pictures else "files"
    kinds = {photo.kind for photo in photos}
    origin = f"{len(photos)} {what} from the folder {folder.resolve().name}, of {len(kinds)} kinds"
    if unreadable:
        origin += f"; {len(unreadable)} {'file' if len(unreadable) == 1 else 'files'} left out"
    for change, count in sorted(read.changed.items()):
        origin += f"; {count} {change}"
    return Pictures(
        read.values,
        tuple(photo.kind for photo in photos),
        tuple(photo.name for photo in photos),
        tuple(photo.test for photo in photos),
        f"{origin}.",
        unreadable,
    )


def _collected(folder: Path, wanted: Wanted, what: str) -> Pictures:
    assert isinstance(wanted.input, ImageInput)
    adapt = wanted.adapt.load() if wanted.adapt is not None else None
    every = read_collection(folder, wanted.maximum_per_kind, adapt)
    result = [item for item in every if item[0] in wanted.known()]
    kinds = {item[0] for item in result}
    check_classes(kinds, folder, wanted)
    return Pictures(
        np.stack([to_pixels(picture, wanted.input) for _, _, picture, _ in result]),
        tuple(kind for kind, _, _, _ in result),
        tuple(name for _, name, _, _ in result),
        tuple(test for _, _, _, test in result),
        f"{len(result)} {what} from the folder {folder.resolve().name}, of {len(kinds)} kinds.",
        tuple(f"{kind}: is not a kind of the recipe" for kind in sorted({item[0] for item in every} - kinds)),
    )


def _drawn(draw: SampleFunction, wanted: Wanted, on_progress: Progress) -> Pictures:
    counts = [(kind, wanted.drawn_per_kind) for kind in wanted.drawn_kinds]
    owners = wanted.owners
    counts += [(owner.kind, owner.support + owner.held_out) for owner in owners]
    values: UInt8Array | Float32Array
    if isinstance(wanted.input, ImageInput):
        values, said = draw_pictures(draw, counts, wanted.input, on_progress), "Drawn by a program, not photographed:"
    else:
        values, said = draw_arrays(draw, counts, wanted.input, on_progress), "Drawn by a program:"
    kinds = tuple(kind for kind, count in counts for _ in range(count))
    names = tuple(f"{kind} {index}" for kind, count in counts for index in range(count))
    shown = ", ".join(wanted.drawn_kinds)
    origin = f"{said} {wanted.drawn_per_kind} pictures each of {shown}"
    if owners:
        each = "each of " if len(owners) > 1 else "of "
        shown = ", ".join(owner.kind for owner in owners)
        origin += f", and {owners[0].support + owners[0].held_out} {each}{shown} for the owner"
    return Pictures(values, kinds, names, (None,) * len(names), f"{origin}.")


def _is_row(item: tuple[Any, ...], kind: type) -> bool:
    return len(item) == 3 and isinstance(item[0], str) and isinstance(item[1], str) and isinstance(item[2], kind)


def _loaded(load: SampleFunction, wanted: Wanted, on_progress: Progress) -> Pictures:
    function = load.load()
    items: list[Any] = called(f"{load.reference}: loading", lambda: list(function()))
    known = {*wanted.kinds, *(owner.kind for owner in wanted.owners)}
    kind_of_value, value_words = (
        (Image.Image, "PIL image") if isinstance(wanted.input, ImageInput) else (np.ndarray, "array")
    )
    by_kind: dict[str, list[tuple[str, Any]]] = {}
    for item in items:
        if not isinstance(item, tuple) or not _is_row(item, kind_of_value):
            raise DataError(
                f"{load.reference}: returned {item!r:.60}, expected (kind, name, {value_words}); correct it"
            )
        if item[0] not in known:
            raise DataError(
                f"{load.reference}: returned the kind {item[0]!r}, expected one of {sorted(known)}; correct it"
            )
        by_kind.setdefault(item[0], []).append(item[1:])
    values: list[Any] = []
    kinds: list[str] = []
    names: list[str] = []
    for kind in sorted(by_kind):
        members = sorted(by_kind[kind], key=lambda member: place_of(wanted.seed, kind, member[0]))
        for name, value in members[: wanted.maximum_per_kind]:
            if isinstance(wanted.input, ImageInput):
                values.append(to_pixels(value, wanted.input))
            else:
                values.append(to_array(value, wanted.input, f"{load.reference}: {name}"))
            kinds.append(kind)
            names.append(name)
    if not values or len(set(zip(kinds, names, strict=True))) != len(names):
        raise DataError(
            f"{load.reference}: returned no pictures, or two with the same name, expected unique names; correct it"
        )
    what = "pictures" if isinstance(wanted.input, ImageInput) else "sounds" if wanted.input.sample_rate else "rows"
    on_progress("data", 1.0, f"{len(values)} {what} loaded")
    origin = f"{len(values)} {what} of {len(by_kind)} kinds, from the sample's own collection."
    return Pictures(np.stack(values), tuple(kinds), tuple(names), (None,) * len(names), origin)


FEWEST = 3  # pictures of a label: one to train, one to validate, one to test


@dataclass(frozen=True)
class Split:
    """Positions in the given order, rising; no position in two of them."""

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]


def split(
    kinds: Sequence[str],
    names: Sequence[str],
    test_share: float,
    validation_share: float,
    seed: int,
    official: Sequence[bool | None] = (),
) -> Split:
    """Split each kind by itself, so that all have the same shares.

    From three pictures on, a kind has at least one in each part; with fewer, all train. ``official`` says of each
    picture whether its collection keeps it for testing (None: it says nothing).
    """
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for kind in sorted(set(kinds)):
        members = [position for position, its_kind in enumerate(kinds) if its_kind == kind]
        members.sort(key=lambda position: place_of(seed, kind, names[position]))
        if official and any(official[position] is not None for position in members):
            test = [position for position in members if official[position]]
            rest = [position for position in members if not official[position]]
            held_back = _share(len(rest), validation_share) if len(rest) > 1 else 0
        else:
            count = _share(len(members), test_share) if len(members) >= FEWEST else 0
            test, rest = members[:count], members[count:]
            held_back = min(_share(len(members), validation_share), len(rest) - 1) if count else 0
        parts[0].extend(rest[held_back:])
        parts[1].extend(rest[:held_back])
        parts[2].extend(test)
    return Split(*(tuple(sorted(part)) for part in parts))


def check_enough(labels: Sequence[str], kinds: Sequence[str], parts: Split, where: str) -> None:
    """A DataError unless each of ``labels`` has pictures in all three parts; ``kinds`` gives each picture's label."""
    for label in labels:
        for part in (parts.train, parts.validation, parts.test):
            if not any(kinds[position] == label for position in part):
                count = sum(kind == label for kind in kinds)
                raise DataError(
                    f"{where}: the label {label!r} has {count} usable picture{'s' * (count != 1)}, "
                    f"expected at least {FEWEST} of one kind (for training, validation and test), "
                    "better 50 or more; add pictures"
                )


def place_of(seed: int, kind: str, name: str) -> bytes:
    """Return the position of a picture within its kind: pseudorandom, but always the same."""
    return sha256(f"{seed}\0{kind}\0{name}".encode("utf-8", "surrogatepass")).digest()


def _share(count: int, share: float) -> int:
    return max(1, min(round(count * share), count - 2))
