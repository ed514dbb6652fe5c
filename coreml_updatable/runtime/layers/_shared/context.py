"""The context of a layer's builder: checked and decoded weights, and words for errors."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.assumptions import PredictionAssumptions
from coreml_updatable.spec.messages import NeuralNetwork, NeuralNetworkLayer, WeightParams
from coreml_updatable.spec.shapes import MAX_AXES
from coreml_updatable.spec.weights import decode


@dataclass(frozen=True)
class Context:
    """``build_network`` builds the nested networks of branches and loops. ``assumptions``: about predicting."""

    layer: NeuralNetworkLayer
    build_network: Callable[[NeuralNetwork], nn.Module]
    assumptions: PredictionAssumptions = field(default_factory=PredictionAssumptions)

    @property
    def where(self) -> str:
        return f"layer '{self.layer.name}'"

    @property
    def kind(self) -> str:
        return str(self.layer.WhichOneof("layer"))

    @property
    def params(self) -> Any:
        """Return the message of the layer's kind."""
        return getattr(self.layer, self.kind)

    def parameter(
        self, weights: WeightParams, shape: Sequence[int], name: str, *, channel_axis: int = 0
    ) -> nn.Parameter:
        """Return the weights as a parameter of ``shape``, float32; ModelError if the file has more or fewer."""
        if math.prod(shape) == 0:
            raise self.misfit(f"{name} has the shape {list(shape)}, expected no zero")
        if len(shape) > MAX_AXES:
            raise self.misfit(f"{name} has {len(shape)} axes, expected at most {MAX_AXES}")
        values = decode(weights, shape, f"{self.where}: {name}", channel_axis=channel_axis)
        return nn.Parameter(torch.from_numpy(values), requires_grad=False)

    def pair(self, values: Sequence[int], default: int, name: str) -> tuple[int, int]:
        """Return a repeated field of length 2, [H, W]; ``default`` twice if it is not set."""
        if len(values) not in (0, 2):
            raise self.misfit(f"{name} has {len(values)} values, expected 2 (height, width)")
        pair = (int(values[0]), int(values[1])) if values else (default, default)
        if min(pair) < 1:
            raise self.misfit(f"{name} is {list(pair)}, expected at least 1")
        return pair

    def expect_channels(self, result: int, expected: int) -> None:
        if result != expected:
            raise self.error(f"input has {result} channels, the layer expects {expected}")

    def expect_rank(self, x: Tensor, lowest: int, highest: int = MAX_AXES) -> None:
        if not lowest <= x.dim() <= highest:
            expected = lowest if lowest == highest else f"at least {lowest}"
            raise self.error(f"input has rank {x.dim()}, the layer expects {expected}")

    def over_channels(self, values: Tensor, x: Tensor) -> Tensor:
        """[C] -> [C, 1, 1]; a shape of length 3 stays. ModelError unless x [..., C, H, W] keeps its shape beside it."""
        self.expect_rank(x, 3)
        shaped = values[:, None, None] if values.dim() == 1 else values
        if any(size not in (1, has) for size, has in zip(shaped.shape, x.shape[-3:], strict=True)):
            raise self.error(
                f"input has the shape {list(x.shape)}, the layer expects one that fits {list(values.shape)}"
            )
        return shaped

    def misfit(self, fault: str) -> ModelError:
        """Return an error about a contradiction in the layer's own message."""
        return ModelError(f"{self.where}: {fault}; export the model again")

    def unknown(self, what: str) -> ModelError:
        """Return an error about ``what``, a mode that the format did not have when this program was written."""
        return ModelError(f"{self.where}: {what} is not known; install a newer version, or export the model again")

    def error(self, fault: str) -> ModelError:
        """Return an error of this layer that names the blobs it reads, if any."""
        if not self.layer.input:
            return self.misfit(fault)
        blobs = ", ".join(f"'{name}'" for name in self.layer.input)
        return ModelError(f"{self.where}: {fault}; check the layer that writes {blobs}")
