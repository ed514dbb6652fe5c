"""Options that a command would ignore: each is refused, with one sentence."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

Values = Mapping[str, Any]  # of a command's parameters, by name


@dataclass(frozen=True)
class Idle:
    """``option`` has no effect where ``when`` holds of the other values; ``why`` and ``remedy`` end the sentence."""

    option: str
    when: Callable[[Values], bool]
    why: str
    remedy: str


def _without(needed: str, *options: str) -> tuple[Idle, ...]:
    """The options ``options`` have no effect unless the parameter ``needed`` is given."""
    word = _spelled(needed)
    return tuple(
        Idle(option, lambda values: not values[needed], f"without {word}", f"add {word}, or omit {_spelled(option)}")
        for option in options
    )


def _with(other: str, *options: str, value: str | None = None) -> tuple[Idle, ...]:
    """The options ``options`` have no effect where the parameter ``other`` is given, or is ``value``."""
    word = _spelled(other) if value is None else f"{_spelled(other)} {value}"

    def holds(values: Values) -> bool:
        return bool(values[other]) if value is None else bool(values[other] == value)

    remedy = "omit one of them" if value is None else "omit it"
    return tuple(Idle(option, holds, f"with {word}", remedy) for option in options)


def _spelled(name: str) -> str:
    return {"out": "-o", "save": "-o", "other": "--with", "all_of_them": "--all"}.get(
        name, f"--{name.replace('_', '-')}"
    )


def _only_replay_sets(values: Values) -> bool:
    return all(str(path).endswith(".replay.json") for path in (values["data"], values["replay"]) if path is not None)


IDLE: Mapping[str, Collection[Idle]] = {
    "build": (
        Idle("samples", lambda values: len(Path(values["model"]).parts) > 1, "because MODEL is a path", "omit it"),
    ),
    "compare": (*_without("replay", "replay_by"), *_without("out", "resume"), *_with("dask", "workers")),
    "convert": (
        Idle("head", lambda values: values["head"] == "keep" and bool(values["cut"]), "with --cut", "omit one of them"),
    ),
    "extras": _with("weights", "backbone", "data", "all_of_them"),
    "knn": _without("samples", "fit"),
    "mark": (
        *_without("reserved", "reserved_share"),
        *_with("layers", "last"),
        *_with("optimizer", "momentum", value="adam"),
        *_with("optimizer", "beta1", "beta2", "eps", value="sgd"),
    ),
    "predict": _with("other", "top", "rate", "hop", "overlay"),
    "probes": _without("read", "save", "json"),
    "publish": (
        *_with(
            "check", "to", "device_results", "base_url", "keep", "sign", "revoke", "valid_days", "with_examples", "yes"
        ),
        *_without("check", "public_key"),
        *_without("with_examples", "yes"),
        *_without("sign", "valid_days"),
    ),
    "update": (
        *_with("out", "in_place"),
        Idle("fit", _only_replay_sets, "on replay sets, whose pictures have the model's size", "omit it"),
    ),
}


def refuse(option: str, why: str, remedy: str = "omit it") -> None:
    """Raise the BadParameter of an option that has no effect."""
    raise typer.BadParameter(f"{option} has no effect {why}; {remedy}")


def expect_effect(command: str, values: Values, given: Collection[str]) -> None:
    """A BadParameter for one of the parameters ``given`` by the user that ``command`` would ignore."""
    for idle in IDLE.get(command, ()):
        if idle.option in given and idle.when(values):
            refuse(_spelled(idle.option), idle.why, idle.remedy)
