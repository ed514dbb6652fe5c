"""The work that all loops of a model together, including nested ones, may do in one run.

The format sets no limit: ``maxLoopIterations`` may be 0 (as long as the condition is true) or 2**64 - 1, and loops can
be nested. So every iteration counts as one, every layer run inside it as one, and one more for each ``VALUES`` values
that it writes; a run that counts more than ``MOST`` is assumed to be endless. A thousand steps of an LSTM written as a
loop of thirty layers count about 31,000.
"""

from contextvars import ContextVar

from coreml_updatable.errors import ModelError

MOST = 150_000  # five thousand steps of such a loop
VALUES = 2**15  # values of a blob that count as much as one more layer
_done: ContextVar[int] = ContextVar("the work done in loops", default=0)


class EndlessError(ModelError):
    """Too much work; there is no point in running the rows in another way."""


def start() -> None:
    """Start counting for a new run."""
    _done.set(0)


def done() -> int:
    """Return the work that the run has counted so far."""
    return _done.get()


def count(units: int, where: str) -> None:
    """Count work; EndlessError, which names ``where``, if the limit is exceeded."""
    total = _done.get() + units
    if total > MOST:
        raise endless(where)
    _done.set(total)


def endless(where: str) -> EndlessError:
    return EndlessError(
        f"{where}: loops would run more than {MOST} layers and iterations, the maximum; check the condition, or set "
        "a lower maxLoopIterations"
    )
