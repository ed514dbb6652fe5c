"""A loop over a sequence: step by step, or recorded as one operation.

Recorded step by step, an LSTM of hundreds of steps is a graph of tens of thousands of operations. Torch's ``scan``
keeps the loop; engines that have loops run it as one.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

import torch
from torch import Tensor

Step: TypeAlias = Callable[..., Sequence[Tensor]]  # x_t and the states before it -> the states after it, y_t first
_KEPT: ContextVar[bool] = ContextVar("loops are kept", default=False)


@contextmanager
def kept() -> Iterator[None]:
    """Record loops as torch's ``scan`` instead of unrolling them."""
    token = _KEPT.set(True)
    try:
        yield
    finally:
        _KEPT.reset(token)


def over(x: Tensor, states: Sequence[Tensor], step: Step, *, whole: bool) -> tuple[Tensor, Sequence[Tensor]]:
    """Run ``step`` over x [Seq, ...]; return every y [Seq, ...] (the last [1, ...] if not ``whole``) and the states."""
    if _KEPT.get():
        return _scanned(x, states, step, whole=whole)
    result = []
    for item in x.unbind(0):
        states = step(item, *states)
        result.append(states[0])
    return torch.stack(result) if whole else result[-1][None], states


def scan_op() -> Any:
    """Return torch's operation; importing it takes a second."""
    from torch._higher_order_ops.scan import scan_op as operation

    return operation


def _scanned(x: Tensor, states: Sequence[Tensor], step: Step, *, whole: bool) -> tuple[Tensor, Sequence[Tensor]]:
    def one(*values: Tensor) -> list[Tensor]:
        *before, value = values
        after = list(step(value, *before))
        return [*after, after[0]] if whole else after

    batched = [state + x.new_zeros(state.shape) for state in states]  # batched like x inside torch.vmap
    last: Any = scan_op()(one, batched, [x], ())
    return last[-1] if whole else last[0][None], last[: len(states)]
