"""An update may change the weights of updatable layers; everything else that differs is refused."""

from collections.abc import Callable

import pytest

from coreml_updatable.building.prove import changed_layers
from coreml_updatable.errors import BuildError
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer
from coreml_updatable.spec.network import network_of
from tests.broken_models import valid


def layer(model: Model, name: str) -> NeuralNetworkLayer:
    return next(item for item in network_of(model).layers if item.name == name)


def nothing(_: Model) -> None:
    """The personal model is the base."""


def frozen_layer(model: Model) -> None:
    frozen = next(item for item in network_of(model).layers if not item.isUpdatable)
    frozen.name += " changed"


def updatable_weight(model: Model) -> None:
    layer(model, "fc").innerProduct.weights.floatValue[0] += 1.0


def description_too(model: Model) -> None:
    updatable_weight(model)
    model.description.metadata.author = "somebody else"


def size_too(model: Model) -> None:
    updatable_weight(model)
    layer(model, "fc").innerProduct.inputChannels += 1


def changed(change: Callable[[Model], None]) -> tuple[str, ...]:
    personal = valid.classifier()
    change(personal)
    return changed_layers(valid.classifier(), personal)


def test_a_changed_weight_of_an_updatable_layer_is_named() -> None:
    assert changed(updatable_weight) == ("fc",)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (nothing, "changed no layer, .*; raise the learning rate"),
        (frozen_layer, "changed the frozen layer '.*', expected only updatable"),
        (description_too, "changed more than weights"),
        (size_too, "changed more than weights"),
    ],
)
def test_anything_else_is_refused(change: Callable[[Model], None], sentence: str) -> None:
    with pytest.raises(BuildError, match=sentence):
        changed(change)
