"""Variants at the command line: what a device's probes found, kept as the user's default, and ``--variant`` over it.

The library never reads this file: whoever calls it says which variants are meant.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from coreml_updatable.errors import DataError
from coreml_updatable.text import json_text

if TYPE_CHECKING:
    from coreml_updatable.runtime.neighbors.assumptions import PredictionVariants
    from coreml_updatable.updating.assumptions import Variants


@dataclass(frozen=True)
class Chosen:
    """``named``: only what differs from the library's defaults. ``source``: the device, or "" where none was probed."""

    learning: "Variants"
    voting: "PredictionVariants"
    named: dict[str, str]
    source: str

    def __str__(self) -> str:
        listed = ", ".join(f"{option}={variant}" for option, variant in self.named.items()) or "the defaults"
        return f"{listed} (probed on {self.source})" if self.source else listed


def place() -> Path:
    return Path(typer.get_app_dir("coreml-updatable")) / "variants.json"


def store(variants: dict[str, str], device: str) -> Path:
    """Keep the variants as the user's default."""
    from coreml_updatable.files import write_atomically

    content = json_text({"device": device, "variants": variants}, indent=2) + "\n"
    write_atomically(place(), content.encode())
    return place()


def chosen(given: list[str]) -> Chosen:
    """The stored variants with those given as "option=variant" over them."""
    from coreml_updatable.updating.probes.outcomes import choices, variants_from

    known = choices()
    variants, device = _stored(known)
    for text in given:
        option, _, variant = text.partition("=")
        fault = _fault(option, variant, known)
        if fault:
            raise typer.BadParameter(f"--variant {text}: {fault}")
        variants[option] = variant
    learning, voting = variants_from(variants)
    named = {option: variant for option, variant in variants.items() if variant != known[option][0]}
    return Chosen(learning, voting, named, device)


def _stored(known: dict[str, tuple[str, ...]]) -> tuple[dict[str, str], str]:
    path = place()
    if not path.exists():
        return {}, ""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        variants, device = dict(content["variants"]), str(content["device"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{path}: is not as `probes --read` writes it; read the results again, or remove it") from None
    for option, variant in variants.items():
        fault = _fault(option, variant, known)
        if fault:
            raise DataError(f"{path}: {fault}; read the results again, or remove it")
    return variants, device


def _fault(option: str, variant: object, known: dict[str, tuple[str, ...]]) -> str:
    if option not in known:
        return f"there is no option '{option}'; there are {', '.join(known)}"
    if variant not in known[option]:
        allowed = ", ".join(f"'{name}'" for name in known[option])
        return f"{option} is '{variant}', expected one of {allowed}"
    return ""
