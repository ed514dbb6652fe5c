"""The work that a model's loops may do in one run, all of them together, nested ones too.

The format sets no bound: ``maxLoopIterations`` may be 0 (as long as the condition holds) or 2**64 - 1, and loops stand
in loops. So every round counts one, every layer run inside counts one, and one more for each ``VALUES`` values it
writes; a run that counts more than ``MOST`` is taken for one that never ends. A thousand steps of an LSTM written as a
loop of thirty layers count about 31,000.
"""

from contextvars import ContextVar

from coreml_updatable.errors import ModelError

MOST = 150_000  # five thousand steps of such a loop
VALUES = 2**15  # values of a blob that weigh as much as running one more layer
_done: ContextVar[int] = ContextVar("the work done in loops", default=0)


class EndlessError(ModelError):
    """Too much work; the rows need not be tried in another way."""


def start() -> None:
    """A new run begins."""
    _done.set(0)


def done() -> int:
    """Return the work that the run has counted so far."""
    return _done.get()


def count(units: int, where: str) -> None:
    """Add to what is done; EndlessError, which names ``where``, beyond the bound."""
    total = _done.get() + units
    if total > MOST:
        raise endless(where)
    _done.set(total)


def endless(where: str) -> EndlessError:
    return EndlessError(
        f"{where}: loops would run more than {MOST} layers and iterations, the maximum; check the condition, or set "
        "a lower maxLoopIterations"
    )
