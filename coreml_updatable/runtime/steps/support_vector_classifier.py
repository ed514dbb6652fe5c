"""supportVectorClassifier: one machine for each pair of classes, which vote. ``SupportVectorClassifier``.

C-SVC and nu-SVC alike, as in LIBSVM (Chang and Lin, ACM TIST 2011, sections 4 and 8), whose layout the message has. Of
classes i < j the machine's score is the sum over both classes' vectors of coefficients[j - 1] (those of i) or
coefficients[i] (those of j) times K(v, x), less rho; above 0 it votes for i, else for j. Most votes win, of equal ones
the class that comes first.
With probA and probB a machine's probability of i is 1 / (1 + e^(A score + B)); of two classes that is the answer, of
more the pairs are coupled (Wu, Lin and Weng, JMLR 2004, second method). The most likely class may differ from that of
the votes; which one Core ML answers as the label is open: the assumption ``support_vector_label``.
x [D] is all inputs one after another. The kernels K are in support_vectors.py.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.assumptions import PredictionAssumptions
from coreml_updatable.runtime.steps import Run
from coreml_updatable.runtime.steps.classes import Label, labels_of, logistic
from coreml_updatable.runtime.steps.interface import expect_numbers, matrix
from coreml_updatable.runtime.steps.support_vectors import expect_finite, kernel_of
from coreml_updatable.spec.messages import Model

LEAST = 1e-7  # probability of a pair's class, as in LIBSVM: coupling divides by it
MOST_COUPLED = 512  # classes: coupling takes their number cubed
Numbers = NDArray[np.float64]


def build(model: Model, assumptions: PredictionAssumptions) -> Run:
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
            f"model: describes the output '{name}', the probabilities, and holds no probA and probB to make them of; "
            "train it with probabilities and export it again"
        )
    slopes = _for_pairs(machine.probA, "probA", pairs) if name else None
    offsets = _for_pairs(machine.probB, "probB", pairs) if name else None
    if name and len(labels) > MOST_COUPLED:
        raise ModelError(f"model: probabilities of {len(labels)} classes, expected at most {MOST_COUPLED}; use fewer")
    first, second = np.triu_indices(len(labels), 1)
    bounds = np.concatenate([[0], np.cumsum(counts)])

    def scores(values: Numbers) -> Numbers:
        """[pairs] from K [vectors]."""
        sums = np.stack([coefficients[:, start:end] @ values[start:end] for start, end in pairwise(bounds)])
        found: Numbers = sums[first, second - 1] + sums[second, first] - rho
        return found

    def run(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        x = matrix(model, rows)
        expect_numbers(x)
        answers = []
        for number, row in enumerate(x):
            found = scores(kernel(row))
            expect_finite(found, number)
            winner = int(np.bincount(np.where(found > 0, first, second), minlength=len(labels)).argmax())
            shares: dict[Label, float] | None = None
            if slopes is not None and offsets is not None:
                likely = _shares(logistic(-(slopes * found + offsets)), len(labels))
                shares = dict(zip(labels, likely.tolist(), strict=True))
                if assumptions.support_vector_label == "probabilities":
                    winner = int(likely.argmax())
            answer: dict[str, Any] = {described.predictedFeatureName: labels[winner]}
            answers.append(answer if shares is None else {**answer, name: shares})
        return answers

    return run


def _shares(chances: Numbers, classes: int) -> Numbers:
    """[C] from the probability [pairs] of each pair's first class."""
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
            f"model: the numbers of support vectors of the classes are {shown}, expected {classes} that sum to "
            f"{vectors}; export the model again"
        )
    return counts


def _coefficients(machine: Any, classes: int, vectors: int) -> Numbers:
    """[C - 1, vectors]"""
    lengths = [len(row.alpha) for row in machine.coefficients]
    if lengths != [vectors] * (classes - 1):
        shown = ", ".join(str(length) for length in lengths[:8]) or "none"
        raise ModelError(
            f"model: rows of coefficients of the lengths {shown}, expected {classes - 1} rows of {vectors}; "
            "export the model again"
        )
    return np.array([row.alpha for row in machine.coefficients], np.float64)


def _for_pairs(values: Any, name: str, pairs: int) -> Numbers:
    if len(values) != pairs:
        raise ModelError(
            f"model: {name} has {len(values)} values, expected {pairs}, one a pair of classes; export it again"
        )
    return np.array(values, np.float64)
