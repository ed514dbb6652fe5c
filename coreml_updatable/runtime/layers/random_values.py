"""Values drawn from a distribution.

randomNormal*: values from a normal distribution with ``mean`` and ``stdDev``. The shape is that of the input (Like),
``outputShape`` (Static), or the values of the input, a blob [R] (Dynamic).

randomUniform*: values between ``minVal`` and ``maxVal``; shapes as in randomNormal.

randomBernoulli*: 1 with probability ``prob``, otherwise 0; shapes as in randomNormal.

categoricalDistribution: draws ``numSamples`` indices along the last axis, with replacement. x [..., D] -> y [...,
numSamples], integers from 0 to D - 1. x contains logits, or probabilities p, whose logits are ln(p + eps); an index is
drawn with the probability softmax(logits / temperature). The default of eps is 1e-10, and that of temperature 1. The
format leaves open how both are applied.

The format does not name the generator, so a device draws other numbers from the same distribution. Here it is torch's.
A ``seed`` of 0 or more gives the same values for every row; a negative seed gives new values each time (reproducible
with torch.manual_seed).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function, function_of
from coreml_updatable.runtime.layers._shared.sizes import expect_shape, integers
from coreml_updatable.spec.messages import NeuralNetworkLayer

DRAWS: dict[str, Callable[[Any, list[int], Generator | None], Tensor]] = {
    "randomNormal": lambda p, shape, generator: torch.randn(shape, generator=generator).mul_(p.stdDev).add_(p.mean),
    "randomUniform": lambda p, shape, generator: (
        torch.rand(shape, generator=generator).mul_(p.maxVal - p.minVal).add_(p.minVal)
    ),
    "randomBernoulli": lambda p, shape, generator: (torch.rand(shape, generator=generator) < p.prob).to(torch.float32),
}


def _seeded(seed: int) -> Generator | None:
    """A generator that starts from ``seed``, or None, torch's own, for a negative one."""
    return torch.Generator().manual_seed(seed) if seed >= 0 else None


def _categorical(params: Any, context: Context, x: Tensor) -> Tensor:
    context.expect_rank(x, 1)
    count = int(params.numSamples)
    shape = expect_shape([*x.shape[:-1], count], context)
    logits = x if params.isLogits else (x + (params.eps or 1e-10)).log()
    chances = torch.softmax(logits / (params.temperature or 1.0), -1).reshape(-1, x.shape[-1])
    drawn = torch.multinomial(chances, count, replacement=True, generator=_seeded(params.seed))
    return drawn.reshape(shape).to(x.dtype)


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:  # noqa: ARG001
    kind, params = context.kind, context.params
    if kind == "categoricalDistribution":
        return function_of(context, {kind: _categorical})
    name = next(name for name in DRAWS if kind.startswith(name))
    if name == "randomBernoulli" and not 0 <= params.prob <= 1:
        raise context.misfit(f"prob is {params.prob:g}, expected 0 to 1")

    def draw(shape: list[int]) -> Tensor:
        return DRAWS[name](params, shape, _seeded(params.seed))

    if kind == name + "Static":
        shape = expect_shape([int(size) for size in params.outputShape], context)
        return Function(lambda: draw(shape))
    if kind == name + "Like":
        return Function(lambda x: draw(list(x.shape)))
    return Function(lambda x: draw(expect_shape(integers(x, context), context)))
