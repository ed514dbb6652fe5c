"""`coreml-updatable new NAME --data photos/`: a recipe for a folder of photos."""

from pathlib import Path
from typing import Annotated

import typer

from coreml_updatable.cli.output import note, say


def new(
    name: Annotated[
        str, typer.Argument(help="Name of the model, and of the folder for its recipe.", show_default=False)
    ],
    data: Annotated[Path, typer.Option(help="Your photos, one folder per class.", show_default=False)],
    owner: Annotated[
        list[str] | None,
        typer.Option(help="KIND=LABEL: a class that only the phone's owner has, and its label; repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the recipe; default: NAME.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing recipe.")] = False,
) -> None:
    """Write a recipe for a folder of photos.

    The recipe.toml is commented and ready for `build`. Every photo is read, and classes with few photos, unreadable
    files and near-duplicates are reported.
    """
    from coreml_updatable.cli.progress import watched
    from coreml_updatable.errors import RecipeError
    from coreml_updatable.files import write_atomically
    from coreml_updatable.recipes.file import read_recipe
    from coreml_updatable.recipes.find import RECIPE
    from coreml_updatable.recipes.new import proposal

    path = (out or Path(name)) / RECIPE
    if path.parent.exists() and not path.parent.is_dir():
        raise RecipeError(f"--out {path.parent}: is a file, expected a folder; name another")
    if path.exists() and not force:
        raise RecipeError(f"{path}: is there already; name another folder with --out, or replace it with --force")
    with watched(quiet=False) as on_progress:
        text, looked = proposal(name, data, owner or (), path.parent, on_progress)
    write_atomically(path, text.encode())
    read_recipe(path)
    note(*looked.notes)
    counted = ", ".join(f"{kind}: {count}" for kind, count in looked.counts.items())
    say(f"{path}: {len(looked.counts)} classes ({counted})", f"next: coreml-updatable build {path}")
