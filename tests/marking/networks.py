"""Small torch networks with the heads that people export, and their conversions."""

import warnings
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.spec.messages import Model, Model_pb2

LABELS = ("a", "b", "c")


class PooledLinear(nn.Module):
    """Convolution, batchnorm, ReLU6, average pooling, flatten, Linear: the head of most picture classifiers."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 6, 3))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(functional.adaptive_avg_pool2d(self.front(x), 1).flatten(1))
        return out


class SqueezedLinear(PooledLinear):
    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(functional.adaptive_avg_pool2d(self.front(x), 1).squeeze(-1).squeeze(-1))
        return out.softmax(1)


class MeanLinear(PooledLinear):
    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.front(x).mean((2, 3)))
        return out.softmax(-1)


class SequenceMean(nn.Module):
    """A Linear layer over time, its mean, and a Linear head: how audio and text networks end."""

    def __init__(self) -> None:
        super().__init__()
        self.over_time, self.head = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.over_time(x).mean(1))
        return out.softmax(1)


class HardSwishHead(nn.Module):
    """Two Linear layers with an activation between them that joins two branches, as MobileNet v3 has it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second(functional.hardswish(self.first(x)))
        return out.softmax(1)


class TwoAnswers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(5, 3), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.one(x).softmax(1), self.other(x).softmax(1)


def pictures(*front: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), *front)


PICTURE, VECTOR = (1, 3, 12, 12), (1, 5)
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "pooled linear, logits": (PooledLinear, PICTURE),
    "pooled linear, softmax": (lambda: nn.Sequential(PooledLinear(), nn.Softmax(1)), PICTURE),
    "squeezed linear": (SqueezedLinear, PICTURE),
    "mean linear": (MeanLinear, PICTURE),
    "log softmax": (lambda: nn.Sequential(PooledLinear(), nn.LogSoftmax(1)), PICTURE),
    "flattened map": (lambda: pictures(nn.MaxPool2d(5), nn.Flatten(), nn.Linear(32, 3), nn.Softmax(1)), PICTURE),
    "two layers": (lambda: nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(1)), VECTOR),
    "two layers, logits": (lambda: nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)), VECTOR),
    "two linear layers in a row": (
        lambda: nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 6), nn.Linear(6, 3), nn.Softmax(1)),
        VECTOR,
    ),
    "one layer": (lambda: nn.Sequential(nn.Linear(5, 3), nn.Softmax(1)), VECTOR),
    "hard swish": (HardSwishHead, VECTOR),
    "mean of a sequence": (SequenceMean, (1, 7, 4)),
    "convolutional head": (lambda: pictures(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 3, 1), nn.Softmax(1)), PICTURE),
    "convolutional head, flat": (
        lambda: pictures(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 3, 1), nn.Flatten(), nn.Softmax(1)),
        PICTURE,
    ),
    "convolution before pooling": (
        lambda: pictures(nn.Conv2d(8, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        PICTURE,
    ),
}
LOGITS = {"pooled linear, logits", "two layers, logits", "convolution before pooling"}


@cache
def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[name][0]().eval()


def converted(name: str, *, image: bool = False, labels: tuple[str, ...] = ()) -> Model:
    """The network as coremltools converts it."""
    return Model_pb2.Model.FromString(_converted(network(name), NETWORKS[name][1], image, labels))


def convert(module: nn.Module, shape: tuple[int, ...]) -> Model:
    return Model_pb2.Model.FromString(_converted(module.eval(), shape, False, ()))


@cache
def _converted(module: nn.Module, shape: tuple[int, ...], image: bool, labels: tuple[str, ...]) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import coremltools

        traced = torch.jit.trace(module, torch.rand(shape))
        given = (
            coremltools.ImageType(name="image", shape=shape, scale=1 / 255)
            if image
            else coremltools.TensorType(name="image", shape=shape)
        )
        config = coremltools.ClassifierConfig(list(labels)) if labels else None
        model = coremltools.convert(traced, inputs=[given], convert_to="neuralnetwork", classifier_config=config)
        return bytes(model.get_spec().SerializeToString())
