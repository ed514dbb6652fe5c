"""A source's network is held to the bounds of a run, too: a graph of a kilobyte can ask for terabytes."""

from collections.abc import Iterator
from contextlib import contextmanager

from coreml_updatable import bounds
from coreml_updatable.runtime.engine.weighing import weighed


@contextmanager
def within_bounds(where: str, weights: int = 0, file: int = 0) -> Iterator[None]:
    """Weigh every operation of torch inside; a TooMuchError, which names ``where``, for one that is too much.

    ``weights``: of the network that runs on one row. ``file``: bytes of the file that is read, whose weights may be
    held beside what a run may hold.
    """
    with bounds.bounded(where, weights=weights) as run:
        run.memory += 4 * file  # as they are read, in the network, and in 32 bits where the file has 16
        with weighed():
            yield
