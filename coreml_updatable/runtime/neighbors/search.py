"""Exact search for the nearest samples: candidates by single-precision matrix products, then measured exactly.

The format's linear index and its kd-tree answer equally, so one search serves both.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
BLOCK = 2**24  # values at a time: 64 MB
TILE = 1024  # samples, at least, whose distances are found together
CACHED = 2**19  # distances that stay in a processor's cache: where queries are few, tiles are longer
KEPT = 2**22  # distances that are all kept until their groups are looked at again: 16 MB
MANY = 100_000  # samples, from which on groups are deep


def block_height(count: int, dimensions: int) -> int:
    """The queries that are looked up at a time among ``count`` samples."""
    most = max(1, min(BLOCK // max(TILE, dimensions), BLOCK * _depth(count) // max(1, count)))
    kept = KEPT // max(1, count)
    return min(most, kept) if kept >= LOW else most


LOW = 64  # queries, from which on a block is high enough for the matrix product


def parts(count: int, dimensions: int) -> Iterator[slice]:
    """``count`` samples in parts that fit the processor's cache, and memory however long they are."""
    height = max(1, min(TILE, BLOCK // max(1, dimensions)))
    return (slice(start, start + height) for start in range(0, count, height))


def candidates(
    samples: Floats, queries: Floats, norms: Floats, count: int, slacks: Sequence[float] | NDArray[np.float64]
) -> Iterator[NDArray[np.int64]]:
    """For each query [D] the samples [n, D], n > ``count``, whose rough distance is at most its slack beyond that of
    the ``count``-th.

    Rough is ||q - s||^2 - ||q||^2 = -2 q.s + ||s||^2 in single precision, of which only the least of every group of
    samples is kept at first.
    """
    if not len(queries):
        return
    depth = _depth(len(samples))
    width = _width(len(samples), len(queries), depth)
    least, kept = _least(samples, queries, norms, depth, width)
    limits = np.full(len(queries), np.inf)
    if count < least.shape[1]:
        limits = np.partition(least, count - 1, axis=1)[:, count - 1] + np.asarray(slacks, np.float64)
    for number, (query, slack, limit) in enumerate(zip(queries, slacks, limits, strict=True)):
        found = _members(np.flatnonzero(least[number] <= limit), len(samples), depth, width)
        rough = _rough(samples, query, norms, found) if kept is None else kept[number, found]
        yield found[_within(rough, count, float(slack))]


def _depth(count: int) -> int:
    """Samples in a group, of which only the least distance is kept: more spare the search among the groups, fewer
    the second look at the samples of a group."""
    return 16 if count >= MANY else 4


def _width(count: int, queries: int, depth: int) -> int:
    """Samples in a tile."""
    return min(TILE * max(1, CACHED // (TILE * queries)), -(-count // depth) * depth)


def _least(samples: Floats, queries: Floats, norms: Floats, depth: int, width: int) -> tuple[Floats, Floats | None]:
    """The least rough distance in each group, [queries, groups, tile by tile]; samples are dealt out to the groups of
    their tile in turn. And all rough distances [queries, samples and more], where they are few."""
    tiles = -(-len(samples) // width)
    least = np.empty((len(queries), tiles, width // depth), np.float32)
    kept = np.empty((len(queries), tiles * width), np.float32) if len(queries) * len(samples) <= KEPT else None
    again = np.empty((len(queries), width), np.float32) if kept is None else None
    doubled = queries * np.float32(-2)
    for tile in range(tiles):
        part = slice(tile * width, min(len(samples), (tile + 1) * width))
        size = part.stop - part.start
        rough: Floats = kept[:, tile * width : (tile + 1) * width] if kept is not None else again  # type: ignore[assignment]  # never both None
        if size < width:
            rough[:, size:] = np.inf
        np.matmul(doubled, samples[part].T, out=rough[:, :size])
        rough[:, :size] += norms[part]
        rough.reshape(len(queries), depth, -1).min(1, out=least[:, tile])
    return least.reshape(len(queries), -1), kept


def _members(groups: NDArray[np.int64], count: int, depth: int, width: int) -> NDArray[np.int64]:
    """The samples, of ``count`` in all, in these groups."""
    across = width // depth
    tiles, columns = np.divmod(groups, across)
    members: NDArray[np.int64] = (tiles * width + columns)[:, None] + np.arange(0, width, across)
    inside: NDArray[np.int64] = members[members < count]
    return inside


def _rough(samples: Floats, query: Floats, norms: Floats, found: NDArray[np.int64]) -> Floats:
    doubled = query * np.float32(-2)
    products = [samples[found[part]] @ doubled for part in parts(len(found), len(query))]
    rough: Floats = np.concatenate(products) + norms[found]
    return rough


def _within(distances: Floats, count: int, slack: float) -> NDArray[np.int64]:
    """Where the distances are that could be among the ``count`` least."""
    if count >= len(distances):
        return np.arange(len(distances))
    last = float(np.partition(distances, count - 1)[count - 1])
    return np.flatnonzero(distances <= last + slack)


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
