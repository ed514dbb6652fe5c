"""What an update changed in a network's message: the weights of updatable layers, and nothing else."""

from coreml_updatable.errors import BuildError
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.writing import model_bytes


def changed_layers(base: Model, personal: Model) -> tuple[str, ...]:
    """Names of the updatable layers that differ; a BuildError if anything else does, or nothing at all."""
    pairs = list(zip(network_of(base).layers, network_of(personal).layers, strict=True))
    changed = [before.name for before, after in pairs if before != after]
    frozen = [before.name for before, after in pairs if before != after and not before.isUpdatable]
    if frozen:
        raise BuildError(
            f"simulated update: changed the frozen layer {frozen[0]!r}, expected only updatable ones to change"
        )
    if not changed:
        raise BuildError(
            "simulated update: changed no layer, expected the updatable ones to change; raise the learning rate"
        )
    if model_bytes(_without_updatable(base)) != model_bytes(_without_updatable(personal)):
        raise BuildError("simulated update: changed more than weights, expected every other field to stay as it was")
    return tuple(changed)


def _without_updatable(model: Model) -> Model:
    """A copy in which the values of updatable weights are gone."""
    copy = type(model)()
    copy.CopyFrom(model)
    for layer in network_of(copy).layers:
        if layer.isUpdatable:
            _clear_values(layer)
    return copy


def _clear_values(layer: NeuralNetworkLayer) -> None:
    parameters = getattr(layer, layer.WhichOneof("layer"))
    for field, value in parameters.ListFields():
        if field.message_type is not None and field.message_type.name == "WeightParams":
            value.ClearField("floatValue")
