"""`coreml-updatable probes OUT` and `probes --read RESULTS.json`: ask a device what no documentation says."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coreml_updatable.cli.output import say, say_json
from coreml_updatable.errors import DataError
from coreml_updatable.text import json_text

if TYPE_CHECKING:
    from coreml_updatable.updating.probes import Verdict


def probes(
    out: Annotated[Path | None, typer.Argument(help="Folder for the probes.", show_default=False)] = None,
    read: Annotated[
        Path | None, typer.Option(help="Results from a device: say and keep what they show.", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
) -> None:
    """Write tiny models whose results on a device tell how it learns and votes; or read such results.

    Exit status 1 when a result is missing or fits no known variant.
    """
    if (out is None) == (read is None):
        raise typer.BadParameter("give a folder to write the probes to, or --read RESULTS.json")
    if out is not None:
        _write(out)
    elif read is not None:
        raise typer.Exit(_read(read, json=json))


def _write(out: Path) -> None:
    from coreml_updatable.files import write_atomically
    from coreml_updatable.spec.writing import write_model
    from coreml_updatable.updating.probes import all_probes, document

    made = all_probes()
    content = document(made)
    for probe, entry in zip(made, content["probes"], strict=True):
        write_model(probe.model, out / entry["model"])
    write_atomically(out / "probes.json", (json_text(content, indent=1) + "\n").encode())
    say(f"{out}: {len(made)} probes and probes.json; docs/probes.md says how to run them on a device")


def _read(path: Path, *, json: bool) -> int:
    from coreml_updatable.cli.variants import store
    from coreml_updatable.updating.probes import all_probes, verdicts

    device, results = _results(path)
    found = verdicts(all_probes(), results)
    variants = {verdict.option: verdict.variant for verdict in found if verdict.variant is not None}
    kept = store(variants, device) if variants else None
    if json:
        _print_json(found, device)
    else:
        say(*(verdict.sentence for verdict in found), f"kept as your default in {kept}" if kept else "nothing to keep")
    return int(any(verdict.variant is None and verdict.decisive for verdict in found))


def _print_json(found: list["Verdict"], device: str) -> None:
    from dataclasses import asdict

    say_json({"device": device, "verdicts": [asdict(verdict) for verdict in found]}, indent=1)


def _results(path: Path) -> tuple[str, dict[str, list[float]]]:
    """The device and each probe's numbers; null, or text such as "nan", stands for a number that JSON does not have."""
    import json

    if path.stat().st_size > 10_000_000:
        raise DataError(f"{path}: is far larger than any results; name the file that the app printed")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        results = {str(option): [_number(value) for value in values] for option, values in content["results"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise DataError(
            f"{path}: is not the app's output ({type(error).__name__}); expected "
            '{"device": "...", "results": {"gradient": [0.5, -0.5], ...}}'
        ) from None
    return str(content.get("device", "a device"))[:200], results


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
