"""categoricalMapping: y = map[x], or the value for what is not in the map. ``CategoricalMapping``.

Without such a value, what is not in the map is refused.
"""

from typing import Any

from coreml_updatable.errors import DataError, ModelError, quoted
from coreml_updatable.runtime.steps import Run
from coreml_updatable.runtime.steps.interface import CATEGORIES, each
from coreml_updatable.spec.messages import Model


def build(model: Model) -> Run:
    mapping = model.categoricalMapping
    kind, otherwise = mapping.WhichOneof("MappingType"), mapping.WhichOneof("ValueOnUnknown")
    if kind is None:
        raise ModelError("model: a categoricalMapping without a map; export the model again")
    known = dict(getattr(mapping, kind).map)
    default = getattr(mapping, otherwise) if otherwise else None

    def mapped(value: Any, where: str) -> Any:
        found = known.get(value, default)
        if found is None:
            raise DataError(
                f"{where}: is {quoted(value)}, which the model's map does not have; give one of its categories"
            )
        return found

    return each(model, mapped, CATEGORIES)
