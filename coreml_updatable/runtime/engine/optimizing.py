"""Convert a batched function to torch's frozen, optimized graph with the same results."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.engine.tracing import MAX_OPERATIONS, fold_borders, traced

jit: Any = torch.jit  # untyped
TOLERANCE = 1e-5  # relative to the largest value of an output
PART = 1 << 20  # values compared at a time: outputs may be large, and a comparison copies them several times


def optimized(
    function: Callable[..., tuple[Tensor, ...]], inputs: Sequence[Tensor]
) -> Callable[..., tuple[Tensor, ...]] | None:
    """Return the optimized function for inputs of these shapes; None if torch cannot trace it or the results differ."""
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph, expected = traced(function, inputs, MAX_OPERATIONS)
            graph = fold_borders(graph)
            frozen = jit.freeze(jit.trace(graph, tuple(inputs), check_trace=False).eval())
            fast = jit.optimize_for_inference(frozen)
            actual = fast(*inputs)
            fast(*inputs)  # the second run specializes; the caller should not pay for it
    except (ModelError, RuntimeError, TypeError, ValueError, NotImplementedError):
        return None
    return fast if agree(actual, expected) else None


def agree(result: Sequence[Tensor], expected: Sequence[Tensor], tolerance: float = TOLERANCE) -> bool:
    """Return whether every output differs by at most ``tolerance`` of its largest value (of 1, if that is smaller)."""
    return len(result) == len(expected) and all(close(*pair, tolerance) for pair in zip(result, expected, strict=True))


def close(result: Tensor, expected: Tensor, tolerance: float) -> bool:
    if result.shape != expected.shape:
        return False
    pairs = list(zip(result.flatten().split(PART), expected.flatten().split(PART), strict=True))
    largest = max((float(part[part.isfinite()].abs().max()) for _, part in pairs if part.isfinite().any()), default=0.0)
    atol = tolerance * max(1.0, largest)
    return all(torch.allclose(*pair, rtol=0.0, atol=atol, equal_nan=True) for pair in pairs)
