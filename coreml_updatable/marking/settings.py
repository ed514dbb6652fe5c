"""What an updatable model is told about its training, and the values an app may choose."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Int64Parameter:
    """A whole-number parameter: its default, and a range (both ends included), a set of allowed values, or neither."""

    default: int
    range: tuple[int, int] | None = None
    allowed: tuple[int, ...] | None = None


@dataclass(frozen=True)
class DoubleParameter:
    """A real parameter: its default and, where it is bounded, its range (both ends included)."""

    default: float
    range: tuple[float, float] | None = None


@dataclass(frozen=True)
class SGD:
    """``SGDOptimizer`` of the format."""

    learning_rate: DoubleParameter
    mini_batch_size: Int64Parameter
    momentum: DoubleParameter


@dataclass(frozen=True)
class Adam:
    """``AdamOptimizer`` of the format."""

    learning_rate: DoubleParameter
    mini_batch_size: Int64Parameter
    beta1: DoubleParameter
    beta2: DoubleParameter
    eps: DoubleParameter


@dataclass(frozen=True)
class UpdateSettings:
    """``NetworkUpdateParameters`` of the format, less its loss layer."""

    optimizer: SGD | Adam
    epochs: Int64Parameter
    shuffle: bool = True
    seed: int | None = None


@dataclass(frozen=True)
class KNNSettings:
    """``KNearestNeighborsClassifier`` of the format, less its samples."""

    number_of_neighbors: Int64Parameter
    weighting: str = "inverse-distance"  # or "uniform"
    index: str = "linear"  # or "kd-tree"
    leaf_size: int = 30  # of a kd-tree
    default_label: str | int = "unknown"
