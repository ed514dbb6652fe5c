"""Products with 8-bit weights and an input that is quantized when it comes. ``WeightParams.int8RawValue``.

The format says only that the input is quantized to 8 bits and the product dequantized. Taken here: the whole blob has
one scale, its largest magnitude / 127, without an offset; halves round to even; products are summed exactly.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.spec.messages import WeightParams

LARGEST = 127.0


def int8_weights(weights: WeightParams, shape: Sequence[int], context: Context) -> tuple[Tensor, float]:
    """The 8-bit weights as float64 of ``shape``, not scaled, and their scale; ModelError if the message is at fault."""
    scales = weights.quantization.linearQuantization.scale
    if len(weights.int8RawValue) != math.prod(shape) or len(scales) != 1:
        raise ModelError(
            f"{context.where}: weights hold {len(weights.int8RawValue)} 8-bit values and {len(scales)} scales, "
            f"expected {math.prod(shape)} and 1 for dynamic quantization; quantize the model again"
        )
    values = np.frombuffer(weights.int8RawValue, np.int8).reshape(shape)
    return torch.from_numpy(values.astype(np.float64)), float(scales[0])


def int8_linear(x: Tensor, weights: Tensor, scale: float) -> Tensor:
    """x [..., n] by the weights [k, n] of ``int8_weights`` -> [..., k], float32."""
    step = x.abs().amax().clamp(min=torch.finfo(torch.float32).tiny) / LARGEST
    quantized = (x / step).round().clamp(-LARGEST, LARGEST).to(torch.float64)
    return ((quantized @ weights.T) * (step * scale)).to(torch.float32)
