"""From a folder of photos to a recipe: what is in it, what it lets one expect, and a commented recipe.toml."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coreml_updatable.data.duplicates import groups_of
from coreml_updatable.data.folders import class_folders, files_below, stays_inside
from coreml_updatable.data.folds import FEWEST_DIFFERENT
from coreml_updatable.data.inputs import ImageInput, Int64Array, Progress, silent
from coreml_updatable.data.pictures import calm_decoders, decode, picture_size
from coreml_updatable.errors import DataError, RecipeError
from coreml_updatable.text import did_you_mean, is_name

BACKBONE, SIDE = "efficientnet_lite0", 224
FEW = 20  # photos of a class below which more are advised
LOST = 0.4  # of a photo, cut off by the crop to its middle
OFTEN = 0.1  # of the photos
SMALL = 64  # pixels of the copies that are compared
SHOTS = (1, 2, 3, 5, 10)
NAMED, REASONS = 3, 10  # files that are named for one reason to leave them out; reasons that are told
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True)
class Looked:
    """What was found in the folder: photos of each class, and what to know of them, a sentence each."""

    counts: Mapping[str, int]
    fit: str
    notes: tuple[str, ...]


def proposal(
    name: str, folder: Path, owner: Sequence[str] = (), place: Path | None = None, on_progress: Progress = silent
) -> tuple[str, Looked]:
    """The text of a recipe.toml for the photos in ``folder``, one class a folder, and what was found.

    ``owner`` holds "KIND=LABEL": a class that the base never learns, and what the owner calls it. ``place`` is the
    folder of the recipe, from which ``folder`` is named. Raises RecipeError for a name or an owner that cannot be,
    DataError for a folder that is no collection of classes.
    """
    if not NAME.fullmatch(name):
        other = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")
        such = f", such as {other!r}" if NAME.fullmatch(other) else ""
        raise RecipeError(f"{name!r}: expected a letter, then at most 63 letters, digits and underscores{such}")
    if folder.is_dir():  # before the photos, which take long
        _owners(owner, dict.fromkeys((place.name for place in class_folders(folder)), 1))
    looked = look(folder, on_progress)
    owners = _owners(owner, looked.counts)
    labels = [kind for kind in looked.counts if kind not in owners]
    if len(labels) < 2:
        raise DataError(
            f"{folder}: its classes for the base are {', '.join(labels) or 'none'}, expected at least two folders; "
            "add one"
        )
    return _text(name, folder.resolve(), owners, labels, looked, (place or Path.cwd()).resolve()), looked


def look(folder: Path, on_progress: Progress = silent) -> Looked:
    """Open every picture of every class folder, small; classes too small for a build are left out.

    Raises DataError where there is no picture.
    """
    if not folder.is_dir():
        result = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{folder}: {result}, expected a folder with one folder per class; check the path")
    target = ImageInput("image", SMALL, SMALL, "rgb")
    pictures, kinds, names, notes, lost = [], [], [], list[str](), 0
    counts: dict[str, int] = {}
    left_out: dict[str, list[str]] = {}  # of each reason, the files
    places = class_folders(folder)
    files = [(place.name, path) for place in places for path in files_below(place)]
    with calm_decoders():
        for place in places:
            _expect_name(place)
        for done, (kind, path) in enumerate(files, start=1):
            shown = path.relative_to(folder).as_posix()
            try:
                if not stays_inside(path, folder):
                    raise DataError(f"{path}: is a link to a place outside the folder; copy the picture there")
                width, height = picture_size(path)
                pixels = decode(path, target)
            except DataError as error:
                left_out.setdefault(str(error).removeprefix(f"{path}: "), []).append(shown)
            else:
                lost += 1 - min(width, height) / max(width, height) > LOST
                pictures.append(pixels)
                kinds.append(kind)
                names.append(shown)
                counts[kind] = counts.get(kind, 0) + 1
            on_progress("photos", done / len(files), f"{done} of {len(files)} files looked at")
    if not counts:
        raise DataError(f"{folder}: {_nothing(folder, left_out)}")
    notes += [
        f"{place.name}: holds no picture that can be read; it is left out"
        for place in places
        if place.name not in counts
    ]
    fit = "scaleFill" if lost > OFTEN * len(pictures) else "centerCrop"
    if fit == "scaleFill":
        notes.append(
            f"{lost} of {len(pictures)} photos are so long that a crop to the middle cuts off more than {LOST:.0%}: "
            "the recipe proposes scaleFill, which the app must ask Vision for, too"
        )
    notes += _left_out(left_out)
    groups = groups_of(np.stack(pictures))
    for kind, count in tuple(counts.items()):
        different = len({group for group, its in zip(groups, kinds, strict=True) if its == kind})
        if different < FEWEST_DIFFERENT:
            result = "1 photo" if count == 1 else f"{count} photos that are nearly the same"
            notes.append(
                f"{kind}: {result}, and a build needs {FEWEST_DIFFERENT} that differ; it is left out: add some and "
                "write the recipe again"
            )
            del counts[kind]
        elif different < FEW:
            notes.append(f"{kind}: {different} photos{' that differ' * (different < count)}; {FEW} or more are better")
    return Looked(counts, fit, (*notes, *_doubles(groups, kinds, names)))


def _nothing(folder: Path, left_out: Mapping[str, Sequence[str]]) -> str:
    """Why no picture was found."""
    if left_out:
        reason, files = next(iter(left_out.items()))
        return (
            f"none of the {sum(map(len, left_out.values()))} files in its folders can be read as a photo; {files[0]}: "
            f"{reason}. For sounds and numbers, write a recipe as those in sample_models/"
        )
    loose = sum(path.is_file() for path in folder.iterdir())
    result = f"contains {loose} {'file' if loose == 1 else 'files'} but no folders" if loose else "contains no folders"
    return f"{result} with pictures, expected one folder per class; sort the pictures into such folders"


def _left_out(files_by_reason: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence for each reason that files were left out for, the most frequent ones first."""
    ordered = sorted(files_by_reason.items(), key=lambda item: -len(item[1]))
    notes = []
    for reason, files in ordered[:REASONS]:
        more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
        notes.append(f"left out: {', '.join(files[:NAMED])}{more}: {'each ' * (len(files) > 1)}{reason}")
    rest = sum(len(files) for _, files in ordered[REASONS:])
    return [*notes, f"left out: {rest} more, each for another reason"] if rest else notes


def _doubles(groups: Int64Array, kinds: list[str], names: list[str]) -> list[str]:
    """What is nearly the same, in a sentence for each pair of classes."""
    shared: dict[tuple[str, ...], list[str]] = {}
    notes, alike = [], 0
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        alike += len(members) - 1
        among = tuple(sorted({kinds[row] for row in members}))
        if len(among) > 1:
            firsts = [next(names[row] for row in members if kinds[row] == kind) for kind in among]
            shared.setdefault(among, []).append(" and ".join(firsts))
    for among, examples in shared.items():
        photos = "1 photo is" if len(examples) == 1 else f"{len(examples)} photos are"
        notes.append(
            f"{photos} nearly the same in {' and '.join(among)}, such as {examples[0]}: no model can tell these "
            "apart; keep each in one class, or make the classes one"
        )
    if alike:
        notes.append(
            f"{alike} of {len(names)} photos {'is' if alike == 1 else 'are'} nearly the same as another; they stay "
            "together in every split"
        )
    return notes


def _expect_name(place: Path) -> None:
    if not is_name(place.name) or len(place.name) > 200:
        raise DataError(
            f"{place.name!r}: a folder's name becomes a label, expected at most 200 characters without line breaks and "
            "control characters; rename it"
        )


def _owners(owner: Sequence[str], counts: Mapping[str, int]) -> dict[str, str]:
    result: dict[str, str] = {}
    for given in owner:
        kind, equals, label = given.partition("=")
        if not equals:
            raise RecipeError(f"--owner {given}: expected KIND=LABEL")
        for name, what in ((kind, "the owner's kind"), (label, "its label")):
            if name not in counts:
                question = did_you_mean(name, counts) or f"the classes are {', '.join(counts)}"
                raise RecipeError(f"--owner {given}: {what} {name!r} is not a usable class of the folder; {question}")
        if kind == label:
            raise RecipeError(f"--owner {given}: {kind!r} already is the label; name another label")
        result[kind] = label
    for kind, label in result.items():
        if label in result:
            raise RecipeError(f"--owner {kind}={label}: the base never learns {label!r}, which is the owner's too")
    return result


def _shots(count: int) -> tuple[int, ...]:
    """Numbers of shots that leave two thirds of the owner's photos to be judged on, and at least two."""
    return tuple(shot for shot in SHOTS if shot <= max(1, min(count - 2, count // 3)))


def _text(
    name: str, folder: Path, owners: Mapping[str, str], labels: Sequence[str], looked: Looked, place: Path
) -> str:
    listed = f"{', '.join(labels[:-1])} and {labels[-1]}"[:450]
    kinds = "\n".join(f"{_quoted(label)} = {_quoted(label)}" for label in labels)
    counted = ", ".join(f"{count} {kind}" for kind, count in looked.counts.items())
    named = Path(os.path.relpath(folder, place))
    text = f"""# {name}: {listed}. Written by `coreml-updatable new`.
# {counted}. Every field: docs/recipes.md
name = {_quoted(name)}
labels = [{", ".join(map(_quoted, labels))}]
seed = 0                               # the same seed and photos give the same bytes

[input]
name = "image"
width = {SIDE}                            # what the backbone was trained on
height = {SIDE}
color = "rgb"
fit = {_quoted(looked.fit)}                     # as VNImageCropAndScaleOption: centerCrop, scaleFill or scaleFit
description = "A photo."

[source]
converter = "torch"
architecture = "{BACKBONE}"    # or torchvision:NAME, timm:NAME
weights = "pretrained"                 # on ImageNet; the head is fitted on your photos

[data]
folder = {_quoted(named.as_posix())}   # your photos, one folder a class; --data names another

[data.kinds]                           # folder = label; several folders may share a label
{kinds}

[update]                               # what the app may change at run time, and its ranges
optimizer = "sgd"
learning_rate = {{ default = 0.01, range = [0.0001, 1.0] }}
mini_batch_size = {{ default = 1, allowed = [1, 2, 4, 8, 16, 32] }}
epochs = {{ default = 10, range = [1, 100] }}

[knn]                                  # the second model: it learns by remembering
weighting = "inverse-distance"         # neighbors and samples are chosen from your photos
"""
    if owners:
        pairs = "\n".join(f"{_quoted(kind)} = {_quoted(label)}" for kind, label in owners.items())
        least = min(looked.counts[kind] for kind in owners)
        text += f"""
[personalization]                      # a simulated owner; leave it out and the report is about the base only
shots = [{", ".join(map(str, _shots(least)))}]
held_out = {max(2, least - _shots(least)[-1])}                          # photos of each kind that are never learned

[personalization.kinds]                # the base never sees these; the owner's label for each
{pairs}
"""
    return f"""{text}
[metadata]                             # shown by Xcode; yours to fill in
author = ""
license = ""
version = "1.0"
description = {_quoted(f"Distinguishes {listed}, and can be updated on the device.")}
"""


def _quoted(text: str) -> str:
    """A basic string of TOML."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
