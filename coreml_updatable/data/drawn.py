"""Pictures drawn by the sample's own code, in two processes if there are many."""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from PIL import Image

from coreml_updatable.data.inputs import ImageInput, Progress, UInt8Array, silent
from coreml_updatable.data.pictures import to_pixels
from coreml_updatable.data.sample_code import called
from coreml_updatable.data.wanted import SampleFunction
from coreml_updatable.errors import DataError, UserError

PROCESSES = 2
CHUNK = 24  # pictures at a time
WORTH_PROCESSES = 150  # with fewer pictures, starting processes takes longer than drawing

Chunk = tuple[str, int, int]  # kind, first number, number after the last


def draw_pictures(
    draw: SampleFunction, counts: Sequence[tuple[str, int]], target: ImageInput, on_progress: Progress = silent
) -> UInt8Array:
    """Pictures 0, 1, ... of each (kind, count), in that order: uint8 [n, height, width, channels]."""
    function = draw.load()  # a wrong reference is one sentence here, not one of a process
    chunks = [(kind, start, min(start + CHUNK, count)) for kind, count in counts for start in range(0, count, CHUNK)]
    total = sum(count for _, count in counts)
    shape = (target.height, target.width, target.channels)
    if total >= WORTH_PROCESSES:
        drawn = _by_processes(draw, chunks, target)
    else:
        drawn = (draw_chunk(function, draw.reference, chunk, target) for chunk in chunks)
    pixels = np.empty((total, *shape), np.uint8)
    done = 0
    for (_, start, stop), pictures in zip(chunks, drawn, strict=True):
        pixels[done : done + stop - start] = pictures
        done += stop - start
        on_progress("data", done / total, f"{done} of {total} pictures drawn")
    return pixels


def draw_chunk(function: Callable[..., Any], reference: str, chunk: Chunk, target: ImageInput) -> UInt8Array:
    """Some pictures of one kind; a DataError if the function fails or gives something else."""
    kind, start, stop = chunk
    return np.stack([_picture(function, reference, kind, number, target) for number in range(start, stop)])


def _picture(function: Callable[..., Any], reference: str, kind: str, number: int, target: ImageInput) -> UInt8Array:
    size = (target.width, target.height)
    image = called(f"{reference}: drawing {kind} {number}", function, kind, number, size)
    if not isinstance(image, Image.Image) or image.size != size:
        found = f"of {image.width} x {image.height}" if isinstance(image, Image.Image) else f"a {type(image).__name__}"
        raise DataError(
            f"{reference}: {kind} {number} is {found}, expected a PIL image of {size[0]} x {size[1]} pixels; correct it"
        )
    return to_pixels(image, target)


def _by_processes(draw: SampleFunction, chunks: Sequence[Chunk], target: ImageInput) -> Iterator[UInt8Array]:
    """The chunks in order, drawn by processes in turn. They are programs of their own (see drawing_process.py): a fork
    would take the locks of torch's threads along, and multiprocessing would import the caller's script once more."""
    with ExitStack() as stack:
        workers = []
        for share in range(PROCESSES):
            errors = stack.enter_context(TemporaryFile())
            process = subprocess.Popen(
                [sys.executable, "-m", "coreml_updatable.data.drawing_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
            stack.callback(_end, process)
            assert process.stdin is not None
            process.stdin.write(_order(draw, chunks[share::PROCESSES], target))
            process.stdin.close()
            workers.append((process, errors))
        for (kind, start, stop), (process, errors) in zip(chunks, itertools.cycle(workers), strict=False):
            assert process.stdout is not None
            size = (stop - start) * target.height * target.width * target.channels
            content = process.stdout.read(size)
            if len(content) < size:
                process.wait()
                errors.seek(0)
                last = errors.read().decode("utf-8", "replace").strip().splitlines()[-1:]
                if process.returncode == UserError.exit_status:
                    raise DataError(*last)
                raise DataError(
                    f"{draw.reference}: drawing {kind} ended early ({' '.join(last) or process.returncode})"
                )
            pixels = np.frombuffer(content, np.uint8)
            yield pixels.reshape(stop - start, target.height, target.width, target.channels)


def _order(draw: SampleFunction, chunks: Sequence[Chunk], target: ImageInput) -> bytes:
    order = {
        "folder": str(draw.folder.resolve()),
        "reference": draw.reference,
        "trusted": draw.trusted,
        "chunks": chunks,
        "width": target.width,
        "height": target.height,
        "color": target.color,
    }
    return json.dumps(order).encode()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
