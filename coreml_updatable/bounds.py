"""Limit the memory and work of one run of a model.

A file of a hundred bytes can ask for terabytes, and no single layer need look absurd: the sizes arise from one to the
next. So a run has bounds, whatever it runs: ``weighing`` holds every operation of torch to them before it allocates.
``max_memory`` raises them. Work is counted in operations, about ten to a nanosecond of one processor core.
"""

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from coreml_updatable.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

MEMORY = 600 * 2**20  # bytes that a run may hold at once, besides the model and its input: the program stays below 1 GB
WORK_PER_BYTE = 200  # operations of a run for each byte it may hold: about ten seconds of one core in all
WORK_PER_ROW = 10**9  # operations more for each row
WORK_PER_WEIGHT = 4096  # and for each row and weight: a large model is expected to do more
_memory: ContextVar[int] = ContextVar("bytes that a run may hold", default=MEMORY)
_run: ContextVar["Run | None"] = ContextVar("the run that is being weighed", default=None)


class TooMuchError(ModelError):
    """A run would need more memory or work than the limit allows. ``needed``: bytes; 0 if the work is too much."""

    def __init__(self, sentence: str, needed: int = 0) -> None:
        super().__init__(sentence)
        self.needed = needed


class _Excess(Exception):  # noqa: N818  # never leaves this file but through ``located``
    """The same inside torch, where the layer's name is not known."""

    def __init__(self, fault: str, needed: int = 0) -> None:
        super().__init__(fault)
        self.needed = needed


@contextmanager
def max_memory(size: int) -> Iterator[None]:
    """Let the runs inside hold ``size`` bytes at once, and do proportionally more work."""
    token = _memory.set(size)
    try:
        yield
    finally:
        _memory.reset(token)


def allow(size: int) -> None:
    """Set the limit of ``max_memory`` for the rest of the program."""
    _memory.set(size)


def current() -> "Run | None":
    """Return the current run."""
    return _run.get()


def allowed() -> int:
    """Return how many bytes a run may hold."""
    return _memory.get()


class Run:
    """The memory that one run holds, and the work that it has done so far."""

    def __init__(self, rows: int, weights: int, held: int) -> None:
        self.memory = allowed()
        self.most_work = allowed() * WORK_PER_BYTE + rows * (WORK_PER_ROW + weights * WORK_PER_WEIGHT)
        self.held = self.peak = held
        self.work = 0
        self.weighs = False  # whether every operation is being weighed

    def expect(self, size: int) -> None:
        """Count ``size`` more bytes that are about to be held; raise _Excess if that is too much."""
        needed = self.held + size
        if needed > self.memory:
            raise _Excess(
                f"needs {in_words(needed)} of memory, more than the {in_words(self.memory)} that a run may hold; raise "
                "--max-memory (in Python: cu.max_memory) if the machine has more, or use a smaller model or input",
                needed,
            )

    def count(self, work: int) -> None:
        self.work += work
        if self.work > self.most_work:
            raise _Excess(
                f"takes more than {self.most_work / 1e9:.0f} billion operations, the most for a run that may hold "
                f"{in_words(self.memory)}; raise --max-memory (in Python: cu.max_memory), which "
                "raises both, or use a smaller model or input"
            )

    def takes(self, size: int, work: int) -> bool:
        """Return whether ``size`` more bytes and ``work`` are within the bounds; if so, count the work as done."""
        if self.held + size > self.memory or self.work + work > self.most_work:
            return False
        self.work += work
        return True

    def hold(self, tensors: Sequence["Tensor"]) -> None:
        """Count these tensors as held until they are freed."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            size = storage.nbytes()
            self.held += size
            self.peak = max(self.peak, self.held)
            weakref.finalize(storage, self._free, size)

    def _free(self, size: int) -> None:
        self.held -= size


@contextmanager
def bounded(where: str, rows: int = 1, weights: int = 0, held: int = 0) -> Iterator[Run]:
    """A run on ``rows`` rows of a model with so many weights, which holds ``held`` bytes; inside a run, a part of it.

    What exceeds the bounds in no layer in particular is a TooMuchError that names ``where``.
    """
    run = _run.get() or Run(rows, weights, held)
    token = _run.set(run)
    try:
        yield run
    except _Excess as error:
        raise TooMuchError(f"{where}: {error}", error.needed) from None
    finally:
        _run.reset(token)


@contextmanager
def located(where: str) -> Iterator[None]:
    """Turn an excess inside into a TooMuchError that names ``where``."""
    try:
        yield
    except _Excess as error:
        raise TooMuchError(f"{where}: {error}", error.needed) from None


def expect(size: int, where: str) -> None:
    """Raise TooMuchError, which names ``where``, if the run cannot hold ``size`` more bytes; not for tensors."""
    with located(where):
        (_run.get() or Run(1, 0, 0)).expect(size)


def expect_alone(size: int, where: str) -> None:
    """The same for what one row needs at once, whatever else the run holds just now: other rows are let go of."""
    if size > allowed():
        with located(where):
            Run(1, 0, 0).expect(size)


def count(work: int) -> None:
    """Count operations that are about to be done outside torch; call it within ``bounded``."""
    run = _run.get()
    if run is not None:
        run.count(work)


def hold(tensors: Sequence["Tensor"]) -> None:
    """Count the results of operations that were not weighed as held, until they are freed."""
    run = _run.get()
    if run is not None and not run.weighs:
        run.hold(tensors)


def in_words(size: int) -> str:
    if size > 2**80:  # possibly more than a float holds
        return "more than a million billion GB"
    return f"{size / 2**30:.1f} GB" if size >= 2**30 else f"{size / 2**20:.0f} MB"
