"""Rounding is told from change: 16 bits, and coremltools' own quantizer."""

import warnings

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from coremltools.models import MLModel
    from coremltools.models.neural_network import quantization_utils

from coreml_updatable.spec.diff.models import difference, sentence
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.weights import packed
from tests.broken_models import valid
from tests.spec.test_difference import copy


def quantized(model: Model, bits: int, mode: str) -> Model:
    """By coremltools; where it can load no models it answers the message itself."""
    result = quantization_utils.quantize_weights(MLModel(copy(model), skip_model_load=True), bits, mode)
    return result if hasattr(result, "WhichOneof") else result.get_spec()


@pytest.mark.parametrize(
    ("bits", "mode"),
    [
        (16, "linear"),
        (8, "linear"),
        (5, "linear"),
        (1, "linear"),
        (8, "linear_lut"),
        (3, "linear_lut"),
        (8, "linear_symmetric"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_quantized_by_coremltools_is_rounded_not_changed(bits: int, mode: str) -> None:
    before = valid.exact()
    result = difference(before, quantized(before, bits, mode))
    assert {w.kind for layer in result.layers.changed for w in layer.weights} == {"rounded"}
    assert "the storage of the weights of conv, fc (with rounded values)" in sentence(result)
    assert not result.same
    assert {
        w.kind for layer in difference(quantized(before, bits, mode), before).layers.changed for w in layer.weights
    } == {"rounded"}


@pytest.mark.filterwarnings("ignore")
def test_a_quantized_model_with_other_values_is_changed() -> None:
    before = valid.exact()
    after = quantized(before, 8, "linear")
    raw = valid.layer(after, "fc").innerProduct.weights
    raw.rawValue = bytes([raw.rawValue[0] ^ 3]) + raw.rawValue[1:]
    result = difference(before, after)
    kinds = {layer.name: [w.kind for w in layer.weights] for layer in result.layers.changed}
    assert kinds == {"conv": ["rounded"], "fc": ["changed"]}


def test_the_same_values_in_16_bits_mean_the_same() -> None:
    before = valid.classifier()
    for name, kind in (("conv", "convolution"), ("fc", "innerProduct")):
        weights = getattr(valid.layer(before, name), kind).weights
        halves = np.array(weights.floatValue).astype(np.float16)
        weights.ClearField("floatValue")
        weights.MergeFromString(packed(halves))
    after = copy(before)
    params = valid.layer(after, "fc").innerProduct
    params.weights.float16Value = np.array(params.weights.floatValue).astype("<f2").tobytes()
    params.weights.ClearField("floatValue")
    result = difference(before, after)
    assert result.same
    assert sentence(result) == (
        "no difference in meaning; the weights of 1 layers are stored differently, with the same values"
    )


def test_a_deconvolution_with_one_scale_a_channel() -> None:
    """Its output channels are the second axis: [kernel channels, output channels, 2, 2]."""
    codes = np.random.default_rng(0).integers(0, 256, (3, 2, 2, 2), dtype=np.uint8)
    scale, bias = np.array([0.5, 0.01], np.float32), np.array([1, -1], np.float32)
    before, after = copy(valid.classifier()), copy(valid.classifier())
    for model in (before, after):
        params = valid.layer(model, "conv").convolution
        params.isDeconvolution, params.kernelChannels, params.outputChannels = True, 3, 2
        params.weights.ClearField("floatValue")
    values = codes.astype(np.int64) * scale[:, None, None] + bias[:, None, None]
    valid.layer(before, "conv").convolution.weights.MergeFromString(packed(values))
    weights = valid.layer(after, "conv").convolution.weights
    weights.rawValue, weights.quantization.numberOfBits = codes.tobytes(), 8
    weights.quantization.linearQuantization.scale.extend(scale)
    weights.quantization.linearQuantization.bias.extend(bias)
    assert difference(before, after).same
