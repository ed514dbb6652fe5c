"""Rows of numbers: drawn by the sample's own code, or read from ``.npy``, ``.json`` and sound files."""

import json
import warnings
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap

from coreml_updatable.data.inputs import ArrayInput, Float32Array, Progress, silent
from coreml_updatable.data.sample_code import called
from coreml_updatable.data.sound import ENDINGS, Heard, read_sound
from coreml_updatable.data.wanted import SampleFunction
from coreml_updatable.errors import DataError, a_kind

DAMAGES = (ValueError, TypeError, EOFError, ArithmeticError, SyntaxError, TokenError, MemoryError, RecursionError)


def mapped(path: Path) -> npt.NDArray[Any]:
    """The array, of any shape; a DataError where the file holds none, less than it declares, or what is not a number.

    Nothing is unpickled, and a header that declares more than the file holds takes no memory.
    """
    try:
        with np.errstate(over="raise"), warnings.catch_warnings():  # the product of the shape
            warnings.simplefilter("ignore")  # headers of Python 2, types of old
            array: npt.NDArray[Any] = open_memmap(path, mode="r")
    except DAMAGES as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: is not an array of numbers ({reason:.200}); save it with numpy.save") from None
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path}: is an array of {array.dtype}, expected numbers; save it with numpy.save")
    return array


MAXIMUM_BYTES = 100_000_000
AT_A_TIME = 100  # rows between two words of progress


def draw_arrays(
    draw: SampleFunction, counts: Sequence[tuple[str, int]], target: ArrayInput, on_progress: Progress = silent
) -> Float32Array:
    """Rows 0, 1, ... of each (kind, count), in that order: float32 [n, *shape]."""
    function = draw.load()
    total = sum(count for _, count in counts)
    rows: list[Float32Array] = []
    for kind, count in counts:
        for index in range(count):
            drawn = called(f"{draw.reference}: drawing {kind} {index}", function, kind, index, target.shape)
            rows.append(to_array(drawn, target, f"{draw.reference}: {kind} {index}"))
            if len(rows) % AT_A_TIME == 0:
                on_progress("data", len(rows) / total, f"{len(rows)} of {total} rows drawn")
    return np.stack(rows)


def to_array(value: Any, target: ArrayInput, where: str) -> Float32Array:
    """``value`` as float32 of the target's shape; a DataError for another shape and for what is no finite number."""
    try:
        given = np.asarray(value)
        if not _numeric(given):
            raise TypeError
        with np.errstate(over="ignore"):  # what is too large for 32 bits becomes infinite, and is refused as such
            array = given.astype(np.float32)
    except OverflowError as error:
        raise DataError(f"{where} contains an integer too large for 32-bit floats; correct it") from error
    except (TypeError, ValueError) as error:
        result = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else a_kind(value)
        raise DataError(f"{where} is {result}, expected an array of numbers; correct it") from error
    if array.shape != target.shape:
        raise DataError(f"{where} has the shape {list(array.shape)}, expected {list(target.shape)}; correct it")
    if not np.isfinite(array).all():
        raise DataError(f"{where} contains NaN or infinite numbers; correct it")
    return array


def _numeric(given: np.ndarray[Any, Any]) -> bool:
    """Python's own integers are kept as objects where they are large."""
    return given.dtype.kind in "biuf" or (
        given.dtype.kind == "O" and all(isinstance(item, Real) for item in given.flat)
    )


def read_array(path: Path, target: ArrayInput) -> Heard:
    """The array in an ``.npy`` file, the nested lists in a ``.json`` file, or a sound where the input is one; anything
    else is a DataError."""
    if target.sample_rate and path.suffix.lower() in ENDINGS:
        return read_sound(path, target)
    if path.stat().st_size > MAXIMUM_BYTES:
        raise DataError(f"{path}: is larger than {MAXIMUM_BYTES:,} bytes, expected one row; use one file per row")
    try:
        match path.suffix.lower():
            case ".npy":
                value: Any = np.array(mapped(path))  # a copy: a map kept open for each of many files is too many
            case ".json":
                value = json.loads(path.read_text(encoding="utf-8"))
            case _:
                known = ("a sound such as .flac or .wav", ".npy") if target.sample_rate else (".npy", ".json")
                raise DataError(f"{path}: is neither {known[0]} nor {known[1]}; convert it")
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is damaged or not an array ({type(error).__name__}); replace it") from error
    return Heard(to_array(value, target, f"{path}: the array"), ())
