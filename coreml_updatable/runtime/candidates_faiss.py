"""The same candidates as faiss finds them (``faiss.knn``), where it is installed and quicker."""

import importlib
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.runtime.candidates import MANY, Floats

SPARE = 16  # samples beyond those wanted, so that nearly always the last is too far to be among the nearest
MOST = 64  # neighbours: for more it keeps them in another way, which takes longer
WORTH = 2**30  # products: for fewer, to import it takes longer than it spares
FEWEST_VALUES = 160_000  # in the queries that it takes together: its products of fewer are several times slower
TOGETHER = 4096  # queries


def candidates(
    samples: Floats, queries: Floats, count: int, slacks: NDArray[np.float64]
) -> dict[int, NDArray[np.int64]]:
    """The samples [n, D] whose rough distance is at most its slack beyond that of the ``count``-th, by the number of
    the query [Q, D]. Left out are queries with more of these than faiss was asked for, and all of them where faiss is
    missing or would not pay: for few products, few queries, many neighbours, or ``MANY`` samples."""
    if len(samples) * queries.size < WORTH or not count + SPARE <= len(samples) < MANY or count > MOST:
        return {}
    if min(len(queries), TOGETHER) * queries.shape[1] < FEWEST_VALUES:
        return {}
    search = _search()
    if search is None:
        return {}
    distances, found = search(queries, samples, count + SPARE)
    limits = distances[:, count - 1] + slacks
    within = distances <= limits[:, None]
    return {at: found[at, within[at]] for at in np.flatnonzero(distances[:, -1] > limits).tolist()}


def _search() -> Any:
    """``faiss.knn``; None where faiss is missing, does not load, or is older than it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its bindings' types name no module
            return getattr(importlib.import_module("faiss"), "knn", None)
    except ImportError:
        return None
