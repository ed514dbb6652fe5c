"""Networks with their channels last: the transposes before the head go, and what reads them reads as it did."""

import pytest
import torch
from torch import Tensor, nn

from coreml_updatable.checking import check
from coreml_updatable.converting.equivalence import ALLOWED_DIFFERENCE, unchanged
from coreml_updatable.marking import marked, repair_tail
from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of
from tests.marking import layered
from tests.marking.networks import convert
from tests.marking.test_mark import SETTINGS


class ChannelsLast(nn.Module):
    """A convolution whose map is turned around, as a Keras network on torch does it."""

    def __init__(self, end: str) -> None:
        super().__init__()
        self.end = end
        self.conv, self.head = nn.Conv2d(3, 4, 3, stride=2), nn.Linear({"flat": 100}.get(end, 4), 3)

    def forward(self, x: Tensor) -> Tensor:
        last = self.conv(x).permute(0, 2, 3, 1)
        match self.end:
            case "mean":
                seen = last.relu().mean((1, 2))
            case "flat":
                seen = last.relu().flatten(1).sigmoid()
            case "row":
                seen = last.amax(1).mean(1)
            case _:
                seen = self.conv(x).mean((2, 3), keepdim=True).permute(0, 2, 3, 1).flatten(1)
        out: Tensor = self.head(seen).softmax(1)
        return out


@pytest.mark.parametrize(("end", "word"), [("mean", "averages over the original axes"), ("flat", "were reordered")])
def test_the_transpose_goes(end: str, word: str) -> None:
    torch.manual_seed(0)
    before = convert(ChannelsLast(end), (1, 3, 11, 11))
    assert kinds(before).count("transpose") == 1
    result = marked(before, SETTINGS, last=2, labels=("a", "b", "c"))
    assert "transpose" not in kinds(result.model)
    assert "transpose was removed" in result.repairs[0]
    assert word in result.repairs[0]
    assert unchanged(before, result.model) <= ALLOWED_DIFFERENCE
    assert check(result.model) == []
    assert repair_tail(result.model)[1] == []


def test_a_transpose_that_matters_stays_and_the_head_trains() -> None:
    before = convert(ChannelsLast("row"), (1, 3, 11, 11))
    result = marked(before, SETTINGS)
    assert "transpose" in kinds(result.model)
    assert unchanged(before, result.model) <= ALLOWED_DIFFERENCE
    assert check(result.model) == []


def test_a_transpose_of_a_vector_is_a_reshape() -> None:
    def turn(layer: Model) -> None:
        layer.transpose.axes.extend([0, 2, 3, 1])

    def back(layer: Model) -> None:
        layer.transpose.axes.extend([0, 3, 1, 2])

    before = layered.classifier(turn, layered.relu, back)
    result = marked(before, SETTINGS, last=2)
    assert "transpose" not in kinds(result.model)
    assert unchanged(before, result.model) <= ALLOWED_DIFFERENCE
    assert check(result.model) == []


def kinds(model: Model) -> list[str]:
    return [layer_kind(layer) for layer in network_of(model).layers]
