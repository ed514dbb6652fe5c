"""Update parameters as one writes them on the command line: `0.01`, `0.01:0.0001..1` (a range), `8:1,2,4` (a set)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from coreml_updatable.marking.settings import DoubleParameter, Int64Parameter

Number = TypeVar("Number", int, float)


def whole(option: str, text: str) -> "Int64Parameter":
    """``default``, ``default:least..most`` or ``default:one,other,...``; BadParameter for anything else."""
    from coreml_updatable.marking.settings import Int64Parameter

    default, _, allowed = text.partition(":")
    value = _number(option, text, default, int)
    if not allowed:
        return Int64Parameter(value)
    if ".." in allowed:
        return Int64Parameter(value, range=_range(option, text, allowed, int))
    return Int64Parameter(value, allowed=tuple(_number(option, text, one, int) for one in allowed.split(",")))


def real(option: str, text: str) -> "DoubleParameter":
    """``default`` or ``default:least..most``; the format knows no sets of real numbers."""
    from coreml_updatable.marking.settings import DoubleParameter

    default, _, allowed = text.partition(":")
    value = _number(option, text, default, float)
    if not allowed:
        return DoubleParameter(value)
    if ".." not in allowed:
        raise typer.BadParameter(f"{option} {text}: '{allowed}' is no range, expected least..most, such as 0.0001..1")
    return DoubleParameter(value, range=_range(option, text, allowed, float))


def _range(option: str, text: str, allowed: str, kind: Callable[[str], Number]) -> tuple[Number, Number]:
    least, _, most = allowed.partition("..")
    return _number(option, text, least, kind), _number(option, text, most, kind)


def _number(option: str, text: str, part: str, kind: Callable[[str], Number]) -> Number:
    try:
        return kind(part)
    except ValueError:
        name = "whole number" if kind is int else "number"
        raise typer.BadParameter(f"{option} {text}: '{part}' is no {name}, expected one, such as 10:1..100") from None
