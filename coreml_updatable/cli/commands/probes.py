"""`coreml-updatable probes OUT` and `probes --read RESULTS.json`: ask a device what no documentation says."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coreml_updatable.cli.output import say, say_json

if TYPE_CHECKING:
    from coreml_updatable.updating.probes import Verdict
    from coreml_updatable.updating.probes.results import DeviceResults


def probes(
    out: Annotated[Path | None, typer.Argument(help="Folder for the probes.", show_default=False)] = None,
    read: Annotated[
        Path | None, typer.Option(help="Results from a device: show and store what they mean.", show_default=False)
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="With --read: write device, OS, results and choices to this file."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the choices as JSON.")] = False,
) -> None:
    """Write tiny models to try on a device, or read their results.

    The results show how the device trains and votes where Apple's documentation is silent.

    The exit status is 1 if a result is missing or matches no known choice.
    """
    if (out is None) == (read is None):
        raise typer.BadParameter("OUT or --read is required; give a folder for the probes or a file with results")
    if save is not None and read is not None and (save.is_dir() or save.resolve() == read.resolve()):
        raise typer.BadParameter(f"-o {save}: expected a file other than RESULTS.json, such as DEVICE.json")
    if out is not None:
        _write(out)
    elif read is not None:
        raise typer.Exit(_read(read, save, json=json))


def _write(out: Path) -> None:
    from coreml_updatable.updating.probes import write_probes

    result = write_probes(out)
    say(f"{out}: {len(result)} probes and probes.json; see docs/probes.md for how to run them on a device")


def _read(path: Path, out: Path | None, *, json: bool) -> int:
    from coreml_updatable.cli.assumptions import store
    from coreml_updatable.updating.probes.asking import read_verdicts

    given, result = read_verdicts(path, out)
    choices = {verdict.assumption: verdict.choice for verdict in result if verdict.choice is not None}
    kept = store(choices, given.source) if choices else None
    if json:
        _print_json(result, given)
    else:
        say(
            *(verdict.sentence for verdict in result),
            f"stored as your default in {kept}" if kept else "nothing to store",
        )
        if out is not None:
            say(f"{out}: the results of {given.source}, to send in or to read again")
    return int(any(verdict.choice is None and verdict.decisive for verdict in result))


def _print_json(found: list["Verdict"], given: "DeviceResults") -> None:
    from dataclasses import asdict

    say_json({"device": given.device, "os": given.os, "verdicts": [asdict(verdict) for verdict in found]}, indent=1)
