"""Swift for one model of a catalogue: fetch, verify, compile, predict, update, save, reset, with its own names."""

from coreml_updatable.publishing.catalogue.index import Entry, ModelFile
from coreml_updatable.publishing.catalogue.templates import template
from coreml_updatable.publishing.swift import case_names

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
