"""Values as one writes them on the command line: inputs, lists of names, update parameters."""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from coreml_updatable.data.inputs import ArrayInput, ImageInput
    from coreml_updatable.marking.settings import DoubleParameter, Int64Parameter


def input_of(text: str) -> "ImageInput | ArrayInput":
    """``NAME:SIZE`` or ``NAME:SIZE:KIND``; BadParameter for anything else."""
    from coreml_updatable.data.notation import input_from
    from coreml_updatable.errors import DataError

    try:
        return input_from(text)
    except DataError as error:
        raise typer.BadParameter(f"--input {error}") from None


def numbers_of(option: str, text: str | None) -> tuple[float, ...]:
    """``0.485,0.456,0.406``; empty for nothing."""
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise typer.BadParameter(f"{option} {text}: expected one number per channel, such as 0.5") from None


def labels_of(text: str | None) -> tuple[str, ...]:
    """``a,b,c``, or ``@labels.txt`` with one a line; empty for nothing."""
    if text is None:
        return ()
    if not text.startswith("@"):
        return tuple(part.strip() for part in text.split(","))
    from pathlib import Path

    from coreml_updatable.data.notation import labels_in
    from coreml_updatable.errors import DataError

    try:
        return labels_in(Path(text[1:]))
    except DataError as error:
        raise typer.BadParameter(f"--labels {text}: {str(error).removeprefix(f'{text[1:]}: ')}") from None


def names(option: str, texts: Sequence[str], known: Collection[str] = ()) -> list[str]:
    """The names in ``texts``, split at commas, each once; a text that is one of ``known`` is one name, commas and all.

    BadParameter for an empty name.
    """
    result: list[str] = []
    for text in texts:
        result += [text] if text in known else [name.strip() for name in text.split(",")]
    if not all(result):
        raise typer.BadParameter(f"{option} {' '.join(texts)}: a name is empty, expected names such as a,b,c")
    return list(dict.fromkeys(result))


def labels(text: str, own: Sequence[str] | Sequence[int]) -> tuple[str, ...] | tuple[int, ...]:
    """Labels split at commas: integers for a model whose ``own`` labels are integers, else strings."""
    result = tuple(name.strip() for name in text.split(","))
    if not all(result):
        raise typer.BadParameter(f"--labels {text}: a label is empty, expected labels such as a,b,c")
    if not own or isinstance(own[0], str):
        return result
    try:
        return tuple(int(label) for label in result)
    except ValueError:
        raise typer.BadParameter(
            f"--labels {text}: expected integers like the model's labels, such as {own[0]}"
        ) from None


Number = TypeVar("Number", int, float)


def int64_parameter(option: str, text: str) -> "Int64Parameter":
    """``default``, ``default:least..most`` or ``default:one,other,...``; BadParameter for anything else."""
    from coreml_updatable.marking.settings import Int64Parameter

    default, _, allowed = text.partition(":")
    value = _number(option, text, default, int)
    if not allowed:
        return Int64Parameter(value)
    if ".." in allowed:
        return Int64Parameter(value, range=_range(option, text, allowed, int))
    return Int64Parameter(value, allowed=tuple(_number(option, text, part, int) for part in allowed.split(",")))


def double_parameter(option: str, text: str) -> "DoubleParameter":
    """``default`` or ``default:least..most``; the format knows no sets of real numbers."""
    from coreml_updatable.marking.settings import DoubleParameter

    default, _, allowed = text.partition(":")
    value = _number(option, text, default, float)
    if not allowed:
        return DoubleParameter(value)
    if ".." not in allowed:
        raise typer.BadParameter(
            f"{option} {text}: '{allowed}' is not a range, expected least..most, such as 0.0001..1"
        )
    return DoubleParameter(value, range=_range(option, text, allowed, float))


def _range(option: str, text: str, allowed: str, kind: Callable[[str], Number]) -> tuple[Number, Number]:
    least, _, most = allowed.partition("..")
    return _number(option, text, least, kind), _number(option, text, most, kind)


def _number(option: str, text: str, part: str, kind: Callable[[str], Number]) -> Number:
    try:
        return kind(part)
    except ValueError:
        name = "an integer" if kind is int else "a number"
        raise typer.BadParameter(f"{option} {text}: '{part}' is not {name}, expected one, such as 10:1..100") from None
