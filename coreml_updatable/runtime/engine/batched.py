"""Run a program on many rows at once: rows of equal shapes are stacked in blocks of bounded memory.

A layer is written for one row, with the shapes of the format, and ``torch.vmap`` adds the batch. A batch therefore
gives the same results as its rows one by one, whatever the graph does with its axes (reshapes to fixed sizes,
transposes of the first axis, normalization over "the batch"). What vmap cannot handle (loops that depend on values,
random layers) runs one row at a time. After enough rows, the program is recorded for blocks of that size and a faster
engine runs it: ONNX Runtime if it is installed and supports every operation (see ``fast``), otherwise torch's own
optimized graph.

The memory and work of the first run on blobs of a shape are measured (see ``bounds``), unless an estimate shows that it
needs little. In a batch, no size depends on values, so later runs are not measured.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor

from coreml_updatable import bounds
from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.engine import engine_cache, fast, work
from coreml_updatable.runtime.engine.foreseen import needs
from coreml_updatable.runtime.engine.optimizing import optimized
from coreml_updatable.runtime.engine.program import Program
from coreml_updatable.runtime.engine.weighing import weighed
from coreml_updatable.runtime.reference import only_reference

Blobs: TypeAlias = dict[str, Tensor]
MOST_VALUES = 2**21  # input values in one block
MOST_ROWS = 1024
REARRANGED = 2**24  # values of blobs that are worth another copy


def stacked(rows: Sequence[Mapping[str, Tensor]]) -> Blobs:
    """Return blobs [n, ...]. Blobs of a single row, or that are adjacent in memory, are not copied."""
    if len(rows) == 1:
        return {name: blob[None] for name, blob in rows[0].items()}
    return {name: _together([row[name] for row in rows]) for name in rows[0]}


def _together(blobs: Sequence[Tensor]) -> Tensor:
    first = blobs[0]
    size, start, storage = first.numel(), first.storage_offset(), first.untyped_storage().data_ptr()
    for index, blob in enumerate(blobs):
        if not (
            blob.untyped_storage().data_ptr() == storage
            and blob.storage_offset() == start + index * size
            and blob.is_contiguous()
            and blob.shape == first.shape
            and blob.dtype == first.dtype
        ):
            return torch.stack(list(blobs))
    return first.as_strided((len(blobs), *first.shape), (size, *first.stride()))


def unstacked(result: Blobs | list[Blobs], count: int) -> list[Blobs]:
    """Return each row's blobs from the result of ``Batched``."""
    if isinstance(result, list):
        return result
    if not result:
        return [{} for _ in range(count)]
    return [
        dict(zip(result, row, strict=True)) for row in zip(*(blob.unbind() for blob in result.values()), strict=True)
    ]


def most_rows(row: Mapping[str, Tensor]) -> int:
    """Return the number of rows like this one in a block: a power of two, so that few sizes occur."""
    size = sum(blob.numel() for blob in row.values())
    return 1 << (max(1, min(MOST_ROWS, MOST_VALUES // max(1, size))).bit_length() - 1)


def alike(rows: Iterable[Blobs]) -> Iterator[list[Blobs]]:
    """Yield consecutive rows of equal shapes, one block at a time."""
    block: list[Blobs] = []
    most = 0
    for row in rows:
        if block and (len(block) == most or not same_shapes(row, block[0])):
            yield block
            block = []
        most = most if block else most_rows(row)
        block.append(row)
    if block:
        yield block


def same_shapes(row: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return row.keys() == other.keys() and all(blob.shape == other[name].shape for name, blob in row.items())


TensorFunction: TypeAlias = Callable[..., tuple[Tensor, ...]]
KEPT = 8  # optimized functions; a model that meets more shapes runs the others as they are
SAVED = 0.4  # share of the plain run's time that an engine saves, at least
MAX_ENGINE_PEAK = 1 << 27  # bytes of blobs; ONNX Runtime's own memory is not counted
STARTING, PER_STEP = 0.5, 0.004  # approximate seconds to freeze a torch graph
OPERATIONS = 5 * 10**9  # per second, counted as in ``bounds``
TORCH = f"torch {torch.__version__.partition('+')[0]}"


@dataclass
class _Shape:
    """What is known about blobs of one shape."""

    rows: int = 0  # run so far
    seconds: float = 0.0  # that they took
    looped: int = 0  # layers that one run executed inside loops
    one_by_one: bool = False
    refused: tuple[str, int] = ("", 0)  # why, and the bytes that so many rows need
    tried: set[str] = field(default_factory=set)  # engines
    fast: dict[str, TensorFunction] = field(default_factory=dict)  # by engine
    work: int = 0  # operations of the first run
    peak: int = 0  # bytes that the first run held at most


class Batched:
    """Run ``program`` on blobs [n, ...], the rows stacked on a new first axis. Small programs are not optimized.

    ``content``: what determines the computation of the program, for the cache of engines; None: nothing is cached.
    ``engine`` is the engine that ran last, ``reason`` says why a faster engine did not run, if one was tried.
    """

    def __init__(self, program: Program, *, optimize: bool, content: Callable[[], bytes] | None = None) -> None:
        self.program = program
        self.engine, self.reason = TORCH, ""
        self._optimize = optimize
        self._content = content
        self._shapes: dict[tuple[Any, ...], _Shape] = {}
        self._weights = 4 * sum(parameter.numel() for step in program.steps for parameter in step.module.parameters())

    def __call__(self, blobs: Mapping[str, Tensor], count: int, coming: int = 0) -> Blobs | list[Blobs]:
        """Return the stacked outputs [n, ...], or a list with each row's outputs if rows must run one by one.

        ``coming``: the number of rows in later calls, which decides whether optimizing is worth it.
        """
        names = sorted(blobs)
        inputs = [blobs[name] for name in names]
        shape = self._shapes.setdefault(tuple((name, tuple(blobs[name].shape)) for name in names), _Shape())
        with bounds.bounded("model", count) as run:
            if shape.one_by_one or not names:
                return self._rows(blobs, count)
            if shape.refused[1] > run.memory:
                raise bounds.TooMuchError(*shape.refused)
            engine = self._engine(names, inputs, shape, coming, run)
            started, before = time.perf_counter(), run.work
            try:
                result = self._made(names, inputs, shape, engine)
            except work.EndlessError:
                raise
            except bounds.TooMuchError as error:
                shape.refused = (str(error), error.needed)  # not the error, whose traceback holds tensors
                raise
            except (ModelError, RuntimeError):
                rows = self._rows(blobs, count)  # a fault of the model is raised here, with one row's shapes
                shape.one_by_one = True
                return rows
            if not shape.rows:
                shape.work = max(shape.work, run.work - before)
                shape.peak = max(shape.peak, run.peak)
        self.engine = engine or TORCH
        shape.looped = max(shape.looped, work.done())
        shape.rows += count
        shape.seconds += time.perf_counter() - started
        return dict(zip(self.program.outputs, result, strict=True))

    def _made(self, names: list[str], inputs: list[Tensor], shape: _Shape, engine: str) -> tuple[Tensor, ...]:
        if engine:
            result = shape.fast[engine](*inputs)
        elif shape.rows or self._is_little(names, inputs, shape):
            result = self.batched(names, in_place=True)(*map(_channels_last, inputs))
        else:
            with weighed():  # which counts what is made, too
                return self.batched(names, in_place=True)(*map(_channels_last, inputs))
        bounds.hold(result)
        return result

    def _is_little(self, names: list[str], inputs: list[Tensor], shape: _Shape) -> bool:
        """Return whether the estimate is within the bounds, so that the run need not be measured."""
        run, rows = bounds.current(), len(inputs[0])
        needed = needs(
            self.program.steps, {name: blob.shape[1:] for name, blob in zip(names, inputs, strict=True)}, rows
        )
        if needed is not None:
            shape.work, shape.peak = needed.work, needed.peak
        return run is not None and needed is not None and run.takes(needed.memory, needed.work)

    def _engine(self, names: list[str], inputs: list[Tensor], shape: _Shape, coming: int, run: bounds.Run) -> str:
        """Return the engine for this run, prepared if that is worth it; empty for the plain run."""
        if not self._optimize or not shape.rows or torch.is_grad_enabled():
            return ""
        wanted = [TORCH] if only_reference() or not fast.installed() else [fast.installed(), TORCH]
        for engine in wanted:
            session = shape.fast.get(engine)
            if isinstance(session, fast.TensorSession) and session.threads != torch.get_num_threads():
                del shape.fast[engine]
                shape.tried.discard(engine)
            if engine in shape.fast:
                return engine
            if engine not in shape.tried and self._worth_it(names, inputs, shape, coming, engine):
                shape.tried.add(engine)
                function = self._prepared(names, inputs, run, shape, engine)
                if function is not None:
                    shape.fast[engine] = function
                    return engine
        return ""

    def _prepared(
        self, names: list[str], inputs: list[Tensor], run: bounds.Run, shape: _Shape, engine: str
    ) -> TensorFunction | None:
        if engine == TORCH:
            return optimized(self.batched(names), inputs)
        try:
            with bounds.located("model"):
                run.expect(fast.COPIES * self._weights + shape.peak)
        except bounds.TooMuchError as error:
            self.reason = str(error)
            return None
        result, reason = fast.prepared(self.batched(names), inputs, self._key(names, inputs))
        if result is None and not reason:
            reason = "its answers differ from torch's"
            fast.warn_of(self._first_different(names, inputs))
        if result is None:
            self.reason = f"{fast.installed()} does not run the model: {reason}"
        return result

    def _worth_it(self, names: list[str], inputs: list[Tensor], shape: _Shape, coming: int, engine: str) -> bool:
        """Return whether the rows so far and those to come take much longer than preparing the engine.

        For the reference, this depends on the number of operations only, so that a busy machine gives the same result.
        """
        if sum(bool(other.fast) for other in self._shapes.values()) >= KEPT and not shape.fast:
            return False
        if engine != TORCH and shape.peak >= MAX_ENGINE_PEAK:
            return False
        steps, times = len(self.program.steps) + shape.looped, 1 + coming / shape.rows
        if only_reference():
            return SAVED * shape.work / OPERATIONS * times > STARTING + PER_STEP * steps
        saved = SAVED * shape.seconds * times
        if engine == TORCH:
            return saved > STARTING + PER_STEP * steps
        if saved <= fast.seconds_to_open(self._weights):
            return False
        if saved > fast.seconds_to_prepare(steps, self._weights):
            return True
        key = self._key(names, inputs)
        return bool(key) and engine_cache.has(key)

    def _key(self, names: list[str], inputs: list[Tensor]) -> str:
        if self._content is None:
            return ""
        shapes = [(name, tuple(value.shape)) for name, value in zip(names, inputs, strict=True)]
        return engine_cache.key_of([self._content(), f"{self.program.outputs} {shapes}"])

    def _first_different(self, names: list[str], inputs: list[Tensor]) -> str:
        """Return the first layer at which the engine's results differ from the reference."""
        written = [(str(step.layer.name), blob) for step in self.program.steps for blob in step.layer.output]
        blobs = list(dict.fromkeys(blob for _, blob in written))
        every = Batched(Program(self.program.steps, blobs), optimize=False)
        layers = {blob: layer for layer, blob in written}
        return fast.first_different(every.batched(names), inputs, [layers[blob] for blob in blobs])

    def batched(self, names: list[str], *, in_place: bool = False) -> TensorFunction:
        """Return the program as one function of the blobs ``names``, in this order, without bounds."""
        in_place = in_place and not torch.is_grad_enabled()

        def one(*inputs: Tensor) -> tuple[Tensor, ...]:
            result = self.program(dict(zip(names, inputs, strict=True)), in_place=in_place)
            if len(result) < len(self.program.outputs):
                raise ModelError("model: a branch does not write all blobs, so rows must run one by one")
            return tuple(result[name] for name in self.program.outputs)

        batched: Any = torch.vmap(one)
        return lambda *inputs: batched(*inputs) if self.program.outputs else ()

    def _rows(self, blobs: Mapping[str, Tensor], count: int) -> list[Blobs]:
        with weighed():
            return [self.program({name: blob[index] for name, blob in blobs.items()}) for index in range(count)]


def in_parts(program: Batched, rows: Sequence[Mapping[str, Tensor]], coming: int = 0) -> Iterator[Blobs]:
    """Yield the result of ``program`` for each row. Rows that need too much memory together run in two halves; the
    results of the first may be freed before the second runs."""
    count, run = len(rows), bounds.current()
    before = run.work if run is not None else 0
    try:
        result = unstacked(program(stacked(rows), count, coming), count)
    except bounds.TooMuchError as error:
        if not error.needed or count == 1:
            raise
        if run is not None:
            run.work = before
        single = error.needed // count > bounds.allowed()  # one row says what it needs
    else:
        yield from result
        return
    middle = 1 if single else count // 2
    yield from in_parts(program, rows[:middle], coming + count - middle)
    yield from in_parts(program, rows[middle:], coming)


def _channels_last(blobs: Tensor) -> Tensor:
    """Return the blobs [n, ..., C, H, W] in channels-last memory format, which is faster for convolutions.

    They stay as they are if gradients are computed (see ``Convolution.flat``).
    """
    if torch.is_grad_enabled() or blobs.dim() < 4 or blobs.shape[-1] == 1 or blobs.numel() > REARRANGED:
        return blobs
    return blobs.movedim(-3, -1).contiguous().movedim(-1, -3)
