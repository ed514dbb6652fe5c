"""Exact search for the nearest samples: find candidates by single-precision matrix products, then measure them exactly.

The format's linear index and kd-tree give the same results, so one search serves both.
"""

import itertools
from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
BLOCK = 2**24  # values at a time: 64 MB
TILE = 1024  # samples, at least, whose distances are found together
CACHED = 2**19  # distances that stay in a processor's cache: where queries are few, tiles are longer
KEPT = 2**22  # distances that are all kept until their groups are looked at again: 16 MB
PART = 2**17  # values that are measured exactly at a time: 1 MB in double precision
PAIRS = 2**20  # of queries and samples that are looked at again together, at most
MANY = 100_000  # samples, from which on groups are deep


def block_height(count: int, dimensions: int) -> int:
    """Return how many queries to look up at a time among ``count`` samples."""
    most = max(1, min(BLOCK // max(TILE, dimensions), BLOCK * _depth(count) // max(1, count)))
    kept = KEPT // max(1, count)
    return min(most, kept) if kept >= LOW else most


LOW = 64  # queries, from which on a block is high enough for the matrix product


def parts(count: int, dimensions: int) -> Iterator[slice]:
    """Split ``count`` samples into parts that fit the processor's cache, and memory, whatever their length."""
    height = max(1, min(TILE, PART // max(1, dimensions)))
    return (slice(start, start + height) for start in range(0, count, height))


def _depth(count: int) -> int:
    """Return how many samples a group has, of which only the least distance is kept.

    More samples make the search among the groups shorter, fewer the second look at the samples of a group.
    """
    return 16 if count >= MANY else 8


def _width(count: int, queries: int, depth: int) -> int:
    """Return how many samples a tile has."""
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


def _members(
    asked: NDArray[np.int64], groups: NDArray[np.int64], count: int, depth: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the samples, of ``count`` in total, in these groups."""
    across = width // depth
    tiles, columns = np.divmod(groups, across)
    members: NDArray[np.int64] = (tiles * width + columns)[:, None] + np.arange(0, width, across)
    inside = members < count
    return np.broadcast_to(asked[:, None], members.shape)[inside], members[inside]


def _rough(
    samples: Floats, queries: Floats, norms: Floats, asked: NDArray[np.int64], result: NDArray[np.int64]
) -> Floats:
    rough: Floats = norms[result]
    for part in parts(len(result), queries.shape[1]):
        rough[part] -= 2 * np.vecdot(samples[result[part]], queries[asked[part]])
    return rough


FLOATS = np.finfo(np.float32)


def squared_norms(samples: Floats) -> Floats:
    """Return ||s||^2 of each sample [n, D]."""
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
    """Yield the ``count`` nearest of ``samples`` [n, D] for each query [D]: indices and squared distances.

    Single-precision matrix products find the candidates. All samples that could be among the nearest, given the
    rounding, are then measured by ||q - s||^2 itself in double precision.
    """
    norms = squared_norms(samples) if norms is None else norms
    largest = float(norms.max())
    height = block_height(*samples.shape)
    for start in range(0, len(queries), height):
        block = queries[start : start + height]
        slacks = _slacks(block, largest)
        measurable = np.isfinite(slacks) & (count < len(samples))
        some = block if measurable.all() else block[measurable]
        measured = _among_candidates(samples, some, norms, count, slacks[measurable], tied)
        for query, item in zip(block, measurable.tolist(), strict=True):
            if item:
                yield next(measured)
            else:
                every = np.arange(len(samples))
                yield from _exact(samples, query[None], np.zeros_like(every), every, count, tied)


def _among_candidates(
    samples: Floats, queries: Floats, norms: Floats, count: int, slacks: NDArray[np.float64], tied: str
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """``nearest`` of samples [n, D], n > ``count``: only those are measured whose rough distance is at most the
    query's slack beyond that of its ``count``-th.

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
        limits = np.partition(least, count - 1, axis=1)[:, count - 1] + slacks
    height = max(1, PAIRS // len(samples))
    for start in range(0, len(queries), height):
        rows = slice(start, min(len(queries), start + height))
        # flatnonzero is several times as fast as nonzero of two axes.
        asked, groups = np.divmod(np.flatnonzero(least[rows] <= limits[rows, None]), least.shape[1])
        asked, result = _members(asked, groups, len(samples), depth, width)
        rough = _rough(samples, queries[rows], norms, asked, result) if kept is None else kept[rows][asked, result]
        firsts = np.searchsorted(asked, np.arange(rows.stop - start))
        last = rough[np.lexsort((rough, asked))][firsts + count - 1]
        near = rough <= (last + slacks[rows])[asked]
        yield from _exact(samples, queries[rows], asked[near], result[near], count, tied)


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
    samples: Floats, queries: Floats, asked: NDArray[np.int64], found: NDArray[np.int64], count: int, tied: str
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """For each query the ``count`` nearest of the samples ``found`` [pairs], which ``asked`` [pairs], rising, tells."""
    distances = np.empty(len(found))
    for part in parts(len(found), queries.shape[1]):
        apart = samples[found[part]].astype(np.float64)
        apart -= queries[asked[part]]
        distances[part] = np.vecdot(apart, apart)
    order = np.lexsort((found if tied == "earliest" else -found, distances, asked))
    found, distances = found[order], distances[order]
    edges = np.searchsorted(asked, np.arange(len(queries) + 1)).tolist()
    for first, end in itertools.pairwise(edges):
        stop = min(end, first + count)
        yield found[first:stop], distances[first:stop]
