"""Support vector machines. All use K(v, x) for every support vector v: linear v x; rbf e^(-gamma |v - x|^2); poly
(gamma v x + c)^degree; sigmoid tanh(gamma v x + c).

supportVectorClassifier: one machine for each pair of classes, whose votes are counted. C-SVC and nu-SVC are computed in
the same way, as in LIBSVM (Chang and Lin, ACM TIST 2011, sections 4 and 8), whose layout the message uses. For classes
i < j, the score of the machine is the sum over the vectors of both classes of K(v, x) times coefficients[j - 1]
(vectors of i) or coefficients[i] (vectors of j), minus rho; if it is above 0, the machine votes for i, otherwise for j.
The class with the most votes wins; if several have equally many, the first. With probA and probB, the probability of i
is 1 / (1 + e^(A score + B)); for more than two classes, the pairs are coupled (Wu, Lin and Weng, JMLR 2004, second
method). The most likely class can differ from the winner of the votes; which of them Core ML returns as the label is
the assumption ``support_vector_label``. x [D] is the concatenation of all inputs.

supportVectorRegressor: y = sum of alpha_i K(v_i, x) - rho, for both epsilon-SVR and nu-SVR. x [D] is the concatenation
of all inputs.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime.assumptions import PredictionAssumptions
from coreml_updatable.runtime.steps import RunStep
from coreml_updatable.runtime.steps.classes import Label, labels_of, logistic
from coreml_updatable.runtime.steps.interface import expect_numbers, matrix
from coreml_updatable.spec.messages import Model

Vector = NDArray[np.float64]


class DenseVectors:
    """Support vectors [n, D]."""

    def __init__(self, message: Any) -> None:
        vectors = [np.array(vector.values, np.float64) for vector in message.vectors]
        lengths = sorted({len(vector) for vector in vectors})
        if len(lengths) > 1:
            listed = ", ".join(str(length) for length in lengths[:8])
            raise ModelError(
                f"model: has support vectors of the lengths {listed}, expected equal lengths; export it again"
            )
        self._values = np.stack(vectors) if vectors else np.zeros((0, 0))
        self.count = len(vectors)

    def expect_width(self, width: int) -> None:
        if self.count and self._values.shape[1] != width:
            raise ModelError(
                f"model: its inputs have {width} values per row, but its support vectors have "
                f"{self._values.shape[1]}; export the model again"
            )

    def products(self, x: Vector) -> Vector:
        return self._values @ x if self.count else np.zeros(0)

    def distances(self, x: Vector) -> Vector:
        """Return squared distances."""
        return np.square(self._values - x).sum(1) if self.count else np.zeros(0)


class SparseVectors:
    """Support vectors without their zeros, one after the other. Indices start at 1, as in LIBSVM."""

    def __init__(self, message: Any) -> None:
        self.count = len(message.vectors)
        rows, columns, values = [], [], []
        for position, vector in enumerate(message.vectors):
            indexes = [node.index for node in vector.nodes]
            if any(index < 1 for index in indexes) or len(set(indexes)) < len(indexes):
                raise ModelError(
                    f"model: support vector {position} has an index below 1 or a repeated index; export the model again"
                )
            rows += [position] * len(indexes)
            columns += [index - 1 for index in indexes]
            values += [node.value for node in vector.nodes]
        self._rows, self._columns = np.array(rows, np.int64), np.array(columns, np.int64)
        self._values = np.array(values, np.float64)

    def expect_width(self, width: int) -> None:
        if len(self._columns) and int(self._columns.max()) >= width:
            raise ModelError(
                f"model: its inputs have {width} values per row, but a support vector names value "
                f"{self._columns.max() + 1}; export the model again"
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
    """Return the kernel of a ``SupportVectorClassifier`` or ``Regressor`` as a function of a row x [D] -> [vectors].

    Also returns the number of vectors. ModelError if there is no kernel or no vector, or if x does not fit them.
    """
    vectors = _vectors(machine)
    kind = machine.kernel.WhichOneof("kernel")
    if kind is None:
        raise ModelError("model: is a support vector machine without a kernel; export it again")
    kernel = getattr(machine.kernel, kind)
    if kind == "polyKernel" and kernel.degree < 0:
        raise ModelError(
            f"model: has a polynomial kernel of degree {kernel.degree}, expected 0 or more; export it again"
        )

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


def expect_finite(scores: NDArray[np.float64], index: int) -> None:
    """Raise DataError if a score of row ``number`` is not finite, because it is then meaningless."""
    if not np.isfinite(scores).all():
        raise DataError(
            f"row {index}: the scores of the support vectors are not finite; scale the features as for training"
        )


def _vectors(machine: Any) -> DenseVectors | SparseVectors:
    match machine.WhichOneof("supportVectors"):
        case "denseSupportVectors":
            return DenseVectors(machine.denseSupportVectors)
        case "sparseSupportVectors":
            return SparseVectors(machine.sparseSupportVectors)
    raise ModelError("model: is a support vector machine without support vectors; export it again")


LEAST = 1e-7  # probability of a pair's class, as in LIBSVM: coupling divides by it
MAX_COUPLED = 512  # classes: coupling takes their number cubed
Numbers = NDArray[np.float64]


def support_vector_classifier(model: Model, assumptions: PredictionAssumptions) -> RunStep:
    machine = model.supportVectorClassifier
    labels = labels_of(model)
    kernel, vectors = kernel_of(machine)
    counts = _counts(machine, len(labels), vectors)
    coefficients = _coefficients(machine, len(labels), vectors)
    pairs = len(labels) * (len(labels) - 1) // 2
    rho = _for_pairs(machine.rho, "rho", pairs)
    described = model.description
    name = str(described.predictedProbabilitiesName)
    if name and not (machine.probA and machine.probB):
        raise ModelError(
            f"model: describes the output '{name}', the probabilities, but has no probA and probB to compute them; "
            "train it with probabilities and export it again"
        )
    slopes = _for_pairs(machine.probA, "probA", pairs) if name else None
    offsets = _for_pairs(machine.probB, "probB", pairs) if name else None
    if name and len(labels) > MAX_COUPLED:
        raise ModelError(
            f"model: has probabilities of {len(labels)} classes, expected at most {MAX_COUPLED}; use fewer"
        )
    first, second = np.triu_indices(len(labels), 1)
    bounds = np.concatenate([[0], np.cumsum(counts)])

    def scores(values: Numbers) -> Numbers:
        """[pairs] from K [vectors]."""
        sums = np.stack([coefficients[:, start:end] @ values[start:end] for start, end in pairwise(bounds)])
        result: Numbers = sums[first, second - 1] + sums[second, first] - rho
        return result

    def run(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        x = matrix(model, rows)
        expect_numbers(x)
        answers = []
        for index, row in enumerate(x):
            output = scores(kernel(row))
            expect_finite(output, index)
            winner = int(np.bincount(np.where(output > 0, first, second), minlength=len(labels)).argmax())
            shares: dict[Label, float] | None = None
            if slopes is not None and offsets is not None:
                likely = _shares(logistic(-(slopes * output + offsets)), len(labels))
                shares = dict(zip(labels, likely.tolist(), strict=True))
                if assumptions.support_vector_label == "probabilities":
                    winner = int(likely.argmax())
            answer: dict[str, Any] = {described.predictedFeatureName: labels[winner]}
            answers.append(answer if shares is None else {**answer, name: shares})
        return answers

    return run


def _shares(chances: Numbers, classes: int) -> Numbers:
    """Return [C] from the probability [pairs] of each pair's first class."""
    chances = np.clip(chances, LEAST, 1 - LEAST)
    if classes == 2:
        return np.array([chances[0], 1 - chances[0]])
    first, second = np.triu_indices(classes, 1)
    r = np.zeros((classes, classes))
    r[first, second], r[second, first] = chances, 1 - chances
    return _coupled(r)


def _coupled(r: Numbers) -> Numbers:
    """p [C] from r [C, C], r_ij the probability of i against j: the least sum over i, j of (r_ji p_i - r_ij p_j)^2.

    Algorithm 2 of the paper, with LIBSVM's bounds: until no part of Q p is farther than 0.005 / C from p Q p.
    """
    count = len(r)
    q = -r.T * r
    np.fill_diagonal(q, np.square(r).sum(0))  # r_ii is 0
    p = np.full(count, 1 / count)
    for _ in range(max(100, count)):
        product = q @ p
        whole = p @ product
        if abs(product - whole).max() < 0.005 / count:
            break
        for t in range(count):
            step = (whole - product[t]) / q[t, t]
            p[t] += step
            whole = (whole + step * (step * q[t, t] + 2 * product[t])) / (1 + step) ** 2
            product = (product + step * q[t]) / (1 + step)
            p /= 1 + step
    return p


def _counts(machine: Any, classes: int, vectors: int) -> list[int]:
    counts = [int(count) for count in machine.numberOfSupportVectorsPerClass]
    if len(counts) != classes or min(counts) < 0 or sum(counts) != vectors:
        shown = ", ".join(str(count) for count in counts[:8]) or "none"
        raise ModelError(
            f"model: the numbers of support vectors per class are {shown}, expected {classes} numbers with the sum "
            f"{vectors}; export the model again"
        )
    return counts


def _coefficients(machine: Any, classes: int, vectors: int) -> Numbers:
    """[C - 1, vectors]"""
    lengths = [len(row.alpha) for row in machine.coefficients]
    if lengths != [vectors] * (classes - 1):
        shown = ", ".join(str(length) for length in lengths[:8]) or "none"
        raise ModelError(
            f"model: has rows of coefficients of the lengths {shown}, expected {classes - 1} rows of {vectors}; "
            "export the model again"
        )
    return _trained([row.alpha for row in machine.coefficients], "coefficients")


def _for_pairs(values: Any, name: str, pairs: int) -> Numbers:
    if len(values) != pairs:
        raise ModelError(
            f"model: {name} has {len(values)} values, expected {pairs}, one per pair of classes; export it again"
        )
    return _trained(values, name)


def _trained(values: Any, name: str) -> Numbers:
    """Return the numbers that training found; ModelError where it failed, as LIBSVM's nu-SVC does without a word."""
    numbers = np.array(values, np.float64)
    if not np.isfinite(numbers).all():
        raise ModelError(
            f"model: {name} contains {numbers[~np.isfinite(numbers)][0]:g}, because training failed; train it with "
            "another kernel or other parameters and export it again"
        )
    return numbers


def support_vector_regressor(model: Model) -> RunStep:
    machine = model.supportVectorRegressor
    kernel, count = kernel_of(machine)
    alphas, rho = _trained(machine.coefficients.alpha, "coefficients"), _trained(machine.rho, "rho")
    name = str(model.description.predictedFeatureName)
    if not name:
        raise ModelError("model: is a supportVectorRegressor without a predicted feature; export it again")
    if len(alphas) != count:
        raise ModelError(
            f"model: has {len(alphas)} coefficients for {count} support vectors, expected equal numbers; export it "
            "again"
        )

    def run(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        x = matrix(model, rows)
        expect_numbers(x)
        answers = []
        for index, row in enumerate(x):
            y = kernel(row) @ alphas - rho
            expect_finite(y, index)
            answers.append({name: float(y)})
        return answers

    return run
