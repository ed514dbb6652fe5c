"""What Apple's compiler lets pass in the stored numbers of a network: their precision, NaN, infinity."""

from collections.abc import Iterator

import numpy as np

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.graph import every_layer
from coreml_updatable.spec.messages import Model, WeightParams
from coreml_updatable.spec.storage import weight_fields
from coreml_updatable.spec.weights import packed_floats, storage


def all_32_bit(model: Model) -> Iterator[Finding]:
    """No weights of an updatable network are 16-bit: one puts it into 16 bits as a whole, which cannot be trained."""
    for where, layer in every_layer(model):
        if any(storage(weights) == "float16" for _, weights in weight_fields(layer)):
            yield Finding(where, "has 16-bit weights", "32-bit floats")


def none_quantized(model: Model) -> Iterator[Finding]:
    """Nor are those of its frozen layers quantized: allowed, but people met crashes; an extractor of its own may be."""
    for where, layer in every_layer(model):
        packed = any(storage(weights) in ("raw", "int8") for _, weights in weight_fields(layer))
        if packed and not layer.isUpdatable:
            yield Finding(where, "has quantized weights beside updatable layers", "32-bit floats")


def weights_finite(model: Model) -> Iterator[Finding]:
    """No weight is NaN or infinite, nor any scale, bias or table that quantized weights are read by."""
    for where, layer in every_layer(model):
        for name, weights in weight_fields(layer):
            if not _finite(weights):
                yield Finding(f"{where}: {name}", "holds NaN or infinite numbers", "finite ones")


def _finite(weights: WeightParams) -> bool:
    match storage(weights):
        case "float32":
            return bool(np.isfinite(packed_floats(weights)).all())
        case "float16":
            halves = np.frombuffer(weights.float16Value[: len(weights.float16Value) // 2 * 2], "<f2")
            return bool(np.isfinite(halves).all())
    quantization = weights.quantization
    linear, table = quantization.linearQuantization, quantization.lookupTableQuantization
    return bool(np.isfinite([*linear.scale, *linear.bias, *table.floatValue]).all())
