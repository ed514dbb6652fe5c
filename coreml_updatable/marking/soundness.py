"""The preconditions of ``mark``: valid wires and weights, and unique labels."""

from coreml_updatable.checking.graph import layers_in_order, outputs_distinct
from coreml_updatable.checking.ranks import blobs_counted
from coreml_updatable.checking.stored_weights import convolution_weights, products_hold_weights, weight_counts
from coreml_updatable.errors import ModelError
from coreml_updatable.spec.graph import layer_kind, place
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import class_labels, network_of

_RULES = (blobs_counted, outputs_distinct, layers_in_order, weight_counts, convolution_weights, products_hold_weights)
_ADVICE = "`coreml-updatable check` lists all problems; export the model again"


def expect_sound(model: Model) -> None:
    """Raise ModelError for the first fault in the network of ``model`` that makes marking impossible."""
    for index, layer in enumerate(network_of(model).layers):
        where, kind = place(index, layer), layer_kind(layer)
        if not kind:
            raise ModelError(f"{where}: is a layer without a type; {_ADVICE}")
        if kind in ("convolution", "innerProduct") and not getattr(layer, kind).outputChannels:
            raise ModelError(f"{where}: has 0 outputs, expected at least one; {_ADVICE}")
    for rule in _RULES:
        for finding in rule(model):
            raise ModelError(f"{finding.where}: {finding.found}, expected {finding.expected}; {_ADVICE}")
    labels = class_labels(model)
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise ModelError(f"labels: the model has {twice!r} twice, expected different labels; {_ADVICE}")
