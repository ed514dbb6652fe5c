"""Rules for the optimizer and the other update parameters (``NetworkUpdateParameters``, ``Int64Parameter``)."""

from collections.abc import Iterator

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of

_NEEDED = {
    "sgdOptimizer": ("learningRate", "miniBatchSize"),
    "adamOptimizer": ("learningRate", "miniBatchSize", "beta1", "beta2", "eps"),
}
_REAL = ("learningRate", "beta1", "beta2", "eps")


def optimizer_of(model: Model) -> tuple[str, Model] | None:
    """Return type and message of the optimizer, or None."""
    optimizer = network_of(model).updateParams.optimizer
    kind = optimizer.WhichOneof("OptimizerType")
    return (kind, getattr(optimizer, kind)) if kind else None


def optimizer_set(model: Model) -> Iterator[Finding]:
    """The optimizer is SGD or Adam."""
    if optimizer_of(model) is None:
        yield Finding("updateParams", "has no optimizer", "SGD or Adam")


def sgd_complete(model: Model) -> Iterator[Finding]:
    """SGD has a learning rate and a mini-batch size."""
    yield from _missing(model, "sgdOptimizer")


def adam_complete(model: Model) -> Iterator[Finding]:
    """Adam has a learning rate, a mini-batch size, beta1, beta2 and eps."""
    yield from _missing(model, "adamOptimizer")


def epochs_set(model: Model) -> Iterator[Finding]:
    """The number of epochs is set."""
    if not network_of(model).updateParams.HasField("epochs"):
        yield Finding("updateParams", "has no epochs", "a number of epochs")


def real_defaults_in_range(model: Model) -> Iterator[Finding]:
    """The defaults of learning rate, beta1, beta2 and eps are in their ranges, if they have one; both ends count."""
    for name, parameter in real_parameters(model):
        limits = parameter.range
        if name in _REAL and parameter.HasField("range") and out_of_range(parameter):
            yield _outside(name, parameter.defaultValue, limits)


def counts_positive(model: Model) -> Iterator[Finding]:
    """The defaults of mini-batch size and epochs are 1 or more."""
    for name, parameter in integer_parameters(model):
        yield from default_positive(name, parameter)


def counts_in_set(model: Model) -> Iterator[Finding]:
    """If mini-batch size or epochs have a set, it contains the default."""
    for name, parameter in integer_parameters(model):
        yield from default_in_set(name, parameter)


def sets_positive(model: Model) -> Iterator[Finding]:
    """A set of mini-batch sizes or epochs contains nothing below 1 (Apple's compiler checks up to the default)."""
    for name, parameter in integer_parameters(model):
        yield from set_positive(name, parameter)


def counts_in_range(model: Model) -> Iterator[Finding]:
    """If mini-batch size or epochs have a range, it starts at 1 or more and contains the default."""
    for name, parameter in integer_parameters(model):
        yield from default_in_range(name, parameter)


def seed_in_range(model: Model) -> Iterator[Finding]:
    """The default of the seed is in its set or range, if it has one."""
    params = network_of(model).updateParams
    if not params.HasField("seed"):
        return
    seed = params.seed
    if seed.HasField("range") and out_of_range(seed):
        yield _outside("seed", seed.defaultValue, seed.range)
    yield from default_in_set("seed", seed)


def real_parameters(model: Model) -> Iterator[tuple[str, Model]]:
    """Yield name and message of each real-valued parameter that is set, including the momentum."""
    result = optimizer_of(model)
    if result is not None:
        for name in ("learningRate", "momentum", "beta1", "beta2", "eps"):
            if name in result[1].DESCRIPTOR.fields_by_name and result[1].HasField(name):
                yield name, getattr(result[1], name)


def integer_parameters(model: Model) -> Iterator[tuple[str, Model]]:
    """Yield mini-batch size and epochs, if they are set."""
    result = optimizer_of(model)
    if result is not None and result[1].HasField("miniBatchSize"):
        yield "miniBatchSize", result[1].miniBatchSize
    if network_of(model).updateParams.HasField("epochs"):
        yield "epochs", network_of(model).updateParams.epochs


def default_positive(name: str, parameter: Model) -> Iterator[Finding]:
    if parameter.defaultValue < 1:
        yield Finding(name, f"the default is {parameter.defaultValue}", "1 or more", "change the default")


def default_in_set(name: str, parameter: Model) -> Iterator[Finding]:
    if parameter.HasField("set") and parameter.defaultValue not in parameter.set.values:
        result = f"the default {parameter.defaultValue} is not in the set {sorted(parameter.set.values)}"
        yield Finding(name, result, "a default in the set", "add it or change the default")


def set_positive(name: str, parameter: Model) -> Iterator[Finding]:
    if not parameter.HasField("set"):
        return
    for value in parameter.set.values:
        if value == parameter.defaultValue:
            return
        if value < 1:
            yield Finding(name, f"the set allows {value}", "integers of 1 or more", "remove it")


def default_in_range(name: str, parameter: Model) -> Iterator[Finding]:
    if not parameter.HasField("range"):
        return
    limits = parameter.range
    if limits.minValue < 1 or limits.maxValue < 1:
        yield Finding(
            name, f"the range is {limits.minValue} to {limits.maxValue}", "a range that starts at 1 or more", "raise it"
        )
    elif parameter.defaultValue >= 1 and out_of_range(parameter):
        yield _outside(name, parameter.defaultValue, limits)


def out_of_range(parameter: Model) -> bool:
    """Return whether a value is out of range; NaN counts as inside, as for Apple's compiler."""
    return bool(parameter.defaultValue < parameter.range.minValue or parameter.defaultValue > parameter.range.maxValue)


def _outside(name: str, default: float, limits: Model) -> Finding:
    result = f"the default {default:g} is outside its range"
    return Finding(name, result, f"{limits.minValue:g} to {limits.maxValue:g}", "widen the range or change the default")


def _missing(model: Model, kind: str) -> Iterator[Finding]:
    result = optimizer_of(model)
    if result is not None and result[0] == kind:
        for name in _NEEDED[kind]:
            if not result[1].HasField(name):
                yield Finding("updateParams.optimizer", f"has no {name}", "one", f"set {name}")
