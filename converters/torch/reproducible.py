"""The same seed gives the same bytes: one generator, a fixed number of threads, deterministic algorithms."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

THREADS = 2  # sums over pictures depend on how many threads share them, so it is not left to the machine


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Make torch draw from ``seed`` and give the same numbers in every run; restore its state afterwards."""
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(THREADS)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic)
            torch.set_num_threads(threads)
