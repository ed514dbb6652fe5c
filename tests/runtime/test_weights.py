"""WeightParams: every storage, against coremltools' own quantization; what does not add up is refused."""

from typing import Any

import numpy as np
import pytest
from coremltools.models.neural_network import quantization_utils
from hypothesis import given
from hypothesis import strategies as st

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.messages import NeuralNetwork_pb2
from coreml_updatable.spec.storage import storage
from coreml_updatable.spec.weights import decode, encode, floats_in, packed_floats


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=300))
def test_float32_round_trip(values: list[float]) -> None:
    weights = NeuralNetwork_pb2.WeightParams(isUpdatable=True, floatValue=values)
    result = decode(weights, [len(values)], "w")
    np.testing.assert_array_equal(result, np.array(values, np.float32))
    encode(weights, np.full_like(result, 2), "w")
    assert list(weights.floatValue) == [2.0] * len(values)
    assert weights.isUpdatable


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=9000))
def test_floats_from_the_field_and_from_its_bytes(values: list[float]) -> None:
    weights = NeuralNetwork_pb2.WeightParams(isUpdatable=True, floatValue=values)
    for found in (packed_floats(weights), floats_in(weights.SerializeToString())):
        assert found.dtype == np.float32
        assert found.flags.writeable
        np.testing.assert_array_equal(found, np.array(values, np.float32))


def test_float16() -> None:
    values = np.array([1.5, -2.25, 0], np.float16)
    weights = NeuralNetwork_pb2.WeightParams(float16Value=values.tobytes())
    np.testing.assert_array_equal(decode(weights, [3], "w"), values.astype(np.float32))
    encode(weights, np.array([1, 2, 3], np.float32), "w")
    assert storage(weights) == "float16"
    np.testing.assert_array_equal(decode(weights, [3], "w"), [1, 2, 3])


@pytest.mark.parametrize("bits", [1, 3, 4, 8])
@pytest.mark.parametrize("mode", ["_linear_quantization", "_lookup_table_quantization_linear"])
@pytest.mark.parametrize("axis", [0, 1])
def test_quantized_by_coremltools(random: Any, bits: int, mode: str, axis: int) -> None:
    matrix = random.normal(size=(5, 3, 2, 2)).astype(np.float32)
    weights = NeuralNetwork_pb2.WeightParams(floatValue=matrix.ravel().tolist())
    quantization_utils._quantize_wp_field(weights, bits, mode, matrix.shape, axis)
    result = decode(weights, matrix.shape, "w", channel_axis=axis)
    with pytest.raises(ModelError, match="w: holds raw weights, but only floats can be updated"):
        encode(weights, matrix, "w")
    quantization_utils._dequantize_wp(weights, matrix.shape, axis)
    np.testing.assert_allclose(result.ravel(), np.array(weights.floatValue), rtol=1e-5, atol=1e-6)
    assert len(np.unique(result)) > 1


def test_counts_that_do_not_agree_are_refused() -> None:
    weights = NeuralNetwork_pb2.WeightParams
    for message, said in (
        (weights(floatValue=[1, 2]), "w: contains 2 values, expected 3"),
        (weights(float16Value=b"123"), "w: contains 1.5 16-bit values, expected 3"),
        (weights(), "w: contains 0 values, expected 3"),
        (weights(rawValue=b"1"), "w: quantized to 0 bits, expected 1 to 8"),
        (
            weights(rawValue=b"1", quantization={"numberOfBits": 8}),
            "w: contains 1 bytes of quantized values, exp",
        ),
        (weights(rawValue=b"123", quantization={"numberOfBits": 8}), "w: raw weights without quantization parameters"),
        (
            weights(rawValue=b"123", quantization={"numberOfBits": 8, "lookupTableQuantization": {"floatValue": [1]}}),
            "w: look-up table: contains 1 values, expected 256",
        ),
        (
            weights(rawValue=b"123", quantization={"numberOfBits": 8, "linearQuantization": {"scale": [1, 2]}}),
            "w: scale: contains 2 values",
        ),
    ):
        with pytest.raises(ModelError, match=said):
            decode(message, [3], "w")
