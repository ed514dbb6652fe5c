"""The walk of `make updatable`: from nothing, unchanged, and with other update parameters."""

import shutil
import tempfile
from pathlib import Path

from benchmarks.command import COMMAND, best_of, measure
from benchmarks.figure import Figure, command_figure

ROOT = Path(__file__).parents[1]


def figures() -> list[Figure]:
    """Whole commands, in the order they were run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "sample_models" / "healthy_luncher", folder / "lunch")
        recipe = folder / "lunch" / "recipe.toml"
        build = [COMMAND, "build", str(recipe), "--out", str(folder / "build")]
        rows = [("build healthy_luncher from nothing", measure(build, folder), "120 s, 1500 MB")]
        rows.append(("the same again, nothing changed", best_of(3, build, folder), "3 s"))
        text = recipe.read_text()
        changed = text.replace("epochs = { default = 10,", "epochs = { default = 9,")
        if changed == text:
            raise SystemExit("the recipe's default of update.epochs is not 10 any more; correct this benchmark")
        recipe.write_text(changed)
        rows.append(("again with other update parameters", measure(build, folder), "no training, no conversion"))
        model = folder / "build" / "lunch" / "HealthyLuncher.mlmodel"
        rows.append(("coreml-updatable --help", best_of(5, [COMMAND, "--help"], folder), "0.3 s"))
        rows.append(("coreml-updatable inspect", best_of(5, [COMMAND, "inspect", str(model)], folder), "0.5 s"))
    return [command_figure(*row) for row in rows]
