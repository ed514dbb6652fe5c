"""What the two support vector machines share: K(v, x) of every support vector v. ``Kernel``, ``SparseVector``.

linear v x; rbf e^(-gamma |v - x|^2); poly (gamma v x + c)^degree; sigmoid tanh(gamma v x + c).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import DataError, ModelError

Vector = NDArray[np.float64]


class DenseVectors:
    """Support vectors [n, D]."""

    def __init__(self, message: Any) -> None:
        vectors = [np.array(vector.values, np.float64) for vector in message.vectors]
        lengths = sorted({len(vector) for vector in vectors})
        if len(lengths) > 1:
            listed = ", ".join(str(length) for length in lengths[:8])
            raise ModelError(f"model: support vectors of the lengths {listed}, expected one; export it again")
        self._values = np.stack(vectors) if vectors else np.zeros((0, 0))
        self.count = len(vectors)

    def expect_width(self, width: int) -> None:
        if self.count and self._values.shape[1] != width:
            raise ModelError(
                f"model: its inputs hold {width} values a row, its support vectors {self._values.shape[1]}; "
                "export the model again"
            )

    def products(self, x: Vector) -> Vector:
        return self._values @ x if self.count else np.zeros(0)

    def distances(self, x: Vector) -> Vector:
        """Squared."""
        return np.square(self._values - x).sum(1) if self.count else np.zeros(0)


class SparseVectors:
    """The values that are not 0, one vector after the other. Indexes count from 1, as in LIBSVM."""

    def __init__(self, message: Any) -> None:
        self.count = len(message.vectors)
        rows, columns, values = [], [], []
        for number, vector in enumerate(message.vectors):
            indexes = [node.index for node in vector.nodes]
            if any(index < 1 for index in indexes) or len(set(indexes)) < len(indexes):
                raise ModelError(
                    f"model: support vector {number} has an index below 1, or one twice; export the model again"
                )
            rows += [number] * len(indexes)
            columns += [index - 1 for index in indexes]
            values += [node.value for node in vector.nodes]
        self._rows, self._columns = np.array(rows, np.int64), np.array(columns, np.int64)
        self._values = np.array(values, np.float64)

    def expect_width(self, width: int) -> None:
        if len(self._columns) and int(self._columns.max()) >= width:
            raise ModelError(
                f"model: its inputs hold {width} values a row, a support vector names value {self._columns.max() + 1}; "
                "export the model again"
            )

    def products(self, x: Vector) -> Vector:
        return self._sums(self._values * x[self._columns])

    def distances(self, x: Vector) -> Vector:
        """Squared: |x|^2, but (v - x)^2 in place of x^2 where v is not 0."""
        read = x[self._columns]
        changes = self._sums(np.square(self._values - read) - np.square(read))
        distances: Vector = np.maximum(np.square(x).sum() + changes, 0)
        return distances

    def _sums(self, values: Vector) -> Vector:
        return np.asarray(np.bincount(self._rows, weights=values, minlength=self.count), np.float64)


def kernel_of(machine: Any) -> tuple[Callable[[Vector], Vector], int]:
    """The kernel of a ``SupportVectorClassifier`` or ``Regressor``, as a function of one row x [D] -> [vectors].

    And how many vectors there are. ModelError if it has no kernel or no vectors, or if x does not fit them.
    """
    vectors = _vectors(machine)
    kind = machine.kernel.WhichOneof("kernel")
    if kind is None:
        raise ModelError("model: a support vector machine without a kernel; export the model again")
    kernel = getattr(machine.kernel, kind)
    if kind == "polyKernel" and kernel.degree < 0:
        raise ModelError(f"model: a polynomial of degree {kernel.degree}, expected 0 or more; export the model again")

    def run(x: Vector) -> Vector:
        vectors.expect_width(len(x))
        match kind:
            case "linearKernel":
                return vectors.products(x)
            case "rbfKernel":
                return np.asarray(np.exp(-kernel.gamma * vectors.distances(x)))
            case "polyKernel":
                return np.asarray((kernel.gamma * vectors.products(x) + kernel.c) ** kernel.degree)
        return np.asarray(np.tanh(kernel.gamma * vectors.products(x) + kernel.c))

    return run, vectors.count


def expect_finite(scores: NDArray[np.float64], number: int) -> None:
    """DataError if a score of row ``number`` is not finite: it says nothing then."""
    if not np.isfinite(scores).all():
        raise DataError(
            f"row {number}: the scores of the support vectors are not finite, expected smaller features; scale them as "
            "for training"
        )


def _vectors(machine: Any) -> DenseVectors | SparseVectors:
    match machine.WhichOneof("supportVectors"):
        case "denseSupportVectors":
            return DenseVectors(machine.denseSupportVectors)
        case "sparseSupportVectors":
            return SparseVectors(machine.sparseSupportVectors)
    raise ModelError("model: a support vector machine without support vectors; export the model again")
