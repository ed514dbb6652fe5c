"""The templates of pages and of Swift, and the words that they share."""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from coreml_updatable.personalization.wording import percent
from coreml_updatable.publishing import wording
from coreml_updatable.publishing.catalogue.index import ParameterEntry
from coreml_updatable.publishing.swift import literal
from coreml_updatable.spec.parameters import Parameter
from coreml_updatable.text import on_page

if TYPE_CHECKING:
    from jinja2 import Template


def text_of(name: str) -> str:
    """The file ``name`` of the report's folder or the catalogue's: "report/report.css"."""
    return (files("coreml_updatable.publishing") / name).read_text(encoding="utf-8")


@cache
def template(name: str, *, escape: bool = True) -> "Template":
    """``escape``: texts become HTML; a name that a template does not know is an error."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(text_of),
        autoescape=escape,
        finalize=on_page,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "percent": percent,
        "interval": wording.with_interval,
        "ms": wording.milliseconds,
        "bytes": lambda size: wording.byte_count(size).replace(" ", "\u00a0"),
        "tiny": wording.tiny,
        "prose": wording.typographic,
        "swift": literal,
        "allowed": allowed,
        "default_value": lambda parameter: (
            f"{parameter.default:g}" if isinstance(parameter.default, float) else str(parameter.default).lower()
        ),
    }
    return environment.get_template(name)


def allowed(parameter: Parameter | ParameterEntry) -> str:
    """The values that an app may choose, in words."""
    if parameter.range is not None:
        return f"{parameter.range[0]:g} to {parameter.range[1]:g}"
    if parameter.allowed is not None:
        return ", ".join(str(value) for value in parameter.allowed)
    return "true or false" if isinstance(parameter.default, bool) else "any"
