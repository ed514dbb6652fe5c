"""Why two computations that must agree do not: numbers beyond what 32-bit sums carry, or a fault of ours."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor

from coreml_updatable.spec.flat_weights import numbers_in
from coreml_updatable.spec.graph import layer_kind, place
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import is_network, is_pipeline, network_of, pipeline_of

LARGEST = 1e4  # 32-bit floats carry seven digits: beyond it a sum is off by more than 1e-3
_NO_SUMMANDS = ("loadConstant", "loadConstantND", "clip")  # a mask may well add minus infinity; bounds add nothing
_FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)


def remedy(model: Model) -> str:
    """The end of a sentence that says the answers of ``model`` and of what was made of it differ."""
    where, number = max(_extremes(model), key=lambda found: _size(found[1]), default=("", 0.0))
    if _size(number) > LARGEST:
        return (
            f"nothing was written, {where} holds the number {number:.3g}, with which 32-bit sums are not exact; "
            "export the model again"
        )
    return "nothing was written, this is a fault of coreml_updatable, please report it"


def _size(number: float) -> float:
    return float("inf") if np.isnan(number) else abs(number)


def _extremes(model: Model) -> Iterator[tuple[str, float]]:
    """Of each layer, or of a model that has none: the number that is not finite, or else the largest."""
    if is_pipeline(model):
        for member in pipeline_of(model).models:
            yield from _extremes(member)
        return
    parts = [("model", getattr(model, model.WhichOneof("Type")))]
    if is_network(model):
        network = network_of(model)
        layers = [(place(number, layer), layer) for number, layer in enumerate(network.layers)]
        parts = [(where, layer) for where, layer in layers if layer_kind(layer) not in _NO_SUMMANDS]
        parts += [("preprocessing", each) for each in network.preprocessing]
    for where, part in parts:
        for numbers in _numbers(part):
            found = np.asarray(numbers, np.float64).ravel()
            if found.size:
                yield where, float(found[np.argmax(np.where(np.isnan(found), np.inf, np.abs(found)))])


def _numbers(message: Any) -> Iterator[Any]:
    if message.DESCRIPTOR.name == "WeightParams":
        values = numbers_in(message).values
        yield [] if values is None else values
        return
    for field, value in message.ListFields():
        if field.cpp_type in _FLOATS:
            yield value
        elif field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE and not field.message_type.GetOptions().map_entry:
            for inner in value if field.is_repeated else (value,):
                yield from _numbers(inner)
