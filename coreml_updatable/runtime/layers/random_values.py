"""randomNormal, randomUniform, randomBernoulli, each Like, Static and Dynamic: values from a distribution.
``RandomNormalLikeLayerParams`` and its eight siblings.

Normal: ``mean``, ``stdDev``. Uniform: ``minVal`` to ``maxVal``. Bernoulli: 1 with the probability ``prob``, else 0. The
shape is the input's (Like), ``outputShape`` (Static), or what the input, a blob [R], holds (Dynamic).

The format does not name the generator, so a device draws other numbers of the same distribution. Here it is torch's. A
``seed`` of 0 or more gives the same values for every row; a negative one, new values each time (torch.manual_seed
settles them).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.runtime.layers._shared.sizes import expect_shape, integers
from coreml_updatable.spec.messages import NeuralNetworkLayer

DRAWS: dict[str, Callable[[Any, list[int], Generator | None], Tensor]] = {
    "randomNormal": lambda p, shape, generator: torch.randn(shape, generator=generator).mul_(p.stdDev).add_(p.mean),
    "randomUniform": lambda p, shape, generator: (
        torch.rand(shape, generator=generator).mul_(p.maxVal - p.minVal).add_(p.minVal)
    ),
    "randomBernoulli": lambda p, shape, generator: (torch.rand(shape, generator=generator) < p.prob).to(torch.float32),
}


def seeded(seed: int) -> Generator | None:
    """A generator that starts from ``seed``, or None, torch's own, for a negative one."""
    return torch.Generator().manual_seed(seed) if seed >= 0 else None


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    kind = layer.WhichOneof("layer")
    name = next(name for name in DRAWS if kind.startswith(name))
    params, draw = getattr(layer, kind), DRAWS[name]
    if name == "randomBernoulli" and not 0 <= params.prob <= 1:
        raise context.misfit(f"prob is {params.prob:g}, expected 0 to 1")
    if kind == name + "Static":
        shape = expect_shape([int(size) for size in params.outputShape], context)
        return Function(lambda: draw(params, shape, seeded(params.seed)))
    context.expect_inputs(1)
    if kind == name + "Like":
        return Function(lambda x: draw(params, list(x.shape), seeded(params.seed)))
    return Function(lambda x: draw(params, expect_shape(integers(x, context), context), seeded(params.seed)))
