"""Inputs as one writes them on the command line: `image:224x224`, `image:28x28:grayscale`, `x:64`, `ids:128:tokens`."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from coreml_updatable.conversion import ArrayInput, ImageInput

KINDS = ("rgb", "bgr", "grayscale", "array", "tokens")
MOST_VALUES = 2**26  # of one row: a picture of 4,700 by 4,700 pixels


def input_of(text: str) -> "ImageInput | ArrayInput":
    """``NAME:SIZE`` or ``NAME:SIZE:KIND``; two lengths, WIDTHxHEIGHT, are a picture unless KIND says otherwise."""
    from coreml_updatable.conversion import ArrayInput, ImageInput

    name, _, rest = text.partition(":")
    size, _, kind = rest.partition(":")
    lengths = _lengths(text, size)
    kind = kind or ("rgb" if len(lengths) == 2 else "array")
    if not name or kind not in KINDS:
        raise _wrong(text, f"{kind!r} is no kind" if name else "it has no name")
    if kind in ("array", "tokens"):
        return ArrayInput(name, lengths, whole=kind == "tokens")
    if len(lengths) != 2:
        raise _wrong(text, f"a picture has two lengths, not {len(lengths)}")
    return ImageInput(name, *lengths, "bgr" if kind == "bgr" else "grayscale" if kind == "grayscale" else "rgb")


def numbers_of(option: str, text: str | None) -> tuple[float, ...]:
    """``0.485,0.456,0.406``; empty for nothing."""
    try:
        return tuple(float(one) for one in text.split(",")) if text else ()
    except ValueError:
        raise typer.BadParameter(f"{option} {text}: not all are numbers, expected one a channel, such as 0.5") from None


def labels_of(text: str | None) -> tuple[str, ...]:
    """``a,b,c``, or ``@labels.txt`` with one a line; empty for nothing."""
    if text is None:
        return ()
    if not text.startswith("@"):
        return tuple(one.strip() for one in text.split(","))
    from pathlib import Path

    try:
        lines = Path(text[1:]).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise typer.BadParameter(f"--labels {text}: the file is no UTF-8 text, expected one label a line") from None
    return tuple(line.strip() for line in lines if line.strip())


def _lengths(text: str, size: str) -> tuple[int, ...]:
    if not all(one.isascii() and one.isdigit() and len(one) <= 9 for one in size.split("x")):
        raise _wrong(text, f"{size!r} is no size" if size else "it has no size")
    lengths = tuple(int(one) for one in size.split("x"))
    product = 1
    for length in lengths:
        product *= length
    if not 0 < product <= MOST_VALUES:
        raise _wrong(text, f"the size is not between 1 and {MOST_VALUES} values")
    return lengths


def _wrong(text: str, why: str) -> typer.BadParameter:
    return typer.BadParameter(
        f"--input {text}: {why}, expected NAME:WIDTHxHEIGHT for a picture (:grayscale or :bgr behind it), NAME:LENGTH "
        "for an array, NAME:LENGTH:tokens for token ids"
    )
