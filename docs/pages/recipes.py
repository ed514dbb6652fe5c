"""Write ``docs/recipes.md`` from the schema: every field of a recipe with its type, default and an example.

python -m docs.pages.recipes > docs/recipes.md
"""

import inspect
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from coreml_updatable.recipes import recipe
from coreml_updatable.recipes.parameters import DoubleField, Int64Field

SAMPLES = Path(__file__).parents[2] / "sample_models"
SECTIONS: tuple[tuple[str, type[BaseModel], str], ...] = (
    ("", recipe.Recipe, "The top of the file"),
    ("input", recipe.ImageSection, "`[input]` of pictures"),
    ("input", recipe.ArraySection, "`[input]` of arrays: sounds, poses, tables"),
    ("outputs", recipe.OutputsSection, "`[outputs]`"),
    ("source", recipe.SourceSection, "`[source]`; the other fields are the converter's"),
    ("data", recipe.DataSection, "`[data]`"),
    ("update", recipe.SGDSection, "`[update]` with SGD"),
    ("update", recipe.AdamSection, "`[update]` with Adam"),
    ("knn", recipe.KNNSection, "`[knn]`"),
    ("personalization", recipe.PersonalizationSection, "`[personalization]` (optional)"),
    ("reserved_labels", recipe.ReservedLabelsSection, "`[reserved_labels]`"),
    ("replay", recipe.ReplaySection, "`[replay]` (optional)"),
    ("metadata", recipe.MetadataSection, "`[metadata]`"),
)
FIXED: tuple[tuple[str, type[BaseModel], str], ...] = (
    ("output", recipe.FixedOutput, "`[output]` where `updatable = false`"),
    ("source", recipe.FixedSource, "`[source]` where `updatable = false`"),
    ("preview", recipe.PreviewSection, "`[preview]` of scores, where `updatable = false`"),
)
TORCH = '`[source]` with `converter = "torch"`', "`[source.training]`"
WORDS = {str: "text", int: "integer", float: "number", bool: "true or false"}
MAX_EXAMPLE = 60


def page() -> str:
    """Return the page as Markdown."""
    source = import_module("coreml_updatable.converters.torch.source")
    every = [tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(SAMPLES.glob("*/recipe.toml"))]
    known = [item for item in every if item.get("updatable", True)]
    lines = [
        "# Recipes",
        "",
        "A recipe is a TOML file that contains everything a build needs. `coreml-updatable new NAME --data photos/`",
        "writes one for a folder of photos. This page is generated from the schema; its examples are from the samples.",
        "A field without a default is required.",
        "",
    ]
    for name, section, title in SECTIONS:
        lines += _table(
            section,
            title,
            [result for item in known if _is_of(section, result := item.get(name, {}) if name else item)],
        )
    sources = [item["source"] for item in known if "source" in item]
    lines += _table(source.TorchSource, TORCH[0], sources)
    lines += _table(source.TorchTraining, TORCH[1], [item.get("training", {}) for item in sources])
    for name, section, title in FIXED:
        lines += _table(section, title, [item[name] for item in every if item not in known and name in item])
    return "\n".join(lines)


def _table(section: type[BaseModel], title: str, known: list[Mapping[str, Any]]) -> list[str]:
    comments = dict(_comments(section))
    lines = [f"## {title}", "", "| field | type | default | example | |", "| --- | --- | --- | --- | --- |"]
    for name, field in section.model_fields.items():
        cells = (f"`{name}`", _type(field.annotation), _default(field), _example(name, known), comments.get(name, ""))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return [*lines, ""]


def _is_of(section: type[BaseModel], table: Mapping[str, Any]) -> bool:
    """Return whether ``table`` has this variant of its section: pictures or arrays, SGD or Adam."""
    forms = {
        recipe.ImageSection: ("type", "image", "image"),
        recipe.ArraySection: ("type", "image", "float32"),
        recipe.SGDSection: ("optimizer", "sgd", "sgd"),
        recipe.AdamSection: ("optimizer", "sgd", "adam"),
    }
    if section not in forms:
        return True
    field, default, wanted = forms[section]
    return bool(table.get(field, default) == wanted)


def _comments(section: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Yield each field with its comment in the code; inherited fields come first."""
    for item in reversed(section.__mro__):
        if issubclass(item, BaseModel) and item is not BaseModel:
            for line in inspect.getsource(item).splitlines():
                match = re.match(r"    (\w+): .*?  # (.*)", line)
                if match is not None:
                    yield match[1], match[2]


def _type(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inner[0])
    if origin is Literal:
        return " or ".join(f"`{json.dumps(item)}`" for item in inner)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_type(item) for item in inner if item is not type(None)))
    if origin is tuple:
        return f"list of {_type(inner[0])}"
    if origin is dict:
        return f"table of {_type(inner[1])}"
    if annotation in (DoubleField, Int64Field):
        number = "number" if annotation is DoubleField else "integer"
        return f"{number}, or a table with `default` and `range` or `allowed`"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "table"
    return WORDS.get(annotation, "text")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_none=True)
        return _short(value) if value else "see below"
    return _short(value)


def _example(name: str, known: list[Mapping[str, Any]]) -> str:
    value = next((item[name] for item in known if name in item), None)
    if value is None or (
        isinstance(value, dict)
        and any(isinstance(item, dict | list) for item in value.values())
        and "default" not in value
    ):
        return ""
    return _short(value)


def _short(value: Any) -> str:
    text = _toml(value)
    return f"`{text}`" if len(text) <= MAX_EXAMPLE else f"`{text[:MAX_EXAMPLE]}…`"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(item)}" for name, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    print(page(), end="")
