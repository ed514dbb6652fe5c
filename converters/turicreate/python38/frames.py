"""Turi Create's data frames."""

from __future__ import annotations

import re
from typing import Any, Callable  # noqa: UP035 - Python 3.8

import numpy as np

from .pictures import images

WHOLE = re.compile(r"Feature '(.*)' was of type integer during training but is of type float")


def answered(function: Callable[[Any], Any], columns: dict[str, Any]) -> Any:
    """Call ``function`` with an SFrame of ``columns``; numbers are integers where Turi Create says they were."""
    from turicreate.toolkits._main import ToolkitError

    for _ in range(len(columns) + 1):
        try:
            return function(frame(columns))
        except ToolkitError as error:
            match = WHOLE.search(str(error))
            if match is None or match.group(1) not in columns:
                raise
            columns = {**columns, match.group(1): [int(value) for value in columns[match.group(1)]]}
    raise ValueError("the types of the columns could not be found out")


def frame(columns: dict[str, Any]) -> Any:
    """A column is a list of values, or {"pictures": an .npy file of uint8 [n, height, width, channels]}."""
    import turicreate

    return turicreate.SFrame({name: _column(values) for name, values in columns.items()})


def _column(values: Any) -> Any:
    import turicreate

    return images(np.load(values["pictures"])) if isinstance(values, dict) else turicreate.SArray(values)
