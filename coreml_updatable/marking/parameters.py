"""Write settings as the format's update parameters, replacing existing ones."""

from math import inf, isfinite

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.settings import SGD, DoubleParameter, Int64Parameter, UpdateSettings
from coreml_updatable.spec.messages import Model, NeuralNetwork_pb2
from coreml_updatable.spec.parameters import MAX_EPOCHS


def parameters_message(settings: UpdateSettings) -> Model:
    """``NetworkUpdateParameters`` without a loss layer. Raises ModelError for a default outside its range or set."""
    result = NeuralNetwork_pb2.NetworkUpdateParameters()
    optimizer = settings.optimizer
    if isinstance(optimizer, SGD):
        sgd = result.optimizer.sgdOptimizer
        write_double(sgd.learningRate, optimizer.learning_rate, "learningRate", positive=True)
        write_int64(sgd.miniBatchSize, optimizer.mini_batch_size, "miniBatchSize")
        write_double(sgd.momentum, optimizer.momentum, "momentum", most=1.0)
    else:
        adam = result.optimizer.adamOptimizer
        write_double(adam.learningRate, optimizer.learning_rate, "learningRate", positive=True)
        write_int64(adam.miniBatchSize, optimizer.mini_batch_size, "miniBatchSize")
        write_double(adam.beta1, optimizer.beta1, "beta1", most=1.0, below=True)
        write_double(adam.beta2, optimizer.beta2, "beta2", most=1.0, below=True)
        write_double(adam.eps, optimizer.eps, "eps")
    write_int64(result.epochs, settings.epochs, "epochs")
    if settings.epochs.default > MAX_EPOCHS:
        raise ModelError(
            f"epochs: the default is {settings.epochs.default}, expected at most {MAX_EPOCHS}, because more would "
            "train for hours on a phone; choose fewer (the range may allow more)"
        )
    result.shuffle.defaultValue = settings.shuffle
    if settings.seed is not None:
        _check_size(settings.seed, "seed")
        result.seed.defaultValue = settings.seed
    return result


def write_int64(message: Model, parameter: Int64Parameter, name: str) -> None:
    """Fill an ``Int64Parameter`` message; the format allows no value below 1 for any of these."""
    message.Clear()
    if parameter.range is not None and parameter.allowed is not None:
        raise ModelError(f"{name}: has a range and a set, expected one of them; the format can store only one")
    allowed = sorted(set(parameter.allowed)) if parameter.allowed is not None else None
    for value in (parameter.default, *(parameter.range or ()), *(allowed or ())):
        _check_size(value, name)
        if value < 1:
            raise ModelError(f"{name}: allows {value}, expected integers of 1 or more; remove it")
    if allowed is not None and parameter.default not in allowed:
        raise ModelError(
            f"{name}: the default {parameter.default} is not in the set {allowed}; add it or change the default"
        )
    _check_range(parameter.default, parameter.range, name)
    message.defaultValue = parameter.default
    if parameter.range is not None:
        message.range.minValue, message.range.maxValue = parameter.range
    if allowed is not None:
        message.set.values.extend(allowed)


def write_double(
    message: Model,
    parameter: DoubleParameter,
    name: str,
    *,
    most: float = inf,
    positive: bool = False,
    below: bool = False,
) -> None:
    """Fill a ``DoubleParameter`` message; numbers go from 0 to ``most``, a default that is ``positive`` is more than 0,
    one that is to be ``below`` is less than ``most``.

    Apple's validator bounds none of them; but against the gradient (learning rate below 0), nowhere (0), by steps
    that grow without end (momentum above 1, ``SGDOptimizer``), or divided by 1 - beta (``AdamOptimizer``) nothing is
    learned.
    """
    message.Clear()
    values = (parameter.default, *(parameter.range or ()))
    if not all(isfinite(value) for value in values):
        raise ModelError(f"{name}: is not a finite number; give one")
    if positive and not parameter.default > 0:
        raise ModelError(f"{name}: the default is {parameter.default:g}, expected more than 0; 0.01 is usual")
    if below and parameter.default == most:
        raise ModelError(f"{name}: the default is {most:g}, expected less; 0.9 and 0.999 are usual for beta1 and beta2")
    for value in values:
        if not 0 <= value <= most:
            limits = "0 or more" if most == inf else f"0 to {most:g}"
            raise ModelError(f"{name}: allows {value:g}, expected {limits}; change the default or the range")
    _check_range(parameter.default, parameter.range, name)
    message.defaultValue = parameter.default
    if parameter.range is not None:
        message.range.minValue, message.range.maxValue = parameter.range


def _check_range(default: float, limits: tuple[float, float] | None, name: str) -> None:
    if limits is not None and not limits[0] <= default <= limits[1]:
        raise ModelError(
            f"{name}: the default {default} is outside its range {limits[0]} to {limits[1]}; "
            "widen the range or change the default"
        )


def _check_size(value: int, name: str) -> None:
    if not -(2**63) <= value < 2**63:
        raise ModelError(f"{name}: {value} needs more than the format's 64 bits; choose a smaller number")
