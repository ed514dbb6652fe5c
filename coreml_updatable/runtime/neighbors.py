"""The nearest samples to a query: exact, in blocks of bounded memory.

The format's linear index and its kd-tree answer equally, so one search serves both.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.runtime.candidates import Floats, block_height, candidates, parts

FLOATS = np.finfo(np.float32)


def squared_norms(samples: Floats) -> Floats:
    """||s||^2 of each sample [n, D]."""
    with np.errstate(over="ignore"):
        norms: Floats = np.einsum("ij,ij->i", samples, samples)
    return norms


def nearest(
    samples: Floats,
    queries: Floats,
    count: int,
    tied: Literal["earliest", "latest"] = "earliest",
    norms: Floats | None = None,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """For each query [D] the ``count`` nearest of ``samples`` [n, D], or all: indices and squared distances.

    Matrix products in single precision find the candidates. Whatever their rounding could have put among the nearest is
    then measured by ||q - s||^2 itself in double precision.
    """
    norms = squared_norms(samples) if norms is None else norms
    largest = float(norms.max())
    height = block_height(*samples.shape)
    for start in range(0, len(queries), height):
        block = queries[start : start + height]
        for query, found in zip(block, _found(samples, block, norms, count, _slacks(block, largest)), strict=True):
            yield _exact(samples, query, np.arange(len(samples)) if found is None else found, count, tied)


def _found(
    samples: Floats, queries: Floats, norms: Floats, count: int, slacks: NDArray[np.float64]
) -> Iterator[NDArray[np.int64] | None]:
    """For each query the samples that could be among its nearest; None: any could."""
    measurable = np.isfinite(slacks) & (count < len(samples))
    asked = queries if measurable.all() else queries[measurable]
    found = candidates(samples, asked, norms, count, slacks[measurable])
    for one in measurable.tolist():
        yield next(found) if one else None


def _slacks(queries: Floats, largest: float) -> NDArray[np.float64]:
    """For each query, twice the most that rounding can have moved a rough distance (Higham, Accuracy and Stability,
    section 3.1); infinite where single precision could overflow, or lose what it measures to underflow."""
    wide = queries.astype(np.float64)
    reach = np.sqrt(largest) + np.sqrt(np.einsum("ij,ij->i", wide, wide))
    with np.errstate(over="ignore"):
        squares = reach * reach
        slacks = 2 * (queries.shape[1] + 8) * float(FLOATS.eps) * squares
    trusted = (squares > float(FLOATS.tiny) / float(FLOATS.eps)) & (squares < float(FLOATS.max) / 4)
    return np.where(trusted, slacks, np.inf)


def _exact(
    samples: Floats, query: Floats, among: NDArray[np.int64], count: int, tied: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    distances = np.empty(len(among))
    for part in parts(len(among), len(query)):
        apart = samples[among[part]].astype(np.float64)
        apart -= query
        distances[part] = np.vecdot(apart, apart)
    order = np.lexsort((among if tied == "earliest" else -among, distances))[:count]
    return among[order], distances[order]
