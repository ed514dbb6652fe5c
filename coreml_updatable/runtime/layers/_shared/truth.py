"""When a blob of one value counts as true."""

from torch import Tensor

from coreml_updatable.runtime.layers._shared.context import Context

NEAR_ZERO = 1e-6


def is_true(x: Tensor, context: Context) -> bool:
    """|x| > 1e-6. A batch has no single answer: torch refuses it, and its rows run one at a time."""
    if x.numel() != 1:
        raise context.error(f"its condition has {x.numel()} values, the layer expects 1")
    return bool(x.abs() > NEAR_ZERO)
