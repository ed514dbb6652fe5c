"""`coreml-updatable models`: every sample that needs no download, one after the other."""

from pathlib import Path
from typing import Annotated

import typer

from coreml_updatable.cli.output import note
from coreml_updatable.errors import BuildError, UserError


def models(
    out: Annotated[Path, typer.Option(help="Where builds go; each has its own folder inside.")] = Path("build"),
    samples: Annotated[Path, typer.Option(help="Where the sample models are.")] = Path("sample_models"),
    table: Annotated[
        Path | None, typer.Option(help="A text with the marks of the table of samples, which is written anew.")
    ] = None,
) -> None:
    """Build every sample that needs no download; stop at the first that fails."""
    from coreml_updatable.building.every_sample import every_sample
    from coreml_updatable.building.find import frozen_samples
    from coreml_updatable.cli.build import build

    found = list(every_sample(samples))
    if not found:
        raise BuildError(f"{samples}: holds no sample models, expected folders with a recipe.toml; check the path")
    names = [name for name, reason in found if reason is None]
    for number, (name, reason) in enumerate(found, start=1):
        if reason is not None:
            note(f"[{number}/{len(found)}] {name}: left out, {reason}")
            continue
        note(f"[{number}/{len(found)}] {name}")
        try:
            build(name, out=out, samples=samples)
        except UserError as error:
            later = names[names.index(name) + 1 :]
            rest = f"; not built after it: {', '.join(later)}" if later else ""
            raise BuildError(f"{name}: {str(error).removeprefix(f'{name}: ')}{rest}") from error
    if table is not None:
        _write(table, [name for name in names if name not in frozen_samples(samples)], out)


def _write(table: Path, names: list[str], out: Path) -> None:
    from coreml_updatable.files import write_atomically
    from coreml_updatable.publishing.models_table import models_table, read_report, with_table

    text = table.read_text(encoding="utf-8")
    made = with_table(text, models_table([read_report(out / name) for name in names]), str(table))
    if made != text:
        write_atomically(table, made.encode())
    note(f"{table}: the table of {len(names)} samples is {'as it was' if made == text else 'new'}")
