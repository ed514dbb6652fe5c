"""Values that were tuned, written into a recipe.toml; all else in the file stays as it is."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coreml_updatable.errors import RecipeError
from coreml_updatable.files import write_atomically
from coreml_updatable.recipes.file import parse_recipe
from coreml_updatable.toml import read_toml

BATCHES = (1, 2, 4, 8, 16, 32)
FOREIGN = {"sgd": ("beta1", "beta2", "eps"), "adam": ("momentum",)}  # fields of the other optimizer


def learning_rate_range(value: float) -> tuple[float, float]:
    """What an app may sensibly choose around a tuned learning rate."""
    return value / 10, min(1.0, value * 10) if value <= 1 else value * 10


def epochs_range(value: int) -> tuple[int, int]:
    return 1, max(20, 2 * value)


def expect_recipe(path: Path) -> tuple[Mapping[str, Any], str]:
    """The content of a recipe and its text; RecipeError for a file that is none."""
    text, content = read_toml(path, RecipeError)
    return content, text


def write_tuned(path: Path, values: Mapping[str, Any]) -> None:
    """Write the values of ``tune`` into the tables of a recipe; RecipeError for a file that is no recipe.

    ``headScale`` is on top of the recipe's ``head_scale``, with which the model that was tuned was built.
    """
    content, result = expect_recipe(path)
    if "headScale" in values:
        update = content.get("update")
        own = update.get("head_scale", 1.0) if isinstance(update, Mapping) else 1.0
        values = {**values, "headScale": values["headScale"] * own}
    tables = {table: lines for table, lines in lines_of(values).items() if lines}
    valid = _is_valid(result)
    for table, lines in tables.items():
        result = replaced(result, table, lines)
    for field in FOREIGN.get(str(values.get("optimizer")), ()):
        result = without(result, "update", field)
    try:
        output = tomllib.loads(result)
    except tomllib.TOMLDecodeError:
        output = {}
    for table, lines in tables.items():
        wanted = tomllib.loads("\n".join(f"{key} = {value}" for key, value in lines.items()))
        if {key: output.get(table, {}).get(key) for key in wanted} != wanted:
            raise RecipeError(f"{path}: [{table}] is written over several lines; write each value on one line")
    if valid:
        parse_recipe(output, str(path))
    write_atomically(path, result.encode())


def _is_valid(text: str) -> bool:
    try:
        parse_recipe(tomllib.loads(text), "recipe")
    except RecipeError:
        return False
    return True


def lines_of(values: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The recipe's tables, and their values as TOML."""
    if "numberOfNeighbors" in values:
        k = int(values["numberOfNeighbors"])
        neighbors = f"{{ default = {k}, range = [1, {max(15, k)}] }}"
        return {"knn": {"number_of_neighbors": neighbors, "weighting": f'"{values["weighting"]}"'}}
    rate = float(values["learningRate"])
    low, high = learning_rate_range(rate)
    lines = {
        "optimizer": f'"{values["optimizer"]}"',
        "learning_rate": f"{{ default = {rate:.4g}, range = [{low:.4g}, {high:.4g}] }}",
        "mini_batch_size": f"{{ default = {values['miniBatchSize']}, allowed = {list(BATCHES)} }}",
        "epochs": f"{{ default = {values['epochs']}, range = {list(epochs_range(int(values['epochs'])))} }}",
    }
    if "momentum" in values:
        lines["momentum"] = f"{{ default = {float(values['momentum']):.4g}, range = [0.0, 0.99] }}"
    if "headScale" in values:
        lines["head_scale"] = f"{float(values['headScale']):.4g}"
    share = {"share": f"{float(values['reservedShare']):.4g}"} if "reservedShare" in values else {}
    replay = {"per_class": str(values["replay"])} if values.get("replay") else {}
    return {"update": lines, "reserved_labels": share, "replay": replay}


def without(text: str, table: str, field: str) -> str:
    """``text`` without this line of [table]."""
    return re.sub(rf"(^\[{table}\][^\n]*\n(?:(?!\[)[^\n]*\n)*?){field}[ \t]*=[^\n]*\n", r"\1", text, flags=re.MULTILINE)


def replaced(text: str, table: str, lines: Mapping[str, str]) -> str:
    """``text`` with these lines in [table], which is added where there is none."""
    header = re.search(rf"^\[{table}\][^\n]*\n", text, re.MULTILINE)
    if header is None:
        text = text.rstrip("\n") + f"\n\n[{table}]\n"
        start = end = len(text)
    else:
        start = header.end()
        after = re.search(r"^\[", text[start:], re.MULTILINE)
        end = start + after.start() if after else len(text)
    body = text[start:end]
    for key, value in lines.items():
        match = re.search(rf"^{key}[ \t]*=[^\n#]*", body, re.MULTILINE)
        new = f"{key} = {value} "
        body = body[: match.start()] + new + body[match.end() :] if match else f"{new}\n{body}"
    return text[:start] + re.sub(r"[ \t]+$", "", body, flags=re.MULTILINE) + text[end:]
