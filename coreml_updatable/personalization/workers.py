"""Blocks of owners run here, in processes, or on a Dask cluster. They are pure functions of the laboratory."""

import pickle
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from coreml_updatable.errors import BuildError
from coreml_updatable.personalization.blocks import BlockResult, run_block
from coreml_updatable.personalization.laboratory import Lab
from coreml_updatable.threads import set_threads


def here(lab: Lab, left: Mapping[int, int]) -> Iterator[BlockResult]:
    for first, count in left.items():
        yield run_block(lab, first, count)


_lab: Lab | None = None  # of a worker


def _begin(path: str) -> None:
    global _lab  # a worker has one laboratory, which is read once
    set_threads(1)
    with Path(path).open("rb") as file:  # written by the process that started this one
        _lab = pickle.load(file)  # noqa: S301


def _block(first: int, count: int) -> BlockResult:
    assert _lab is not None
    return run_block(_lab, first, count)


def in_processes(lab: Lab, left: Mapping[int, int], workers: int) -> Iterator[BlockResult]:
    with _written(lab) as path:
        pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (str(path),))
        try:
            yield from _as_they_come(lambda first, count: pool.submit(_block, first, count), left, 2 * workers)
        except BrokenProcessPool as error:
            raise BuildError(
                "compare: a worker ended before its owners were done; the blocks that are there stay: run again with "
                "--resume, or fewer --workers"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _as_they_come(
    submit: Callable[[int, int], "Future[BlockResult]"], left: Mapping[int, int], most: int
) -> Iterator[BlockResult]:
    """The blocks as they are done; ``most`` are asked for at a time, so that results do not wait in memory."""
    asked, running = iter(left.items()), set["Future[BlockResult]"]()
    while True:
        running |= {submit(first, count) for first, count in islice(asked, most - len(running))}
        if not running:
            return
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()


@contextmanager
def _written(lab: Lab) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="coreml_updatable.") as folder:
        path = Path(folder) / "lab"
        with path.open("wb") as file:
            pickle.dump(replace(lab, memory={}), file, protocol=5)
        yield path


def _client(address: str) -> Any:
    """A client of the scheduler there; BuildError where none answers."""
    try:
        import distributed
    except ImportError:
        raise BuildError(
            "compare: --dask needs dask.distributed; install the extra: pip install 'coreml-updatable[cluster]'"
        ) from None
    cluster: Any = distributed
    try:
        client = cluster.Client(address, timeout=10)
    except (OSError, TimeoutError, ValueError) as error:
        raise BuildError(
            f"compare: no Dask scheduler answers at {address} ({error}); start one, or leave --dask out"
        ) from None
    return client


def expect_scheduler(address: str) -> None:
    """BuildError where no scheduler answers at ``address``."""
    _client(address).close()


def on_dask(lab: Lab, left: Mapping[int, int], address: str) -> Iterator[BlockResult]:
    """The blocks on a Dask cluster; the laboratory is sent once to every worker, and a block of a worker that died runs
    again on another."""
    client = _client(address)
    import distributed

    cluster: Any = distributed
    with client:
        [shared] = client.scatter([replace(lab, memory={})], broadcast=True)
        asked, most = iter(left.items()), 4 * max(1, sum(client.nthreads().values()))
        running = cluster.as_completed()
        while True:
            for first, count in islice(asked, most - running.count()):
                running.add(client.submit(run_block, shared, first, count, pure=False))
            if running.is_empty():
                return
            yield next(running).result()
