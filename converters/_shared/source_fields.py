"""Describe a fault in the fields of a recipe's [source] in one sentence; shared by the converters with fields."""

from collections.abc import Callable

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from coreml_updatable.text import field_meant


def sentence_of(
    error: ValidationError, form: type[BaseModel], converter: str, own: Callable[[ErrorDetails, str], str | None]
) -> str:
    """Return the most helpful problem: a misspelled field explains a missing one, so it comes first.

    ``own(problem, place)`` describes problems specific to ``converter``, and returns None for all others.
    """
    problems = error.errors(include_url=False)
    problem = next((item for item in problems if item["type"] == "extra_forbidden"), problems[0])
    place = ".".join(["source", *(str(part) for part in problem["loc"])])
    if problem["type"] == "extra_forbidden":
        return f"unknown field `{place}` of the {converter} converter; {_nearest(problem['loc'], form)}"
    return own(problem, place) or (
        f"{place} is {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}; correct it"
    )


def _nearest(location: tuple[int | str, ...], form: type[BaseModel]) -> str:
    for part in location[:-1]:
        section = form.model_fields[str(part)].annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            form = section
    return field_meant(str(location[-1]), form.model_fields)
