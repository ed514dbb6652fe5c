"""Run ONNX Runtime on a recorded graph, if it is installed and there are many rows.

It is used only after its results agreed with the plain run within ``TOLERANCE`` of an output's largest value;
otherwise, the first layer that differs is named. What is written into models never comes from here (``reference``).

ONNX Runtime sends usage data to Microsoft and stores an identifier of the user, unless an environment variable is set
before it is imported; here, it always is.
"""

import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from coreml_updatable.runtime.engine import engine_cache
from coreml_updatable.runtime.engine.onnx_graph import UnsupportedError, to_onnx
from coreml_updatable.runtime.engine.optimizing import close
from coreml_updatable.runtime.engine.tracing import MAX_OPERATIONS, traced

TOLERANCE = 5e-5  # relative to the largest value of an output
COPIES = 3  # of the weights, while an engine is prepared: as written, as read, and packed for the processor

# Seconds, about, on one core: to import the libraries, to record and optimize a graph, to open a kept engine.
IMPORTING, STARTING, PER_STEP, OPENING, PER_BYTE = 0.1, 0.04, 0.003, 0.02, 6e-9


class EngineWarning(UserWarning):
    """The results of an engine differ from the reference, so it is not used."""


@cache
def installed() -> str:
    """Return ONNX Runtime and its version; empty if it, or the library that writes its files, is not installed."""
    try:
        if find_spec("onnxruntime") is None or find_spec("onnx") is None:
            return ""
        return f"ONNX Runtime {version('onnxruntime')}"
    except PackageNotFoundError:
        return ""


def seconds_to_open(weights: int) -> float:
    """Return the seconds that opening a cached engine with so many bytes of weights takes."""
    return (0.0 if "onnxruntime" in sys.modules else IMPORTING) + OPENING + PER_BYTE * weights


def seconds_to_prepare(steps: int, weights: int) -> float:
    """Return the seconds that preparing an engine with so many layers takes."""
    return seconds_to_open(weights) + STARTING + PER_STEP * steps


class TensorSession:
    """A session that is called with tensors and returns tensors."""

    def __init__(self, session: Any, threads: int) -> None:
        self._session, self.threads = session, threads
        self._names = [item.name for item in session.get_inputs()]

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        given = {name: value.detach().contiguous().numpy() for name, value in zip(self._names, inputs, strict=True)}
        return tuple(map(torch.from_numpy, self._session.run(None, given)))


def opened(content: bytes, threads: int, *, optimize: bool, keep: Path | None = None) -> TensorSession:
    """Open a session on an ONNX model; ``keep``: the file for its optimized form."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others need the processors, too
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
    if keep is not None:
        options.optimized_model_filepath = str(keep)
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return TensorSession(session, threads)


def prepared(
    function: Callable[..., tuple[Tensor, ...]], inputs: Sequence[Tensor], key: str
) -> tuple[TensorSession | None, str]:
    """Return an engine with the same results as ``function`` on these inputs, cached or new; or None and the reason.

    The reason is empty if the results differ.
    """
    threads = torch.get_num_threads()
    kept = engine_cache.read(key) if key else None
    if kept is not None:
        with torch.no_grad():
            expected = function(*inputs)
        try:
            engine = opened(kept, threads, optimize=False)
            if agree(engine(*inputs), expected):
                return engine, ""
        except Exception:  # noqa: BLE001 - whatever a library of C++ says of a file that is made again anyway
            pass
        engine_cache.forget(key)
    try:
        graph, expected = traced(function, inputs, MAX_OPERATIONS)
        content = to_onnx(graph)
        del graph
        with tempfile.TemporaryDirectory(prefix="coreml_updatable.") as name:
            place = Path(name) / "optimized.onnx"
            engine = opened(content, threads, optimize=True, keep=place if key else None)
            actual = engine(*inputs)
            if not agree(actual, expected):
                return None, ""
            if key and place.is_file():
                engine_cache.write(key, place.read_bytes())
    except UnsupportedError as error:
        return None, str(error)
    except Exception as error:  # noqa: BLE001 - a library of C++; the reference runs in its place
        return None, (str(error).splitlines() or [type(error).__name__])[0][:200]
    return engine, ""


def agree(result: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    return len(result) == len(expected) and all(close(*pair, TOLERANCE) for pair in zip(result, expected, strict=True))


def warn_of(layer: str) -> None:
    """Warn that an engine is not used because its results differ, beginning at ``layer``."""
    where = f"layer '{layer}' is the first that differs" if layer else "no layer alone does"
    warnings.warn(
        f"{installed()} answers otherwise than torch by more than {TOLERANCE:g} of the largest value; {where}, so "
        "torch runs the model",
        EngineWarning,
        stacklevel=2,
    )


def first_different(
    function: Callable[..., tuple[Tensor, ...]], inputs: Sequence[Tensor], layers: Sequence[str]
) -> str:
    """Return the first of ``layers`` whose output differs, in the order of the outputs of ``function``; else empty."""
    try:
        graph, expected = traced(function, inputs)
        actual = opened(to_onnx(graph), torch.get_num_threads(), optimize=True)(*inputs)
    except Exception:  # noqa: BLE001 - a search that fails names nothing
        return ""
    for layer, item, other in zip(layers, actual, expected, strict=True):
        if not close(item, other, TOLERANCE):
            return layer
    return ""
