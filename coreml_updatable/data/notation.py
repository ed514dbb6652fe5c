"""Inputs and labels as one writes them: ``image:224x224``, a file of labels."""

from pathlib import Path

from coreml_updatable.data.inputs import MOST_VALUES, ArrayInput, ImageInput, Input
from coreml_updatable.errors import DataError

KINDS = ("rgb", "bgr", "grayscale", "array", "tokens")
MOST_BYTES = 100_000_000  # of a file of labels


def input_from(text: str) -> Input:
    """Parse an input from ``NAME:SIZE`` or ``NAME:SIZE:KIND``; raise DataError for anything else.

    Two lengths, WIDTHxHEIGHT, are a picture unless KIND says otherwise.
    """
    name, _, rest = text.partition(":")
    size, _, kind = rest.partition(":")
    lengths = _lengths(text, size)
    kind = kind or ("rgb" if len(lengths) == 2 else "array")
    if not name or kind not in KINDS:
        raise _wrong(text, f"{kind!r} is not a type" if name else "the name is missing")
    if kind in ("array", "tokens"):
        return ArrayInput(name, lengths, whole=kind == "tokens")
    if len(lengths) != 2:
        raise _wrong(text, f"a picture has two lengths, not {len(lengths)}")
    return ImageInput(name, *lengths, "bgr" if kind == "bgr" else "grayscale" if kind == "grayscale" else "rgb")


def labels_in(path: Path) -> tuple[str, ...]:
    """Return the labels in a text file, one per line; a DataError for a file that is not UTF-8 text."""
    if path.is_file() and path.stat().st_size > MOST_BYTES:
        raise DataError(f"{path}: the file is larger than {MOST_BYTES} bytes, expected one label per line")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path}: the file is not UTF-8 text, expected one label per line") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(
            f"{path}: cannot be read ({why}), expected a file of labels, one a line; check the path"
        ) from None
    return tuple(line.strip() for line in lines if line.strip())


def _lengths(text: str, size: str) -> tuple[int, ...]:
    if not all(part.isascii() and part.isdigit() and len(part) <= 9 for part in size.split("x")):
        raise _wrong(text, f"{size!r} is not a size" if size else "the size is missing")
    lengths = tuple(int(part) for part in size.split("x"))
    product = 1
    for length in lengths:
        product *= length
    if not 0 < product <= MOST_VALUES:
        raise _wrong(text, f"the size is not between 1 and {MOST_VALUES} values")
    return lengths


def _wrong(text: str, why: str) -> DataError:
    return DataError(
        f"{text}: {why}, expected NAME:WIDTHxHEIGHT for a picture (with :grayscale or :bgr after it), NAME:LENGTH "
        "or NAME:7x6:array for an array, NAME:LENGTH:tokens for token ids"
    )
