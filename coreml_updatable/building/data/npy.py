"""The numbers in an ``.npy`` file, mapped from the disk: nothing is held but what is looked at."""

import warnings
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap

from coreml_updatable.errors import DataError

DAMAGES = (ValueError, TypeError, EOFError, ArithmeticError, SyntaxError, TokenError, MemoryError, RecursionError)


def mapped(path: Path) -> npt.NDArray[Any]:
    """The array, of any shape; a DataError where the file holds none, less than it declares, or what is no number.

    Nothing is unpickled, and a header that declares more than the file holds takes no memory.
    """
    try:
        with np.errstate(over="raise"), warnings.catch_warnings():  # the product of the shape
            warnings.simplefilter("ignore")  # headers of Python 2, types of old
            array: npt.NDArray[Any] = open_memmap(path, mode="r")
    except DAMAGES as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: is no array of numbers ({reason:.200}); save it with numpy.save") from None
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path}: is no array of numbers (but of {array.dtype}); save it with numpy.save")
    return array
