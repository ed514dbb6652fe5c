"""The count of numbers that are NaN or infinite, against NumPy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from coreml_updatable.checking.lint_weights import not_finite_floats, not_finite_weights
from coreml_updatable.spec.messages import NearestNeighbors_pb2, NeuralNetwork_pb2
from coreml_updatable.spec.weights import packed

WeightParams = NeuralNetwork_pb2.WeightParams


@given(st.binary(max_size=400), st.lists(st.floats(width=32), max_size=50))
def test_32_bit_floats_as_numpy(content: bytes, more: list[float]) -> None:
    values = np.frombuffer(content[: len(content) // 4 * 4] + np.array(more, "<f4").tobytes(), "<f4")
    weights = WeightParams()
    weights.MergeFromString(packed(values))
    assert not_finite_weights(weights) == np.count_nonzero(~np.isfinite(values))
    sample = NearestNeighbors_pb2.NearestNeighborsIndex().floatSamples.add()
    sample.MergeFromString(packed(values))
    assert not_finite_floats(sample) == np.count_nonzero(~np.isfinite(values))


@given(st.binary(max_size=400))
def test_16_bit_floats_as_numpy(content: bytes) -> None:
    values = np.frombuffer(content[: len(content) // 2 * 2], "<f2")
    assert not_finite_weights(WeightParams(float16Value=values.tobytes())) == np.count_nonzero(~np.isfinite(values))


def test_every_exponent() -> None:
    values = np.arange(2**16, dtype=np.uint32) << 16
    weights = WeightParams()
    weights.MergeFromString(packed(values.view(np.float32)))
    assert not_finite_weights(weights) == np.count_nonzero(~np.isfinite(values.view(np.float32)))


def test_quantized_weights_by_their_scales_and_tables() -> None:
    weights = WeightParams(rawValue=b"\0")
    assert not_finite_weights(weights) == 0
    weights.quantization.linearQuantization.scale.extend([1, float("inf")])
    weights.quantization.linearQuantization.bias.append(float("nan"))
    assert not_finite_weights(weights) == 2
    weights.quantization.lookupTableQuantization.floatValue.extend([0, float("-inf")])
    assert not_finite_weights(weights) == 1
