"""The source network's own predictions: the reference for the converted model."""

import numpy as np
import torch
from torch import Tensor, nn

from coreml_updatable.data.inputs import Float32Array, Float64Array, UInt8Array

BATCH = 64


def as_tensor(values: UInt8Array | Float32Array) -> Tensor:
    """Convert uint8 [n, height, width, channels] to float32 [n, channels, height, width] in 0..1; keep floats."""
    tensor = torch.from_numpy(np.asarray(values))
    return tensor.permute(0, 3, 1, 2).float().div(255) if tensor.dtype == torch.uint8 else tensor


def probabilities(network: nn.Module, values: UInt8Array | Float32Array) -> Float64Array:
    """Return the softmax of the network's logits in evaluation mode, computed in float64: [n, classes]."""
    network.eval()
    with torch.no_grad():
        logits = [network(as_tensor(values[start : start + BATCH])) for start in range(0, len(values), BATCH)]
    if not logits:
        return torch.zeros(0, 0, dtype=torch.float64).numpy()
    answers: Float64Array = torch.softmax(torch.cat(logits).double(), dim=1).numpy()
    return answers
