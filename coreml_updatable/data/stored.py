"""Rows in a file, because a collection of photos may be larger than memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coreml_updatable.data.inputs import Int64Array


class StoredRows:
    """Stands for an array [n, *shape]: the rows ``rows`` of those that lie one after another in ``path``.

    It is indexed, counted and converted as an array is; each access copies what was asked for from the file.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike, rows: Int64Array) -> None:
        self.path, self.shape, self.dtype, self.rows = path, (len(rows), *shape), np.dtype(dtype), rows

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def part(self, rows: Int64Array) -> "StoredRows":
        """Those of these numbers, in their order, still in the file."""
        return StoredRows(self.path, self.shape[1:], self.dtype, self.rows[rows])

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        # Mapped again each time: pages of a file that stays mapped would add up to all of it.
        every = np.memmap(self.path, self.dtype, "r").reshape(-1, *self.shape[1:])
        return np.array(every[self.rows[key]])

    def __array__(self, dtype: npt.DTypeLike = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self[:], dtype)

    def is_complete(self) -> bool:
        """Whether the file holds all of the rows."""
        size = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        return self.path.is_file() and self.path.stat().st_size >= (int(self.rows.max(initial=-1)) + 1) * size
