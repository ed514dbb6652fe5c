"""Batches: equal to their rows, also where a layer looks at values or shapes differ from row to row."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.engine.batched import Batched, alike, most_rows, stacked
from coreml_updatable.runtime.engine.program import Program, Step
from coreml_updatable.runtime.layers._shared.function import Function
from coreml_updatable.spec.messages import NeuralNetwork_pb2


def runner(function: Any, optimize: bool = True) -> Batched:
    layer = NeuralNetwork_pb2.NeuralNetworkLayer(name="one", input=["x"], output=["y"])
    module: nn.Module = Function(function)
    return Batched(Program([Step(layer, module, frozenset("x"), frozenset("y"))], ["y"]), optimize=optimize)


def by_value(x: Tensor) -> Tensor:
    return x[: int(x.sum().item()) % 3 + 1]


def test_a_layer_that_looks_at_values_runs_row_by_row() -> None:
    rows = torch.arange(12.0).reshape(3, 4)
    run = runner(by_value)
    for coming in (0, 10**9):
        result = run({"x": rows}, 3, coming)
        assert isinstance(result, list)
        for item, row in zip(result, rows, strict=True):
            assert torch.equal(item["y"], by_value(row))


def test_normalization_over_the_batch_means_the_rows_own() -> None:
    rows = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))
    result = runner(lambda x: x - x.mean())({"x": rows}, 5)
    assert isinstance(result, dict)
    torch.testing.assert_close(result["y"], rows - rows.mean((1, 2), keepdim=True))


def test_a_faulty_layer_is_named_with_a_rows_shape() -> None:
    with pytest.raises(ModelError, match=r"layer 'one': cannot take 'x' \[4\] \(shape '\[3, 5\]' is invalid"):
        runner(lambda x: x.reshape(3, 5))({"x": torch.zeros(2, 4)}, 2)


def test_more_outputs_than_names_are_refused() -> None:
    with pytest.raises(ModelError, match="layer 'one': has 1 outputs, expected 2"):
        runner(lambda x: (x, x))({"x": torch.zeros(2, 4)}, 2)


def test_blocks_hold_rows_of_one_shape_and_bounded_size() -> None:
    rows = [{"x": torch.zeros(size)} for size in (3, 3, 4, 3)]
    assert [len(block) for block in alike(rows)] == [2, 1, 1]
    assert most_rows({"x": torch.zeros(1)}) == 1024
    assert most_rows({"x": torch.zeros(3, 224, 224)}) == 8
    assert most_rows({"x": torch.zeros(2**22)}) == 1


def test_rows_that_lie_one_after_the_other_are_not_copied() -> None:
    block = torch.rand(4, 1, 3, 5)
    for rows in (block, block[1:3]):
        result = stacked([{"x": row} for row in rows])["x"]
        assert result.data_ptr() == rows.data_ptr()
        torch.testing.assert_close(result, rows, rtol=0, atol=0)
    for apart in ([0, 2, 3], [1, 0], [0, 0]):
        result = stacked([{"x": block[at]} for at in apart])["x"]
        assert result.untyped_storage().data_ptr() != block.untyped_storage().data_ptr()
        torch.testing.assert_close(result, block[apart], rtol=0, atol=0)
    turned = [{"x": row.movedim(0, -1)} for row in torch.rand(3, 2, 5)]
    torch.testing.assert_close(stacked(turned)["x"], torch.stack([row["x"] for row in turned]), rtol=0, atol=0)
