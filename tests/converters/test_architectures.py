"""The pictures' architectures of docs/architectures.md, small pictures in front of them: `make test-vision`."""

import warnings

import pytest

from benchmarks.architecture import went
from benchmarks.architecture_sources import torch_source

pytestmark = pytest.mark.vision


@pytest.mark.parametrize(
    "name",
    [
        "torchvision:mobilenet_v3_small",
        "torchvision:efficientnet_b0",
        "torchvision:resnet50",
        "torchvision:convnext_tiny",
        "timm:fastvit_t8",
    ],
)
def test_it_converts_is_marked_checks_clean_and_learns(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = went(name, torch_source(name, 64))
    assert told.difference < 1e-4
    assert told.logits is not None
    assert told.logits < 1e-4
    assert told.warnings == ()
    assert told.share < 0.05
    assert all(later < earlier for earlier, later in zip(told.losses, told.losses[1:], strict=False))
