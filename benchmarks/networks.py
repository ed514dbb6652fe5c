"""The networks whose forward pass is measured: each as its framework has it, and as the model converted from it.

All weights are random: how long a pass takes does not depend on them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from coreml_updatable.data.inputs import ArrayInput, ImageInput, Input
from coreml_updatable.data.sample_code import load_function
from coreml_updatable.spec.messages import Model

SAMPLES = Path(__file__).parents[1] / "sample_models"
CLASSES = 1000
LAYERS = 2  # of the vision transformer


@dataclass(frozen=True)
class Network:
    """``module`` reads what ``as_tensor`` makes of rows, and gives logits."""

    name: str
    module: nn.Module
    given: Input

    def model(self) -> Model:
        tracing = import_module("coreml_updatable.converters.torch.tracing")
        result: Model = tracing.to_core_ml(self.module, self.given)
        return result

    def values(self, count: int) -> list[NDArray[Any]]:
        """Random rows as the model reads them: pictures uint8 [H, W, 3], arrays float32."""
        random = np.random.default_rng(0)
        if isinstance(self.given, ImageInput):
            shape = (self.given.height, self.given.width, 3)
            return [random.integers(0, 256, shape, dtype=np.uint8) for _ in range(count)]
        return [random.standard_normal(self.given.shape).astype(np.float32) for _ in range(count)]

    def rows(self, count: int) -> list[dict[str, Any]]:
        return [{self.given.name: value} for value in self.values(count)]

    def as_tensor(self, values: list[NDArray[Any]]) -> Tensor:
        """What the module reads for these rows."""
        stacked = torch.from_numpy(np.stack(values))
        if isinstance(self.given, ImageInput):
            return stacked.permute(0, 3, 1, 2).float().div(255).contiguous()
        return stacked


def mobilenet_v2() -> Network:
    return Network("MobileNetV2", _architecture("torchvision:mobilenet_v2"), ImageInput("image", 224, 224, "rgb"))


def efficientnet_lite0() -> Network:
    """As TensorFlow pads it, which needs other borders than torch's convolutions have."""
    return Network(
        "EfficientNet-Lite0", _architecture("timm:tf_efficientnet_lite0"), ImageInput("image", 224, 224, "rgb")
    )


def healthy_luncher() -> Network:
    torch.manual_seed(0)
    make = load_function(SAMPLES / "healthy_luncher", "model.py:lunch_network")
    return Network("healthy_luncher", make(2).eval(), ImageInput("image", 128, 128, "rgb"))


def vision_transformer() -> Network:
    """ViT-B/16 with two of its twelve layers."""
    torch.manual_seed(0)
    with import_module("coreml_updatable.converters.transformers.module").quiet():
        import transformers

        config = transformers.ViTConfig(num_hidden_layers=LAYERS, num_labels=CLASSES)
        network: Any = transformers.ViTForImageClassification(config)

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pictures: Tensor) -> Tensor:
            logits: Tensor = self.network(pictures).logits
            return logits

    return Network(f"ViT of {LAYERS} layers", Logits().eval(), ImageInput("image", 224, 224, "rgb"))


def yamnet() -> Network:
    torch.manual_seed(0)
    network = load_function(SAMPLES / "sound_id", "model.py:SoundNetwork")(521)
    return Network("YAMNet", network.eval(), ArrayInput("waveform", (15600,)))


NETWORKS: tuple[Callable[[], Network], ...] = (
    mobilenet_v2,
    efficientnet_lite0,
    healthy_luncher,
    vision_transformer,
    yamnet,
)


def _architecture(name: str) -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = import_module("coreml_updatable.converters.torch.architectures").create(name, CLASSES)
    return network.eval()
