"""What is wrong with the fields of a recipe's [source], as one sentence: shared by the converters that have some."""

from collections.abc import Callable
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails


def sentence_of(
    error: ValidationError, form: type[BaseModel], converter: str, own: Callable[[ErrorDetails, str], str | None]
) -> str:
    """The most telling problem: a misspelt field explains a missing one, so it goes first.

    ``own(problem, place)`` says what is peculiar to ``converter``, and None of everything else.
    """
    problems = error.errors(include_url=False)
    problem = next((one for one in problems if one["type"] == "extra_forbidden"), problems[0])
    place = ".".join(["source", *(str(part) for part in problem["loc"])])
    if problem["type"] == "extra_forbidden":
        return f"{place} is not a field of the {converter} converter; {_nearest(problem['loc'], form)}"
    return own(problem, place) or (
        f"{place} is {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}; correct it"
    )


def _nearest(location: tuple[int | str, ...], form: type[BaseModel]) -> str:
    for part in location[:-1]:
        section = form.model_fields[str(part)].annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            form = section
    known = list(form.model_fields)
    near = get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"the fields here are: {', '.join(sorted(known))}"
