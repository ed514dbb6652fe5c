"""Networks whose stored weights are broken."""

import numpy as np

from coreml_updatable.spec.messages import Model
from tests.broken_models.valid import classifier, exact, layer


def short_weights() -> Model:
    model = exact()
    del layer(model, "fc").innerProduct.weights.floatValue[-1]
    return model


def short_bias() -> Model:
    model = classifier()
    del layer(model, "conv").convolution.bias.floatValue[-1]
    return model


def mixed_precision() -> Model:
    model = classifier()
    model.isUpdatable = False
    bias = layer(model, "conv").convolution.bias
    bias.float16Value = np.array(bias.floatValue, "<f2").tobytes()
    del bias.floatValue[:]
    return model


def two_storages() -> Model:
    model = exact()
    layer(model, "fc").innerProduct.weights.rawValue = bytes(8)
    return model


def empty_convolution() -> Model:
    model = exact()
    layer(model, "conv").convolution.weights.Clear()
    return model


def infinite_weight() -> Model:
    model = exact()
    layer(model, "fc").innerProduct.weights.floatValue[0] = float("inf")
    return model


def infinite_half() -> Model:
    model = exact()
    weights = layer(model, "fc").innerProduct.weights
    weights.float16Value = np.array([np.inf] * len(weights.floatValue), "<f2").tobytes()
    del weights.floatValue[:]
    return model


def scale_not_a_number() -> Model:
    model = exact()
    weights = layer(model, "fc").innerProduct.weights
    weights.rawValue = bytes(len(weights.floatValue))
    del weights.floatValue[:]
    weights.quantization.numberOfBits = 8
    weights.quantization.linearQuantization.scale.append(float("nan"))
    weights.quantization.linearQuantization.bias.append(0.0)
    return model


def table_not_a_number() -> Model:
    model = scale_not_a_number()
    weights = layer(model, "fc").innerProduct.weights
    weights.rawValue = bytes(1)
    weights.quantization.numberOfBits = 1
    weights.quantization.lookupTableQuantization.floatValue.extend([0.0, float("nan")])
    return model


def _packed() -> Model:
    """The exact model with its product's 8 weights in 8 bits each."""
    model = exact()
    weights = layer(model, "fc").innerProduct.weights
    weights.rawValue = bytes(len(weights.floatValue))
    del weights.floatValue[:]
    weights.quantization.numberOfBits = 8
    weights.quantization.linearQuantization.scale.append(0.1)
    weights.quantization.linearQuantization.bias.append(0.0)
    return model


def too_few_packed() -> Model:
    model = _packed()
    layer(model, "fc").innerProduct.weights.rawValue = bytes(7)
    return model


def scales_of_three_channels() -> Model:
    model = _packed()
    layer(model, "fc").innerProduct.weights.quantization.linearQuantization.scale[:] = [0.1, 0.2, 0.3]
    return model


def short_table() -> Model:
    model = _packed()
    layer(model, "fc").innerProduct.weights.quantization.lookupTableQuantization.floatValue.append(1.0)
    return model


def packed_without_quantization() -> Model:
    model = _packed()
    layer(model, "fc").innerProduct.weights.ClearField("quantization")
    return model


def empty_product() -> Model:
    model = exact()
    layer(model, "fc").innerProduct.weights.Clear()
    return model


BREAKERS = {
    "N2.4": [
        short_weights,
        short_bias,
        too_few_packed,
        scales_of_three_channels,
        short_table,
    ],
    "N2.5": [mixed_precision, two_storages],
    "N2.6": [empty_convolution],
    "L2.6": [empty_product, packed_without_quantization],
    "L11.6": [infinite_weight, infinite_half, scale_not_a_number, table_not_a_number],
}
