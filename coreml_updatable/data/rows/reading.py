"""From what the command line names to rows, each with the name it has in answers and errors."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from coreml_updatable import bounds
from coreml_updatable.data.arrays import mapped
from coreml_updatable.data.rows.features import Features, kind, label_of, target_of
from coreml_updatable.data.rows.pictures import SUFFIXES, picture_of, pictures_in
from coreml_updatable.data.rows.tables import csv_rows, json_rows
from coreml_updatable.data.sound import ENDINGS
from coreml_updatable.errors import DataError, UserError
from coreml_updatable.spec.features import BGR, RGB
from coreml_updatable.spec.messages import FeatureDescription, Model

ROW = re.compile(r"^row (\d+): ")


def named(error: UserError, names: Sequence[str]) -> UserError:
    """The same error; ``names`` are those of the rows it counts."""
    text = str(error)
    match = ROW.match(text)
    if match is None or int(match[1]) >= len(names):
        return error
    return type(error)(f"{names[int(match[1])]}: {text[match.end() :]}")


COPIES = 3  # of a row, until a model has read it


def array_rows(path: Path, features: Features) -> Iterator[tuple[str, dict[str, Any]]]:
    """One row, or rows along the first axis, by the rank of the model's one input."""
    feature = features.the_array(str(path))
    array = mapped(path)
    rank = _rank(feature)
    if array.ndim not in (rank, rank + 1):
        raise DataError(
            f"{path}: has the shape {list(array.shape)}, expected {rank} axes for one row of '{feature.name}' or "
            f"{rank + 1} for many; reshape it"
        )
    size = array.nbytes if array.ndim == rank else array.nbytes // max(1, len(array))
    bounds.expect(COPIES * size, f"{path}: a row")
    if array.ndim == rank:
        yield str(path), {feature.name: np.array(array)}
    else:
        for index, row in enumerate(array):
            yield f"{path}[{index}]", {feature.name: np.array(row)}


def arrays_in(folder: Path) -> list[Path]:
    """The .npy files in a folder and those below it, by name. Hidden files are passed over."""
    result = (path for path in folder.rglob("*.npy") if path.is_file())
    return sorted(path for path in result if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _rank(feature: FeatureDescription) -> int:
    match kind(feature):
        case "imageType":
            return 3 if feature.type.imageType.colorSpace in (RGB, BGR) else 2
        case "multiArrayType":
            return max(1, len(feature.type.multiArrayType.shape))
    return 0


TABLES = {".npy": array_rows, ".json": json_rows, ".csv": csv_rows}


def sources(path: Path, features: Features) -> list[Path]:
    """The files that a path stands for: itself, or the pictures in a folder; .npy files where no picture is read."""
    if not path.is_dir():
        return [path]
    files = pictures_in(path) if features.has_pictures else arrays_in(path)
    if not files:
        what = f"pictures ({', '.join(sorted(SUFFIXES))})" if features.has_pictures else ".npy files"
        raise DataError(f"{path}: contains no {what}; choose another folder")
    return files


def rows_of(path: Path, features: Features) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of one file."""
    suffix = path.suffix.lower()
    if not path.is_file():
        raise DataError(f"{path}: does not exist; check the path")
    if suffix in TABLES:
        yield from TABLES[suffix](path, features)
    elif suffix in SUFFIXES:
        feature = features.the_picture(str(path))
        yield str(path), {feature.name: picture_of(path, feature, features)}
    else:
        kinds = ", ".join(sorted({*(SUFFIXES if features.has_pictures else ENDINGS), *TABLES}))
        raise DataError(f"{path}: has an unsupported type, expected one of {kinds}; convert it")


def training_rows(
    data: Path, model: Model, features: Features, on_file: Callable[[int, int], None] = lambda _done, _of: None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a table, or of the files in class folders, with the folders' names as labels.

    ``on_file`` is called before each file of a folder: how many are read, and how many there are.
    """
    if not data.is_dir():
        if data.is_file() and data.suffix.lower() not in TABLES:
            raise DataError(
                f"{data}: is one file without a label; put it into a folder named after its label, and pass the folder "
                "around that"
            )
        yield from rows_of(data, features)
        return
    files, target = labelled_files(data, features), target_of(model)
    for index, (folder, file) in enumerate(files):
        on_file(index, len(files))
        label = label_of(target, folder.name, str(folder))
        for name, row in rows_of(file, features):
            yield name, {**row, target.name: label}


def labelled_files(data: Path, features: Features) -> list[tuple[Path, Path]]:
    """Class folder and file: pictures, or .npy arrays where the model reads no picture. DataError if there are none."""
    what, files_in = ("pictures", pictures_in) if features.has_pictures else (".npy files", arrays_in)
    folders = sorted(path for path in data.iterdir() if path.is_dir() and not path.name.startswith("."))
    labelled = [(folder, file) for folder in folders for file in files_in(folder)]
    if not labelled:
        raise DataError(f"{data}: contains no folders with {what}; make one folder per label, with its {what} inside")
    return labelled
