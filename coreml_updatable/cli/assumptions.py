"""Assumptions at the command line: what a device's probes found, kept as the user's default, and ``--assume`` over it.

The library never reads this file: whoever calls it says which assumptions are meant.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast

import typer

from coreml_updatable.cli.without_effect import refuse
from coreml_updatable.errors import DataError
from coreml_updatable.text import json_text

if TYPE_CHECKING:
    from coreml_updatable.updating.assumptions import Assumptions

# The option --assume of a command.
Assume: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=CHOICE", help="Choice for an undocumented point, such as gradient=sum.", show_default=False
    ),
]


@dataclass(frozen=True)
class ChosenAssumptions:
    """``named``: only what differs from the library's defaults. ``source``: the device, or "" where none was probed."""

    assumptions: "Assumptions"
    named: dict[str, str]
    source: str

    def __str__(self) -> str:
        listed = ", ".join(f"{name}={choice}" for name, choice in self.named.items()) or "the defaults"
        return f"{listed} (probed on {self.source})" if self.source else listed


def place() -> Path:
    return Path(typer.get_app_dir("coreml-updatable")) / "assumptions.json"


def _former_place() -> Path:
    return place().with_name("variants.json")


def store(choices: Mapping[str, str], device: str) -> Path:
    """Keep the choices as the user's default."""
    from coreml_updatable.files import write_atomically

    content = json_text({"device": device, "choices": dict(choices)}, indent=2) + "\n"
    write_atomically(place(), content.encode())
    return place()


def chosen(given: list[str], *, to_predict: bool = False) -> ChosenAssumptions:
    """Return the stored choices with those given as "name=choice" over them.

    BadParameter for one that is given twice, and ``to_predict`` for one about training.
    """
    from coreml_updatable.runtime.assumptions import PredictionAssumptions, choices_of, fault_of
    from coreml_updatable.updating.assumptions import Assumptions

    result, device = _stored()
    named_here: set[str] = set()
    for text in given:
        name, _, choice = text.partition("=")
        fault = fault_of(Assumptions, name, choice)
        if fault:
            raise typer.BadParameter(f"--assume {text}: {fault}")
        if name in named_here:
            raise typer.BadParameter(f"--assume {text}: {name} is given twice; omit one of them")
        if to_predict and name not in choices_of(PredictionAssumptions):
            refuse(f"--assume {text}", "on predictions")
        named_here.add(name)
        result[name] = choice
    named = {name: choice for name, choice in result.items() if choice != choices_of(Assumptions)[name][0]}
    return ChosenAssumptions(Assumptions(**cast("dict[str, Any]", result)), named, device)


def _stored() -> tuple[dict[str, str], str]:
    from coreml_updatable.runtime.assumptions import fault_of
    from coreml_updatable.updating.assumptions import Assumptions

    path = place()
    if not path.exists():
        if _former_place().exists():
            raise DataError(
                f"{_former_place()}: is no longer used, expected {path.name}; read the results again with "
                "`coreml-updatable probes --read`, or delete it"
            )
        return {}, ""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        result, device = dict(content["choices"]), str(content["device"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError(
            f"{path}: is not a file that `probes --read` wrote; read the results again, or delete it"
        ) from None
    for name, choice in result.items():
        fault = fault_of(Assumptions, name, choice)
        if fault:
            raise DataError(f"{path}: {fault}; read the results again, or delete it")
    return result, device
