"""The nearest samples to a query: exact, by matrix products, in blocks of bounded memory.

The format's linear index and its kd-tree answer equally, so one search serves both.
"""

from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
BLOCK = 2**24  # values at a time: 64 MB
TILE = 4096  # samples whose distances stay in the processor's cache
MANY = 100_000  # samples, from which on groups are deep
FEW = 64  # candidates that are measured exactly at once, without a second rough look
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

    ||q - s||^2 - ||q||^2 = -2 q.s + ||s||^2 finds the candidates in single precision, of which only the least of every
    group of samples is kept. Whatever its rounding could have put among the nearest is then measured by ||q - s||^2
    itself in double precision.
    """
    norms = squared_norms(samples) if norms is None else norms
    largest = float(norms.max())
    depth = _depth(len(samples))
    height = max(1, min(BLOCK // TILE, BLOCK * depth // len(samples)))
    for start in range(0, len(queries), height):
        block = queries[start : start + height]
        least = _least(samples, block, norms, depth) if count < len(samples) else None
        for at, (query, slack) in enumerate(zip(block, _slacks(block, largest), strict=True)):
            if least is None or not np.isfinite(slack):
                candidates = np.arange(len(samples))
            else:
                candidates = _members(_within(least[at], count, slack), len(samples), depth)
                if len(candidates) > FEW:
                    candidates = candidates[_within(_rough(samples, query, norms, candidates), count, slack)]
            yield _exact(samples, query, candidates, count, tied)


def _depth(count: int) -> int:
    """Samples in a group, of which only the least distance is kept: more spare the search among the groups, fewer
    the second look at the samples of a group."""
    return 16 if count >= MANY else 4


def _least(samples: Floats, queries: Floats, norms: Floats, depth: int) -> Floats:
    """The least rough distance in each group, [queries, groups, tile by tile]; samples are dealt out to the groups of
    their tile in turn."""
    width = min(TILE, -(-len(samples) // depth) * depth)
    tiles = -(-len(samples) // width)
    least = np.empty((len(queries), tiles, width // depth), np.float32)
    rough = np.empty((len(queries), width), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # queries for which this overflows do not use it
        doubled = queries * np.float32(-2)
        for tile in range(tiles):
            part = slice(tile * width, min(len(samples), (tile + 1) * width))
            size = part.stop - part.start
            if size == width:
                np.matmul(doubled, samples[part].T, out=rough)
            else:
                rough[:, :size] = doubled @ samples[part].T
                rough[:, size:] = np.inf
            rough[:, :size] += norms[part]
            rough.reshape(len(queries), depth, -1).min(1, out=least[:, tile])
    return least.reshape(len(queries), -1)


def _members(groups: NDArray[np.int64], count: int, depth: int) -> NDArray[np.int64]:
    """The samples, of ``count`` in all, in these groups."""
    across = min(TILE, -(-count // depth) * depth) // depth
    tiles, columns = np.divmod(groups, across)
    members: NDArray[np.int64] = (tiles * (across * depth) + columns)[:, None] + np.arange(0, across * depth, across)
    inside: NDArray[np.int64] = members[members < count]
    return inside


def _rough(samples: Floats, query: Floats, norms: Floats, candidates: NDArray[np.int64]) -> Floats:
    doubled = query * np.float32(-2)
    starts = range(0, len(candidates), TILE)
    parts = [samples[candidates[start : start + TILE]] @ doubled for start in starts]
    rough: Floats = np.concatenate(parts) + norms[candidates]
    return rough


def _slacks(queries: Floats, largest: float) -> list[float]:
    """For each query, twice the most that rounding can have moved a rough distance (Higham, Accuracy and Stability,
    section 3.1); infinite where single precision could overflow."""
    wide = queries.astype(np.float64)
    reach = np.sqrt(largest) + np.sqrt(np.einsum("ij,ij->i", wide, wide))
    with np.errstate(over="ignore"):
        squares = reach * reach
    slacks = np.where(squares < float(FLOATS.max) / 4, 2 * (queries.shape[1] + 8) * float(FLOATS.eps) * squares, np.inf)
    return [float(slack) for slack in slacks]


def _within(distances: Floats, count: int, slack: float) -> NDArray[np.int64]:
    """Where the distances are that could be among the ``count`` least."""
    if count >= len(distances):
        return np.arange(len(distances))
    last = float(np.partition(distances, count - 1)[count - 1])
    return np.flatnonzero(distances <= last + slack)


def _exact(
    samples: Floats, query: Floats, candidates: NDArray[np.int64], count: int, tied: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    distances = np.empty(len(candidates))
    for start in range(0, len(candidates), 4096):
        part = candidates[start : start + 4096]
        apart = np.subtract(samples[part], query, dtype=np.float64)
        distances[start : start + 4096] = np.einsum("ij,ij->i", apart, apart)
    order = np.lexsort((candidates if tied == "earliest" else -candidates, distances))[:count]
    return candidates[order], distances[order]
