"""Commands that explain wrong usage: unexpected arguments, and everything else that is refused."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from coreml_updatable.cli.output import note
from coreml_updatable.cli.without_effect import expect_effect
from coreml_updatable.text import did_you_mean

_MODELS = (".mlmodel", ".mlpackage")
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # of the click inside typer, which it does not export
_BATCH, _NEIGHBORS = ("mini-batch-size", "mini-batch"), ("neighbors",)
_ELSEWHERE = {  # what other tools call an option: its names here
    "lr": ("learning-rate",),
    "batch": _BATCH,
    "batch-size": _BATCH,
    "bs": _BATCH,
    "k": _NEIGHBORS,
    "n-neighbors": _NEIGHBORS,
    "classes": ("labels",),
    "engines": ("to",),
}
_LISTS = ("--layers", "--labels")  # options that take names with commas between them


_VALUES = {Path: "PATH", str: "TEXT", int: "INTEGER", float: "NUMBER"}  # what an option takes, as its help names it


class Command(TyperCommand):
    allow_extra_args = True  # they are refused here, in words of our own

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        shown: list[Any] = self.params
        for parameter in shown:
            if parameter.param_type_name == "argument":
                parameter.display_type_rich = _nothing  # its name and help say what it is
            elif parameter.metavar is None:
                parameter.metavar = _metavar(parameter)

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the first paragraph whole: click would cut it and end it with dots."""
        del limit
        return " ".join((self.help or "").partition("\n\n")[0].split())

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = list(args)
        surplus: list[str] = super().parse_args(ctx, args)
        if surplus and not ctx.resilient_parsing:
            raise typer.BadParameter(_sentence(surplus, given), ctx=ctx)
        typed = {name for name in ctx.params if ctx.get_parameter_source(name).name == "COMMANDLINE"}
        expect_effect(str(self.name), ctx.params, typed)
        return surplus


class Group(TyperGroup):
    def main(self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **extra: Any) -> Any:  # type: ignore[override]  # narrower than click's overloads
        """As click's, but a message of wrong usage is one line: it may quote a hostile path."""
        try:
            status = super().main(args, standalone_mode=False, **extra)
        except _UsageError as error:
            if not standalone_mode:
                raise
            raise SystemExit(_explained(error)) from None
        if standalone_mode:
            raise SystemExit(status)
        return status


def _nothing(ctx: Any) -> None:
    del ctx


def _metavar(parameter: Any) -> str | None:
    """Return PATH for what typer would show as <path> or <list[Path]>; None where its own word is the better one."""
    descriptor = parameter.type_descriptor
    if descriptor.is_choice or parameter.is_flag:
        return None
    word = parameter.bare_type().removeprefix("list[").removesuffix("]")
    return next((shown for kind, shown in _VALUES.items() if word == kind.__name__), None)


def _explained(error: Any) -> int:
    """Print what click prints; its exit status."""
    message, context = str(error.format_message()), error.ctx
    if context is not None and message == context.get_help():  # the program's name alone was given
        note(*message.split("\n"))
    else:
        if context is not None:
            note(*context.get_usage().split("\n"), f"Try '{context.command_path} --help' for help.", "")
        note(f"Error: {_reworded(error, message)}")
    return int(error.exit_code)


def _reworded(error: Any, message: str) -> str:
    """Return click's ``message`` in the words of our own errors, with a suggestion for a misspelt name."""
    if (option := getattr(error, "option_name", None)) is not None and "No such option" in message:
        return f"Unknown option '{option}'; {_option_meant(option, _options(error.ctx)) or 'see --help'}"
    if match := re.match(r"No such command '(.*?)'", message):
        return f"Unknown command '{match[1]}'; {did_you_mean(match[1], error.ctx.command.commands) or 'see --help'}"
    message = " ".join(message.removeprefix("Invalid value: ").replace("Value error, ", "").split())
    if match := re.match(r"Invalid value for '(.*?)': '(.*?)' is not one of (.*)\.$", message):
        meant = did_you_mean(match[2], re.findall(r"'(.*?)'", match[3]))
        return f"{match[1]} is '{match[2]}', expected one of {match[3]}{f'; {meant}' if meant else ''}"
    return message


def _option_meant(option: str, known: Sequence[str]) -> str:
    """Return the option that is called ``option`` elsewhere, else the one of ``known`` spelt most like it."""
    word = option.lstrip("-")
    elsewhere = next((f"--{name}" for name in _ELSEWHERE.get(word, ()) if f"--{name}" in known), None)
    if elsewhere is not None:
        return f"did you mean {elsewhere!r}?"
    by_word = {name.lstrip("-"): name for name in known}
    near = get_close_matches(word, by_word, 1)
    return f"did you mean {by_word[near[0]]!r}?" if near else ""


def _options(context: Any) -> list[str]:
    if context is None:
        return []
    return [name for parameter in context.command.get_params(context) for name in parameter.opts]


def _sentence(surplus: Sequence[str], given: Sequence[str]) -> str:
    for place, option in enumerate(given):
        if option in _LISTS:
            names = list(takewhile(_is_a_name, given[place + 1 :]))
            if len(names) > 1:
                return f"{option} {' '.join(names)}: separate names with commas: {option} {','.join(names)}"
    named = any(option in ("-o", "--out") or option.startswith(("-o", "--out=")) for option in given)
    if len(surplus) == 1 and surplus[0].endswith(_MODELS) and not named:
        return f"{surplus[0]}: unexpected argument; name the new model with -o {surplus[0]}"
    several = " and ".join(surplus)
    return (
        f"{several}: unexpected argument; remove it"
        if len(surplus) == 1
        else (f"{several}: unexpected arguments; remove them")
    )


def _is_a_name(argument: str) -> bool:
    return not argument.startswith("-") and not argument.endswith(_MODELS) and not Path(argument).exists()
