"""What the recurrent layers share: their activations, the clip at 50, and the shapes of sequences and states.

A sequence is a blob [Seq, B, n, 1, 1]; a state is [1, B, n, 1, 1], and zeros where the layer does not read it.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.layers._shared.context import Context

Activation: TypeAlias = Callable[[Tensor], Tensor]
LIMIT = 50.0
# What the format allows in a recurrent layer; writers leave the fields at zero, so zeros mean these (alpha, beta).
CONSTANTS = {"linear": (1.0, 0.0), "scaledTanh": (1.7159, 2 / 3), "sigmoidHard": (0.2, 0.5)}
FUNCTIONS: dict[str, Activation] = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "ReLU": torch.relu}


def clipped(x: Tensor) -> Tensor:
    """x within [-50, 50]: every gate is clipped before its activation."""
    return x.clamp(-LIMIT, LIMIT)


def activations(messages: Sequence[Any], count: int, context: Context) -> list[Activation]:
    """The functions of ``count`` ``ActivationParams`` messages; ModelError unless there are just as many."""
    if len(messages) != count:
        raise context.misfit(f"has {len(messages)} activations, expected {count}")
    return [_activation(message, context) for message in messages]


def _activation(message: Any, context: Context) -> Activation:
    kind = message.WhichOneof("NonlinearityType")
    if kind in FUNCTIONS:
        return FUNCTIONS[kind]
    if kind not in CONSTANTS:
        known = ", ".join(sorted([*FUNCTIONS, *CONSTANTS]))
        raise ModelError(f"{context.where}: the activation '{kind}' is none of a recurrent layer; use one of {known}")
    params = getattr(message, kind)
    alpha, beta = (params.alpha, params.beta) if params.alpha or params.beta else CONSTANTS[kind]
    if kind == "linear":
        return lambda x: alpha * x + beta
    if kind == "scaledTanh":
        return lambda x: alpha * torch.tanh(beta * x)
    return lambda x: (alpha * x + beta).clamp(0.0, 1.0)


def vectors(x: Tensor, size: int, context: Context) -> Tensor:
    """The sequence [Seq, B, size, 1, 1] as vectors [Seq, B, size]."""
    if x.dim() != 5 or x.shape[2:] != (size, 1, 1):
        raise context.error(f"input has the shape {list(x.shape)}, the layer expects [Seq, Batch, {size}, 1, 1]")
    return x[..., 0, 0]


def states(given: Sequence[Tensor], count: int, x: Tensor, size: int, context: Context) -> list[Tensor]:
    """``count`` states [B, size] for the vectors x [Seq, B, ...]: those given, or zeros."""
    if len(given) not in (0, count):
        raise context.error(f"has {len(given) + 1} inputs, the layer expects 1 or {count + 1}")
    batch = x.shape[1]
    if not given:
        return [x.new_zeros(batch, size)] * count
    for state in given:
        if (
            state.dim() != 5
            or state.shape[0] != 1
            or state.shape[1] not in (1, batch)
            or state.shape[2:] != (size, 1, 1)
        ):
            raise context.error(
                f"a state has the shape {list(state.shape)}, the layer expects [1, {batch}, {size}, 1, 1]"
            )
    return [state[0, ..., 0, 0].expand(batch, size) for state in given]


def blob(y: Tensor) -> Tensor:
    """Vectors [..., n] as a blob [..., n, 1, 1]."""
    return y[..., None, None]


def outputs(
    sequence: Sequence[Tensor], last: Sequence[Tensor], whole: bool, context: Context
) -> Tensor | tuple[Tensor, ...]:
    """The layer's outputs: all steps in the order in which they were computed, or the last; then, if the layer
    names them, the ``last`` states."""
    y = blob(torch.stack(list(sequence)) if whole else sequence[-1][None])
    named = len(context.layer.output)
    if named not in (1, len(last) + 1):
        raise context.misfit(f"has {named} outputs, expected 1 or {len(last) + 1}")
    return y if named == 1 else (y, *(blob(state)[None] for state in last))
