"""Run a program on many rows at once: rows of equal shapes are stacked in blocks of bounded memory.

A layer is written for one row, with the shapes of the format. ``torch.vmap`` puts the batch around it; so a batch gives
what its rows give alone, whatever the graph does with its axes (reshapes to fixed sizes, transposes of the first axis,
normalization over "the batch"). What cannot be put in a batch (loops that depend on values, random layers) runs a row
at a time. Once enough rows have come, the program is traced, frozen and optimized for blocks of that size.

The first run on blobs of some shape is weighed (see ``bounds``) unless it is foreseen to need little; in a batch no
size depends on values, so later runs need not be.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from coreml_updatable import bounds
from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.engine import work
from coreml_updatable.runtime.engine.foreseen import needs
from coreml_updatable.runtime.engine.optimizing import optimized
from coreml_updatable.runtime.engine.program import Program
from coreml_updatable.runtime.engine.weighing import weighed

Blobs: TypeAlias = dict[str, Tensor]
MOST_VALUES = 2**21  # input values in one block
MOST_ROWS = 1024
REARRANGED = 2**24  # values of blobs that are worth another copy


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
    """Neighboring rows of equal shapes, a block at a time."""
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


Function: TypeAlias = Callable[..., tuple[Tensor, ...]]
KEPT = 8  # optimized functions; a model that meets more shapes runs the others as they are


@dataclass
class _Shape:
    """What is known of blobs of one shape."""

    rows: int = 0  # run so far
    seconds: float = 0.0  # that they took
    looped: int = 0  # layers that one run of them met in loops
    one_by_one: bool = False
    refused: tuple[str, int] = ("", 0)  # why, and the bytes that so many rows need
    tried: bool = False
    fast: Function | None = None


class Batched:
    """``program`` on blobs [n, ...], the rows stacked on a new first axis. Small programs are not worth optimizing."""

    def __init__(self, program: Program, *, optimize: bool) -> None:
        self.program = program
        self._optimize = optimize
        self._shapes: dict[tuple[Any, ...], _Shape] = {}

    def __call__(self, blobs: Mapping[str, Tensor], count: int, coming: int = 0) -> Blobs | list[Blobs]:
        """Stacked outputs [n, ...]; or a list of each row's, where rows have to run one by one.

        ``coming``: rows that will follow in later calls, which helps to judge whether optimizing is worth it.
        """
        names = sorted(blobs)
        inputs = [blobs[name] for name in names]
        shape = self._shapes.setdefault(tuple((name, tuple(blobs[name].shape)) for name in names), _Shape())
        with bounds.bounded("model", count) as run:
            if shape.one_by_one or not names:
                return self._rows(blobs, count)
            if shape.refused[1] > run.memory:
                raise bounds.TooMuchError(*shape.refused)
            if self._worth_it(shape, coming):
                shape.tried = True
                shape.fast = optimized(self._function(names), inputs)
            started = time.perf_counter()
            try:
                made = self._made(names, inputs, shape)
            except work.EndlessError:
                raise
            except bounds.TooMuchError as error:
                shape.refused = (str(error), error.needed)  # not the error, whose traceback holds tensors
                raise
            except (ModelError, RuntimeError):
                rows = self._rows(blobs, count)  # a fault of the model is raised here, with one row's shapes
                shape.one_by_one = True
                return rows
        shape.looped = max(shape.looped, work.done())
        shape.rows += count
        shape.seconds += time.perf_counter() - started
        return dict(zip(self.program.outputs, made, strict=True))

    def _made(self, names: list[str], inputs: list[Tensor], shape: _Shape) -> tuple[Tensor, ...]:
        if shape.fast:
            made = shape.fast(*inputs)
        elif shape.rows or self._is_little(names, inputs):
            made = self._function(names, in_place=True)(*map(_channels_last, inputs))
        else:
            with weighed():
                made = self._function(names, in_place=True)(*map(_channels_last, inputs))
        bounds.hold(made)
        return made

    def _is_little(self, names: list[str], inputs: list[Tensor]) -> bool:
        """Is the run foreseen to stay within its bounds, so that it need not be weighed?"""
        run, rows = bounds.current(), len(inputs[0])
        needed = needs(
            self.program.steps, {name: blob.shape[1:] for name, blob in zip(names, inputs, strict=True)}, rows
        )
        return run is not None and needed is not None and run.takes(needed.memory, needed.work)

    def _worth_it(self, shape: _Shape, coming: int) -> bool:
        """Would the rows so far and those to come take much longer than optimizing?"""
        if not self._optimize or shape.tried or not shape.rows:
            return False
        if sum(other.fast is not None for other in self._shapes.values()) >= KEPT:
            return False
        cost = 0.3 + 0.01 * (len(self.program.steps) + shape.looped)  # seconds that optimizing takes, about
        return shape.seconds * (1 + coming / shape.rows) > cost

    def _function(self, names: list[str], *, in_place: bool = False) -> Function:
        in_place = in_place and not torch.is_grad_enabled()

        def one(*inputs: Tensor) -> tuple[Tensor, ...]:
            made = self.program(dict(zip(names, inputs, strict=True)), in_place=in_place)
            if len(made) < len(self.program.outputs):
                raise ModelError("model: a branch leaves blobs out, so rows have to run one by one")
            return tuple(made[name] for name in self.program.outputs)

        batched: Any = torch.vmap(one)
        return lambda *inputs: batched(*inputs) if self.program.outputs else ()

    def _rows(self, blobs: Mapping[str, Tensor], count: int) -> list[Blobs]:
        with weighed():
            return [self.program({name: blob[at] for name, blob in blobs.items()}) for at in range(count)]


def in_parts(program: Batched, rows: Sequence[Mapping[str, Tensor]], coming: int = 0) -> Iterator[Blobs]:
    """What ``program`` makes of each row. Rows that need too much memory together run in two halves; what the first
    gave may be let go of before the second runs."""
    count, run = len(rows), bounds.current()
    before = run.work if run is not None else 0
    try:
        made = unstacked(program(stacked(rows), count, coming), count)
    except bounds.TooMuchError as error:
        if not error.needed or count == 1:
            raise
        if run is not None:
            run.work = before
        single = error.needed // count > bounds.allowed()  # one row says what it needs
    else:
        yield from made
        return
    middle = 1 if single else count // 2
    yield from in_parts(program, rows[:middle], coming + count - middle)
    yield from in_parts(program, rows[middle:], coming)


def _channels_last(blobs: Tensor) -> Tensor:
    """The same blobs [n, ..., C, H, W] with the channels of a pixel side by side, which convolutions read faster.

    Not where gradients are taken (see ``Convolution.flat``).
    """
    if torch.is_grad_enabled() or blobs.dim() < 4 or blobs.shape[-1] == 1 or blobs.numel() > REARRANGED:
        return blobs
    return blobs.movedim(-3, -1).contiguous().movedim(-1, -3)
