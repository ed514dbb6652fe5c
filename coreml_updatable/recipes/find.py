"""From what a user names to a recipe file: a sample of this checkout, or any recipe elsewhere."""

from pathlib import Path

from coreml_updatable.errors import RecipeError
from coreml_updatable.text import did_you_mean

RECIPE = "recipe.toml"


def find_recipe(name: str, samples: Path) -> Path:
    """The recipe that ``name`` means: a folder of ``samples``, or the path of a recipe or of the folder it lies in."""
    known = known_samples(samples)
    if not name:
        raise RecipeError(f"MODEL is required; {_suggestion(name, known)}")
    path = Path(name)
    if path.suffix == ".toml" and path.is_file():
        return path
    if (path / RECIPE).is_file() and (path.is_absolute() or len(path.parts) > 1):
        return path / RECIPE
    if (samples / name / RECIPE).is_file() and len(path.parts) == 1:
        return samples / name / RECIPE
    if path.is_dir():
        raise RecipeError(f"{name}: is a folder without a {RECIPE}; {_suggestion(name, known)}")
    if path.is_file():
        raise RecipeError(f"{name}: is not a recipe, expected a .toml file; pass the path of a {RECIPE}")
    if len(path.parts) > 1 or path.suffix == ".toml":
        raise RecipeError(f"{name}: recipe does not exist; check the path")
    raise RecipeError(f"Unknown sample {name!r}; {_suggestion(name, known)}")


def known_samples(samples: Path) -> list[str]:
    """The names of the sample models, sorted."""
    return sorted(path.parent.name for path in samples.glob(f"*/{RECIPE}"))


def _suggestion(name: str, known: list[str]) -> str:
    if not known:
        return "pass the path of a recipe.toml (there is no sample_models folder here)"
    listed = f"the samples are {', '.join(known)}, and the path of a recipe.toml works, too"
    return did_you_mean(name, known) or listed
