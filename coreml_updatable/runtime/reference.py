"""The reference run: torch alone, even if a faster engine is installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_reference: ContextVar[bool] = ContextVar("only the reference runs", default=False)


@contextmanager
def reference() -> Iterator[None]:
    """Run only torch inside this context, so that results do not depend on timing or on installed engines.

    For what is written into models and golden vectors: their bytes must not depend on what is installed.
    """
    token = _reference.set(True)
    try:
        yield
    finally:
        _reference.reset(token)


def only_reference() -> bool:
    """Return whether this code runs inside ``reference``."""
    return _reference.get()
