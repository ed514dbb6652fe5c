"""Reading a recipe file, and saying in one sentence what is wrong with it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from coreml_updatable.errors import RecipeError
from coreml_updatable.recipes.recipe import (
    AdamSection,
    AnyRecipe,
    ArraySection,
    FixedRecipe,
    ImageSection,
    Recipe,
    SGDSection,
)
from coreml_updatable.text import field_meant
from coreml_updatable.toml import read_toml

Form = TypeVar("Form", bound=BaseModel)
EXPECTED = {  # pydantic's type of an error -> what a recipe needs there
    "bool_type": "true or false",
    "dict_type": "a table",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "int_type": "an integer",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "string_type": "text in quotes",
    "too_long": "at most {max_length} entries",
    "too_short": "at least {min_length} entries",
    "tuple_type": "a list",
}
FORMS: dict[str, type[BaseModel]] = {  # of a section, by what chooses them
    "adam": AdamSection,
    "float32": ArraySection,
    "image": ImageSection,
    "sgd": SGDSection,
}
RENAMED = {
    "slots": '[reserved_labels] with count and share, and [personalization] with kinds = { KIND = "user0", ... }',
    "personalization.kind": "kinds = { KIND = LABEL }",
    "personalization.label": "kinds = { KIND = LABEL }",
    "personalization.photos": "shots",
}
PATTERNS = {
    "name": "a letter, then at most 63 letters, digits and underscores",
    "data.draw": '"file.py:function"',
    "data.load": '"file.py:function"',
    "data.adapt": '"file.py:function"',
    "data.show": '"file.py:function"',
    "input.noun": "one lowercase word",
    "source.make": '"file.py:function"',
}


def read_recipe(path: Path) -> Recipe:
    """The validated recipe in the TOML file ``path``; a RecipeError names the first wrong field and the right one."""
    return parse_recipe(_read_table(path), str(path))


def read_any_recipe(path: Path) -> AnyRecipe:
    """The same, also of a model that is not updatable."""
    table = _read_table(path)
    return (
        _validated(FixedRecipe, table, str(path)) if table.get("updatable") is False else parse_recipe(table, str(path))
    )


def _read_table(path: Path) -> dict[str, Any]:
    """What the TOML file ``path`` holds; a RecipeError where it is none."""
    return read_toml(path, RecipeError)[1]


def parse_recipe(table: dict[str, Any], where: str) -> Recipe:
    """The recipe in a parsed TOML ``table``."""
    for old, new in RENAMED.items():
        section, _, field = old.partition(".")
        result = table.get(section)
        if result is not None and (not field or (isinstance(result, dict) and field in result)):
            raise RecipeError(f"{where}: {old} has a new name; write {new}")
    return _validated(Recipe, _with_defaults(table), where)


def _validated(form: type[Form], table: dict[str, Any], where: str) -> Form:
    try:
        # As JSON: only there does pydantic's strict mode, which converts no types, take a list for a tuple.
        return form.model_validate_json(json.dumps(table, default=str), strict=True)
    except ValidationError as error:
        raise RecipeError(f"{where}: {_sentence_of(error, form)}") from error


def _with_defaults(table: dict[str, Any]) -> dict[str, Any]:
    """What chooses between the forms of a section, where the recipe does not say it."""
    chosen = {"input": {"type": "image"}, "update": {"optimizer": "sgd"}}
    sections = {
        name: {**default, **table[name]} for name, default in chosen.items() if isinstance(table.get(name), dict)
    }
    return {**table, **sections}


def _sentence_of(error: ValidationError, form: type[BaseModel]) -> str:
    """The most telling problem: a misspelt field explains a missing one, so it goes first."""
    problems = error.errors(include_url=False)
    problem = next((item for item in problems if item["type"] == "extra_forbidden"), problems[0])
    place = ".".join(str(part) for part in problem["loc"] if part not in FORMS)
    result = _shortened(repr(problem["input"]))
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    match problem["type"]:
        case "extra_forbidden":
            *sections, name = problem["loc"]
            return f"unknown field `{place}`; {field_meant(str(name), _fields_at(sections, form))}"
        case "missing":
            return f"{place} is missing; add it"
        case "value_error":
            return f"{place} {message}" if place else message
        case "literal_error":
            return f"{place} is {result}, expected {problem['ctx']['expected']}; correct it"
        case "union_tag_invalid":
            context = problem["ctx"]
            chosen = context["discriminator"].strip("'")
            forms = context["expected_tags"].replace(", ", " or ")
            return f"{place}.{chosen} is {context['tag']!r}, expected {forms}; correct it"
        case "model_type" if problem["ctx"]["class_name"] in ("Int64Field", "DoubleField"):
            return (
                f"{place} is {result}, expected a number or {{ default = ..., range = [lowest, highest] }}; correct it"
            )
        case kind if kind == "model_type" or (kind == "dict_type" and place in ("input", "update")):
            return f"{place} is {result}, expected a table; write it as [{place}]"
        case "string_pattern_mismatch" if (listed := place.rstrip("0123456789").rstrip(".")) in PATTERNS:
            return f"{place} is {result}, expected {PATTERNS[listed]}; correct it"
        case kind if kind in EXPECTED:
            return f"{place} is {result}, expected {EXPECTED[kind].format(**problem.get('ctx', {}))}; correct it"
    return f"{place} is {result}: {message}; correct it"


def _shortened(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:100]}..."


def _fields_at(location: Iterable[int | str], form: type[BaseModel]) -> list[str]:
    section = form
    for part in location:
        if part in FORMS:
            section = FORMS[str(part)]
            continue
        result = section.model_fields.get(str(part))
        if result is None:
            break
        section = next((item for item in _sections_in(result.annotation)), section)
    return list(section.model_fields)


def _sections_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for argument in getattr(annotation, "__args__", ()) for section in _sections_in(argument)]
