"""MobileNetV2 of torchvision with random weights: the module, and the model converted from it."""

from importlib import import_module

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from coreml_updatable.data.inputs import ImageInput
from coreml_updatable.marking import mark
from coreml_updatable.marking.settings import SGD, DoubleParameter, Int64Parameter, UpdateSettings
from coreml_updatable.spec.messages import Model

SIZE = 224


def source(classes: int = 1000) -> nn.Module:
    """From pictures [n, 3, 224, 224] in 0..1 to logits."""
    torch.manual_seed(0)
    network: nn.Module = import_module("coreml_updatable.converters.torch.architectures").create(
        "torchvision:mobilenet_v2", classes
    )
    return network.eval()


def converted(network: nn.Module) -> Model:
    model: Model = import_module("coreml_updatable.converters.torch.tracing").to_core_ml(
        network, ImageInput("image", SIZE, SIZE, "rgb")
    )
    return model


def updatable(network: nn.Module, labels: tuple[str, ...], *, epochs: int, batch: int, rate: float) -> Model:
    settings = UpdateSettings(
        SGD(DoubleParameter(rate), Int64Parameter(batch, (1, 64)), DoubleParameter(0.0, (0.0, 1.0))),
        Int64Parameter(epochs, (1, 100)),
        shuffle=False,
        seed=0,
    )
    return mark(converted(network), settings, labels=labels)


def pictures(count: int) -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) for _ in range(count)]


def as_tensor(taken: list[NDArray[np.uint8]]) -> Tensor:
    """What the module reads for these pictures."""
    return torch.from_numpy(np.stack(taken)).permute(0, 3, 1, 2).float().div(255).contiguous()
