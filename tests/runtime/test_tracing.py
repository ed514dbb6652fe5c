"""The recorded graph after its rewriting gives what torch's own functions give, and holds no border of zeros."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from coreml_updatable.runtime.engine.optimizing import PART, close, optimized
from coreml_updatable.runtime.engine.tracing import (
    CONVOLUTION,
    MAX_OPERATIONS,
    PAD,
    UntraceableError,
    aten,
    fold_borders,
    traced,
)

EDGES = st.tuples(*(st.integers(0, 3) for _ in range(4)))


def targets(graph: Any) -> list[Any]:
    return [node.target for node in graph.graph.nodes if node.op == "call_function"]


@settings(deadline=None, max_examples=60)
@given(
    edges=EDGES,
    own=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    depthwise=st.booleans(),
    axes=st.integers(3, 5),
)
def test_a_border_before_a_convolution_is_folded_into_it(
    edges: tuple[int, ...],
    own: tuple[int, int],
    kernel: tuple[int, int],
    stride: int,
    dilation: int,
    depthwise: bool,
    axes: int,
) -> None:
    generator = torch.Generator().manual_seed(sum(edges))
    groups = 4 if depthwise else 1
    weights = torch.randn(4, 4 // groups, *kernel, generator=generator)
    bias = torch.randn(4, generator=generator)
    rows = torch.randn(2, *([1] * (axes - 3)), 4, 9, 8, generator=generator)

    def one(x: Tensor) -> tuple[Tensor, ...]:
        flat = functional.pad(x, edges).reshape(-1, 4, 9 + edges[2] + edges[3], 8 + edges[0] + edges[1])
        return (functional.conv2d(flat, weights, bias, stride, own, dilation, groups),)

    batched: Any = torch.vmap(one)
    graph = fold_borders(traced(batched, [rows])[0])
    left, right, top, bottom = edges
    foldable = (left - right) % dilation == 0 and (top - bottom) % dilation == 0
    assert (PAD in targets(graph)) == (not foldable)
    torch.testing.assert_close(graph(rows)[0], batched(rows)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("value", [1.0, -1.0])
def test_a_border_of_another_number_stays(value: float) -> None:
    weights = torch.randn(2, 2, 3, 3, generator=torch.Generator().manual_seed(0))

    def one(x: Tensor) -> tuple[Tensor, ...]:
        return (functional.conv2d(functional.pad(x, (0, 1, 0, 1), value=value)[None], weights, stride=2),)

    batched: Any = torch.vmap(one)
    rows = torch.randn(2, 2, 6, 6, generator=torch.Generator().manual_seed(1))
    graph = fold_borders(traced(batched, [rows])[0])
    assert PAD in targets(graph)
    torch.testing.assert_close(graph(rows)[0], batched(rows)[0])


def test_a_border_over_channels_stays() -> None:
    weights = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(0))

    def function(x: Tensor) -> tuple[Tensor, ...]:
        return (functional.conv2d(functional.pad(x, (1, 1, 1, 1, 1, 1)), weights),)

    rows = torch.randn(2, 2, 6, 6, generator=torch.Generator().manual_seed(1))
    graph = fold_borders(traced(function, [rows])[0])
    assert PAD in targets(graph)
    torch.testing.assert_close(graph(rows)[0], function(rows)[0])


def test_between_padded_convolutions_no_reshape_is_left(converted: Any) -> None:
    """As TensorFlow pads: a border before each convolution of stride 2, activations between."""

    class Same(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList([torch.nn.Conv2d(3, 8, 3, 2), torch.nn.Conv2d(8, 8, 3, 2, groups=8)])

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = functional.hardtanh(layer(functional.pad(x, (0, 1, 0, 1))), 0.0, 6.0)
            return x

    torch.manual_seed(0)
    module = Same()
    rows = torch.rand(2, 1, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    from coreml_updatable.runtime import load

    network: Any = load(converted(module, rows[0]))
    function = network._frozen.batched(["x"])
    result = targets(fold_borders(traced(function, [rows])[0]))
    assert result.count(CONVOLUTION) == 2
    assert PAD not in result
    first, second = (index for index, target in enumerate(result) if target is CONVOLUTION)
    assert aten.view.default not in result[first:second]
    fast = optimized(function, [rows])
    assert fast is not None
    with torch.no_grad():
        torch.testing.assert_close(fast(rows)[0][:, 0], module(rows[:, 0]), rtol=1e-5, atol=1e-5)


def test_a_long_loop_is_left_as_it_is() -> None:
    """An engine for thousands of operations takes longer to prepare than it ever saves."""

    def loop(x: Tensor) -> tuple[Tensor, ...]:
        for _ in range(MAX_OPERATIONS + 1):
            x = x * 1.0001
        return (x,)

    assert optimized(loop, [torch.ones(2)]) is None
    with pytest.raises(UntraceableError, match="operations"):
        traced(loop, [torch.ones(2)], MAX_OPERATIONS)
    graph, result = traced(loop, [torch.ones(2)])
    torch.testing.assert_close(graph(torch.ones(2)), result)


@pytest.mark.parametrize("place", [0, PART - 1, PART, 2 * PART])
def test_every_part_of_a_large_output_is_compared(place: int) -> None:
    expected = torch.zeros(2 * PART + 1)
    expected[0] = float("nan")
    actual = expected.clone()
    assert close(actual, expected, 1e-5)
    actual[place] = 1.0
    assert not close(actual, expected, 1e-5)


def test_the_tolerance_is_of_the_largest_value_of_all_parts() -> None:
    expected = torch.zeros(PART + 1)
    expected[-1] = 1e6
    actual = expected.clone()
    actual[0] = 9.0
    assert close(actual, expected, 1e-5)
    actual[0] = 11.0
    assert not close(actual, expected, 1e-5)
