"""Rows in .npy files, mapped from the disk: nothing is held but the row at hand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from coreml_updatable import bounds
from coreml_updatable.data.arrays import mapped
from coreml_updatable.data.rows.features import Features, kind
from coreml_updatable.errors import DataError
from coreml_updatable.spec.features import BGR, RGB
from coreml_updatable.spec.messages import FeatureDescription

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
        for number, row in enumerate(array):
            yield f"{path}[{number}]", {feature.name: np.array(row)}


def arrays_in(folder: Path) -> list[Path]:
    """The .npy files in a folder and those below it, by name. Hidden files are passed over."""
    found = (path for path in folder.rglob("*.npy") if path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _rank(feature: FeatureDescription) -> int:
    match kind(feature):
        case "imageType":
            return 3 if feature.type.imageType.colorSpace in (RGB, BGR) else 2
        case "multiArrayType":
            return max(1, len(feature.type.multiArrayType.shape))
    return 0
