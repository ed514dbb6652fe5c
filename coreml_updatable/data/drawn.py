"""Pictures drawn by the sample's own code, in two processes if there are many."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
from PIL import Image

from coreml_updatable.data.inputs import ImageInput, Progress, UInt8Array, silent
from coreml_updatable.data.pictures import to_pixels
from coreml_updatable.data.sample_code import called
from coreml_updatable.data.wanted import SampleFunction
from coreml_updatable.errors import DataError

PROCESSES = 2
CHUNK = 24  # pictures at a time
WORTH_PROCESSES = 150  # with fewer pictures, starting processes takes longer than drawing

Chunk = tuple[str, int, int]  # kind, first number, number after the last


def draw_pictures(
    draw: SampleFunction, counts: Sequence[tuple[str, int]], target: ImageInput, on_progress: Progress = silent
) -> UInt8Array:
    """Pictures 0, 1, ... of each (kind, count), in that order: uint8 [n, height, width, channels]."""
    draw.load()  # a wrong reference is one sentence here, not one of a process
    chunks = [(kind, start, min(start + CHUNK, count)) for kind, count in counts for start in range(0, count, CHUNK)]
    total = sum(count for _, count in counts)
    shape = (target.height, target.width, target.channels)
    if total >= WORTH_PROCESSES:
        drawn = _by_processes(draw, chunks, target)
    else:
        drawn = (draw_chunk(draw, target, chunk) for chunk in chunks)
    pixels = np.empty((total, *shape), np.uint8)
    done = 0
    for (_, start, stop), pictures in zip(chunks, drawn, strict=True):
        pixels[done : done + stop - start] = pictures
        done += stop - start
        on_progress("data", done / total, f"{done} of {total} pictures drawn")
    return pixels


def draw_chunk(draw: SampleFunction, target: ImageInput, chunk: Chunk) -> UInt8Array:
    """Some pictures of one kind; a DataError if the function fails or gives something else."""
    function, (kind, start, stop) = draw.load(), chunk
    return np.stack([_picture(function, draw.reference, kind, index, target) for index in range(start, stop)])


def _picture(function: Callable[..., Any], reference: str, kind: str, index: int, target: ImageInput) -> UInt8Array:
    size = (target.width, target.height)
    image = called(f"{reference}: drawing {kind} {index}", function, kind, index, size)
    if not isinstance(image, Image.Image) or image.size != size:
        result = f"of {image.width} x {image.height}" if isinstance(image, Image.Image) else f"a {type(image).__name__}"
        raise DataError(
            f"{reference}: {kind} {index} is {result}, expected a PIL image of {size[0]} x {size[1]} pixels; correct it"
        )
    return to_pixels(image, target)


def _by_processes(draw: SampleFunction, chunks: Sequence[Chunk], target: ImageInput) -> Iterator[UInt8Array]:
    """The chunks in order. A fork would take the locks of torch's threads along, so each process starts afresh."""
    with ProcessPoolExecutor(PROCESSES, get_context("spawn"), _begin) as pool:
        drawn = pool.map(partial(draw_chunk, draw, target), chunks)
        try:
            for kind, _, _ in chunks:
                try:
                    yield next(drawn)
                except BrokenProcessPool as error:
                    raise DataError(f"{draw.reference}: drawing {kind} ended its process; correct it") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """A worker leaves stopping to its parent, and what the sample's code prints goes to standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)
