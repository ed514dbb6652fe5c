"""The update parameters of a model: defaults, and the values that an app may choose."""

from dataclasses import dataclass, field

from coreml_updatable.typed import typed_class

LEARNING_RATES = 0.0001, 1.0  # the range of SGD that apps usually need
ADAM_LEARNING_RATES = 0.00001, 0.1
BATCH_SIZES = 1, 2, 4, 8, 16


@typed_class
@dataclass(frozen=True)
class Int64Parameter:
    """An integer parameter: its default, and a range (inclusive), a set of allowed values, or neither."""

    default: int
    range: tuple[int, int] | None = None
    allowed: tuple[int, ...] | None = None


@typed_class
@dataclass(frozen=True)
class DoubleParameter:
    """A real parameter: its default and, if it is bounded, its range (inclusive)."""

    default: float
    range: tuple[float, float] | None = None


def _integer(value: int | Int64Parameter, bounds: tuple[int, int]) -> Int64Parameter:
    """A bare number with the usual range, widened to hold it."""
    if isinstance(value, Int64Parameter):
        return value
    return Int64Parameter(value, (min(bounds[0], value), max(bounds[1], value)))


def _real(value: float | DoubleParameter, bounds: tuple[float, float]) -> DoubleParameter:
    if isinstance(value, DoubleParameter):
        return value
    return DoubleParameter(float(value), (min(bounds[0], float(value)), max(bounds[1], float(value))))


def _batch(value: int | Int64Parameter) -> Int64Parameter:
    if isinstance(value, Int64Parameter):
        return value
    return Int64Parameter(value, allowed=tuple(sorted({*BATCH_SIZES, value})))


@typed_class
@dataclass(frozen=True, init=False)
class SGD:
    """``SGDOptimizer`` of the format. A single number gets the range that apps usually need."""

    learning_rate: DoubleParameter
    mini_batch_size: Int64Parameter
    momentum: DoubleParameter

    def __init__(
        self,
        learning_rate: float | DoubleParameter = 0.01,
        mini_batch_size: int | Int64Parameter = 8,
        momentum: float | DoubleParameter = 0.0,
    ) -> None:
        object.__setattr__(self, "learning_rate", _real(learning_rate, LEARNING_RATES))
        object.__setattr__(self, "mini_batch_size", _batch(mini_batch_size))
        object.__setattr__(self, "momentum", _real(momentum, (0, 1)))


def usual_sgd(reserved: int) -> SGD:
    """Return SGD as it learns best: reserved labels have a longer way to go (docs/marking.md has the figures)."""
    return SGD(0.03, 1) if reserved else SGD()


@typed_class
@dataclass(frozen=True, init=False)
class Adam:
    """``AdamOptimizer`` of the format. A single number gets the range that apps usually need."""

    learning_rate: DoubleParameter
    mini_batch_size: Int64Parameter
    beta1: DoubleParameter
    beta2: DoubleParameter
    eps: DoubleParameter

    def __init__(
        self,
        learning_rate: float | DoubleParameter = 0.001,
        mini_batch_size: int | Int64Parameter = 8,
        beta1: float | DoubleParameter = 0.9,
        beta2: float | DoubleParameter = 0.999,
        eps: float | DoubleParameter = 1e-8,
    ) -> None:
        object.__setattr__(self, "learning_rate", _real(learning_rate, ADAM_LEARNING_RATES))
        object.__setattr__(self, "mini_batch_size", _batch(mini_batch_size))
        for name, value in (("beta1", beta1), ("beta2", beta2), ("eps", eps)):
            object.__setattr__(self, name, _real(value, (0, 1)))


@dataclass(frozen=True, init=False)
class UpdateSettings:
    """``NetworkUpdateParameters`` of the format, without its loss layer."""

    optimizer: SGD | Adam
    epochs: Int64Parameter
    shuffle: bool
    seed: int | None

    def __init__(
        self,
        optimizer: SGD | Adam | None = None,
        epochs: int | Int64Parameter = 10,
        shuffle: bool = True,
        seed: int | None = None,
    ) -> None:
        object.__setattr__(self, "optimizer", SGD() if optimizer is None else optimizer)
        object.__setattr__(self, "epochs", _integer(epochs, (1, 100)))
        object.__setattr__(self, "shuffle", shuffle)
        object.__setattr__(self, "seed", seed)


@dataclass(frozen=True)
class KNNSettings:
    """``KNearestNeighborsClassifier`` of the format, without its samples."""

    number_of_neighbors: Int64Parameter = field(default_factory=lambda: Int64Parameter(3, (1, 15)))
    weighting: str = "inverse-distance"  # or "uniform"
    index: str = "linear"  # or "kd-tree"
    leaf_size: int = 30  # of a kd-tree
    default_label: str | int = "unknown"
