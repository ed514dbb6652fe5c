"""Rows of equal shapes, stacked in blocks of bounded memory and taken apart again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

Blobs: TypeAlias = dict[str, Tensor]
MOST_VALUES = 2**21  # input values in one block
MOST_ROWS = 1024


def stacked(rows: Sequence[Mapping[str, Tensor]]) -> Blobs:
    """Blobs [n, ...]; those of a single row are not copied."""
    if len(rows) == 1:
        return {name: blob[None] for name, blob in rows[0].items()}
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def unstacked(made: Blobs | list[Blobs], count: int) -> list[Blobs]:
    """Each row's blobs, from what Batched gives."""
    if isinstance(made, list):
        return made
    return [{name: blob[at] for name, blob in made.items()} for at in range(count)]


def most_rows(row: Mapping[str, Tensor]) -> int:
    """How many rows like this one make a block: a power of two, so that few sizes occur."""
    size = sum(blob.numel() for blob in row.values())
    return 1 << (max(1, min(MOST_ROWS, MOST_VALUES // max(1, size))).bit_length() - 1)


def alike(rows: Iterable[Blobs]) -> Iterator[list[Blobs]]:
    """Neighbouring rows of equal shapes, a block at a time."""
    block: list[Blobs] = []
    for row in rows:
        if block and (len(block) == most_rows(block[0]) or not same_shapes(row, block[0])):
            yield block
            block = []
        block.append(row)
    if block:
        yield block


def same_shapes(row: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return {name: blob.shape for name, blob in row.items()} == {name: blob.shape for name, blob in other.items()}
