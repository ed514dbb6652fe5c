"""The values an app may choose for an update, read from a model: default, and range or set."""

from collections.abc import Iterator
from dataclasses import dataclass

from coreml_updatable.spec.messages import Model, NeuralNetwork
from coreml_updatable.spec.network import is_network, last_member, network_of

MAX_EPOCHS = 10_000  # a default beyond it is a slip: a phone would train for hours or days without a word
_ORDER = ("learningRate", "momentum", "miniBatchSize", "beta1", "beta2", "eps")


@dataclass(frozen=True)
class Parameter:
    """A parameter as Core ML names it (``MLParameterKey``); without ``range`` and ``allowed`` it is not bounded."""

    name: str
    default: float | int | bool
    range: tuple[float, float] | None = None
    allowed: tuple[int, ...] | None = None


def network_parameters(network: NeuralNetwork) -> tuple[Parameter, ...]:
    """The parameters set in a network's ``updateParams``."""
    return tuple(_parameters(network))


def update_parameters(model: Model) -> tuple[Parameter, ...]:
    """Return the parameters that an app may set for an update of ``model``; none where it is not updatable."""
    learner = last_member(model)
    if not model.isUpdatable:
        return ()
    if is_network(learner):
        return network_parameters(network_of(learner))
    if learner.WhichOneof("Type") == "kNearestNeighborsClassifier":
        return (parameter("numberOfNeighbors", learner.kNearestNeighborsClassifier.numberOfNeighbors),)
    return ()


def parameter(name: str, message: Model) -> Parameter:
    """One ``Int64Parameter``, ``DoubleParameter`` or ``BoolParameter`` message."""
    bounded = message.WhichOneof("AllowedValues") if "AllowedValues" in message.DESCRIPTOR.oneofs_by_name else None
    limits = (message.range.minValue, message.range.maxValue) if bounded == "range" else None
    allowed = tuple(int(value) for value in message.set.values) if bounded == "set" else None
    return Parameter(name, message.defaultValue, limits, allowed)


def describe_parameter(parameter: Parameter) -> str:
    """In words: ``0.01, 0 to 1``, ``8, one of 1, 8, 16``, ``true``."""
    text = _number(parameter.default)
    if parameter.allowed is not None:
        return f"{text}, one of {', '.join(map(str, parameter.allowed))}"
    if parameter.range is not None:
        return f"{text}, {_number(parameter.range[0])} to {_number(parameter.range[1])}"
    return text


def _number(value: float) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _parameters(network: NeuralNetwork) -> Iterator[Parameter]:
    params = network.updateParams
    kind = params.optimizer.WhichOneof("OptimizerType")
    if kind is not None:
        optimizer = getattr(params.optimizer, kind)
        for name in _ORDER:
            if name in optimizer.DESCRIPTOR.fields_by_name and optimizer.HasField(name):
                yield parameter(name, getattr(optimizer, name))
    for name in ("epochs", "shuffle", "seed"):
        if params.HasField(name):
            yield parameter(name, getattr(params, name))
