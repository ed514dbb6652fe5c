"""The templates of the pages and of the Swift, and the words that they share."""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from coreml_updatable.personalization.wording import percent
from coreml_updatable.publishing import wording
from coreml_updatable.publishing.catalogue.index import Entry, ModelFile, Parameter
from coreml_updatable.publishing.swift import case_names, literal
from coreml_updatable.text import on_page

if TYPE_CHECKING:
    from jinja2 import Template


def text_of(name: str) -> str:
    """A file of this package, or of the report's."""
    here = files("coreml_updatable.publishing")
    place = here / "report" / name if name == "report.css" else here / "catalogue" / name
    return place.read_text(encoding="utf-8")


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
        "bytes": lambda size: wording.byte_count(size).replace(" ", "\u00a0"),
        "prose": wording.typographic,
        "swift": literal,
        "allowed": allowed,
    }
    return environment.get_template(name)


def allowed(parameter: Parameter) -> str:
    """The values that an app may choose, in words."""
    if parameter.range is not None:
        return f"{parameter.range[0]:g} to {parameter.range[1]:g}"
    if parameter.allowed is not None:
        return ", ".join(str(value) for value in parameter.allowed)
    return "true or false" if isinstance(parameter.default, bool) else "any"


EXAMPLE_SITE = "https://example.org/models/"


def store_swift(entry: Entry, model: ModelFile, base_url: str, public_key: str | None) -> str:
    """The source file; an empty text for a model that an owner can teach neither photos nor multi-arrays."""
    image = next((one.name for one in model.inputs if one.type.startswith("Image")), None)
    array = image is None and len(model.inputs) == 1 and model.inputs[0].type.startswith("MultiArray")
    given = model.inputs[0].name if array else image
    label = next((one.name for one in model.outputs if one.type == "String"), None)
    probabilities = next((one.name for one in model.outputs if one.type.startswith("Dictionary (String")), None)
    if model.update is None or given is None or label is None or probabilities is None:
        return ""
    labels = [str(one) for one in model.labels or ()]
    return template("store.swift.j2", escape=False).render(
        type=f"{model.file.removesuffix('.mlmodel')}Store",
        entry=entry.name,
        site=base_url or EXAMPLE_SITE,
        public_key=public_key,
        file=model.file,
        labels=list(zip(case_names(labels), labels, strict=True)),
        array=array,
        row="array" if array else "photo",
        given="MLMultiArray" if array else "URL",
        value="MLFeatureValue(multiArray: array)" if array else "Self.value(photo, for: model)",
        input=given,
        label=label,
        probabilities=probabilities,
        parameters=[one for one in model.update.parameters if one.name != "seed"],
    )
