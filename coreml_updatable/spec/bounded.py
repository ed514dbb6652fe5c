"""Reading a file from outside: never more of it than is allowed, and nothing that is no file."""

import stat
from pathlib import Path

from coreml_updatable.errors import ModelError


def read_bounded(path: Path, maximum: int, what: str) -> bytes:
    """The bytes of a file or a pipe; ModelError when there are more than ``maximum``, whatever its size was said to be.

    ``what`` names in the error what is read ("an .mlmodel").
    """
    try:
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode)):
            raise ModelError(f"{path}: is a device or a socket, expected a file; name the file that holds the model")
        if status.st_size > maximum:
            raise ModelError(f"{path}: {status.st_size} bytes, {what} holds at most {maximum}; use another file")
        with path.open("rb") as file:
            content = file.read(maximum + 1) if stat.S_ISFIFO(status.st_mode) else file.read(status.st_size + 1)
    except OSError as error:
        raise ModelError(f"{path}: can not be read ({error.strerror}); check the path and its permissions") from error
    except ValueError:
        raise ModelError(f"'{path}': is no path; check it") from None
    if len(content) > maximum or (stat.S_ISREG(status.st_mode) and len(content) > status.st_size):
        raise ModelError(f"{path}: grows while it is read; wait until it is complete")
    return content
