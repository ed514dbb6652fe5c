"""The same seed gives the same bytes: one generator, a fixed number of threads, deterministic algorithms."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

THREADS = 2  # sums over pictures depend on how many threads share them, so it is not left to the machine


@contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Make torch draw from ``seed`` and give the same numbers in every run; restore its state afterwards."""
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic  # its one property is not in its types
    filled = memory.fill_uninitialized_memory
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(THREADS)
        torch.use_deterministic_algorithms(True)
        # Filling each new tensor with NaN finds operations that read what nobody wrote; torch's own write first.
        memory.fill_uninitialized_memory = False
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic)
            memory.fill_uninitialized_memory = filled
            torch.set_num_threads(threads)


# glibc's mallopt(3). By default it returns each tensor of some megabytes to the system, whose pages then fault again.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_MEGABYTE = 2**20


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Reuse memory from step to step, and return it to the system at the end."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    mallopt = getattr(library, "mallopt", None)
    if library is None or mallopt is None:  # another C library
        yield
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 1024 * _MEGABYTE)
    try:
        yield
    finally:  # what glibc itself sets once a program has freed a large block
        mallopt(_MMAP_MAX, 65536)
        mallopt(_MMAP_THRESHOLD, 32 * _MEGABYTE)
        mallopt(_TRIM_THRESHOLD, 64 * _MEGABYTE)
        library.malloc_trim(0)
