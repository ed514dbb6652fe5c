"""Store the features that training reads, from one run of the frozen part: in memory up to a limit, then on disk.

The file has no name if the system allows it, so even a killed process does not leave it behind.
"""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime.io.row import FrozenRow

MEMORY = 2**30  # bytes


class KeptFeatures:
    """A context manager that stores features; its files are removed when it exits.

    ``memory``: the most bytes of blobs to hold in memory. ``expected``: about how many rows will come. ``others``: the
    other features of each row, including its target.
    """

    def __init__(self, names: Sequence[str], memory: int = MEMORY, expected: int = 64) -> None:
        self._names, self._memory, self._expected = tuple(names), memory, max(1, expected)
        self._buffers: dict[str, NDArray[Any]] = {}
        self._files: dict[str, IO[bytes]] = {}
        self._row_bytes, self._most = 0, 1
        self.others: list[Mapping[str, Any]] = []

    def __enter__(self) -> "KeptFeatures":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            with suppress(OSError):
                file.close()
        self._buffers, self._files, self.others = {}, {}, []

    def add(self, row: FrozenRow) -> None:
        """Add a row; ModelError unless its blobs have the shapes of the first row's."""
        values = {name: np.asarray(row.values[name]) for name in self._names}
        if not self.others:
            self._start(values)
        for name, value in values.items():
            if value.shape != self._buffers[name].shape[1:]:
                raise ModelError(
                    "update: the rows have different shapes before the trainable layers; give all of them the same size"
                )
        if not self._files and (len(self.others) + 1) * self._row_bytes > self._memory:
            self._move_to_disk()
        for name, value in values.items():
            if self._files:
                self._write(name, np.ascontiguousarray(value, self._buffers[name].dtype))
            else:
                self._append(name, value)
        self.others.append(row.features)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the blobs [n, ...] by name."""
        count = len(self.others)
        if not self._files:
            return {name: buffer[:count] for name, buffer in self._buffers.items()}
        result = {}
        for name, file in self._files.items():
            file.flush()
            like = self._buffers[name]
            shape = (count, *like.shape[1:])
            result[name] = (
                np.asarray(np.memmap(file, like.dtype, "r", shape=shape)) if 0 not in shape else np.empty(shape)
            )
        return result

    def _start(self, values: Mapping[str, NDArray[Any]]) -> None:
        self._row_bytes = sum(value.nbytes for value in values.values())
        self._most = max(1, self._memory // max(1, self._row_bytes))
        rows = min(self._expected, self._most)
        self._buffers = {name: np.empty((rows, *value.shape), value.dtype) for name, value in values.items()}

    def _append(self, name: str, value: NDArray[Any]) -> None:
        buffer, count = self._buffers[name], len(self.others)
        if count == len(buffer):
            rows = min(count + count // 2 + 1, self._most)
            buffer.resize((rows, *buffer.shape[1:]), refcheck=False)  # in place, without a second copy
        buffer[count] = value

    def _move_to_disk(self) -> None:
        for name, buffer in self._buffers.items():
            # Open until __exit__.
            self._files[name] = tempfile.TemporaryFile(prefix="coreml_updatable.")  # noqa: SIM115
            self._write(name, buffer[: len(self.others)])
            self._buffers[name] = np.empty((0, *buffer.shape[1:]), buffer.dtype)  # its shape and type are still read

    def _write(self, name: str, values: NDArray[Any]) -> None:
        try:
            self._files[name].write(values.tobytes())
        except OSError as error:
            raise DataError(
                f"update: the features of {len(self.others)} rows cannot be stored in {tempfile.gettempdir()} "
                f"({error.strerror}); free some space, set TMPDIR, or use fewer rows"
            ) from error
