"""Activations that write into the memory of the convolution before them: only where nobody else reads it."""

from typing import Any

import numpy as np
import pytest
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from coreml_updatable.runtime import load

SHAPE = (2, 3, 3)


def network(kinds: list[str], reads: list[int], outputs: list[str]) -> Any:
    """Layers of these kinds in a row, each reading one earlier blob; blob b0 is the input."""
    features = [("b0", datatypes.Array(*SHAPE))], [(name, None) for name in outputs]
    builder = NeuralNetworkBuilder(*features, disable_rank5_shape_mapping=True)
    random = np.random.default_rng(0)
    for index, (kind, read) in enumerate(zip(kinds, reads, strict=True)):
        source, target = f"b{read}", f"b{index + 1}"
        name = f"layer{index}"
        match kind:
            case "convolution":
                weights = random.standard_normal((1, 1, 1, 2)).astype(np.float32)  # [kH, kW, in, out]
                settings = ("valid", 2, weights, None, False)
                builder.add_convolution(name, 1, 2, 1, 1, 1, 1, *settings, input_name=source, output_name=target)
            case "ReLU":
                builder.add_activation(name, "RELU", source, target)
            case "clip":
                builder.add_clip(name, source, target, -0.5, 0.5)
            case "transpose":  # shares its input's memory
                builder.add_transpose(name, [0, 2, 1], source, target)
    return builder.spec


@st.composite
def networks(draw: st.DrawFn) -> Any:
    kinds = draw(st.lists(st.sampled_from(["convolution", "ReLU", "clip", "transpose"]), min_size=2, max_size=7))
    reads = [draw(st.integers(max(0, index - 2), index)) for index in range(len(kinds))]
    outputs = draw(st.sets(st.integers(1, len(kinds)), min_size=1))
    return network(kinds, reads, [f"b{output}" for output in sorted(outputs)])


@given(networks())
def test_every_output_is_as_it_is_layer_by_layer(spec: Any) -> None:
    model = load(spec)
    rows = [{"b0": values} for values in np.random.default_rng(1).standard_normal((3, *SHAPE)).astype(np.float32)]
    before = [row["b0"].copy() for row in rows]
    for found, row, values in zip(model.predict(rows), rows, before, strict=True):
        every = model.predict(row, intermediate=True)  # keeps every blob, so nothing is overwritten
        for name, value in found.items():
            np.testing.assert_allclose(value, every[name], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(row["b0"], values)


def test_memory_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    original: Any = functional.hardtanh_

    def counted(*given: Any) -> Any:
        calls.append("in place")
        return original(*given)

    monkeypatch.setattr(functional, "hardtanh_", counted)
    rows = [{"b0": np.ones(SHAPE, np.float32)}] * 2
    load(network(["convolution", "clip", "transpose"], [0, 1, 2], ["b3"])).predict(rows)
    assert calls == ["in place"]
    load(network(["convolution", "clip", "transpose"], [0, 1, 1], ["b2", "b3"])).predict(rows)
    assert calls == ["in place"], "the transpose reads the convolution's output too"
