"""Errors that speak of "row 3" made to speak of the file that the row came from."""

import re
from collections.abc import Sequence

from coreml_updatable.errors import UserError

ROW = re.compile(r"^row (\d+): ")


def named(error: UserError, names: Sequence[str]) -> UserError:
    """The same error; ``names`` are those of the rows it counts."""
    text = str(error)
    found = ROW.match(text)
    if found is None or int(found[1]) >= len(names):
        return error
    return type(error)(f"{names[int(found[1])]}: {text[found.end() :]}")
