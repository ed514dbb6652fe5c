"""Small networks of torch that stand for those people bring, and how they are saved."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.converting.finished import Finished, finish, probabilities
from coreml_updatable.converting.registry import find_converter, load_source_converter
from coreml_updatable.data.inputs import ArrayInput, ImageInput
from coreml_updatable.runtime import load
from coreml_updatable.updating import UpdateTask

tracing = import_module("coreml_updatable.converters.torch.tracing")
PICTURE = ImageInput("image", 12, 12, "rgb")
LABELS = ("a", "b", "c")
FACTORY = """
from torch import nn

def make(classes):
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))

def wrong(classes):
    return classes
"""


class Net(nn.Module):
    """Two layers in its head, as many networks have them."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Linear(8, 16), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(16, classes))

    def forward(self, pictures: Tensor) -> Tensor:
        answer: Tensor = self.classifier(self.pool(self.body(pictures)).flatten(1))
        return answer


class Convolutional(nn.Module):
    """A head as SqueezeNet's: a convolution, and the mean over the picture behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.last = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 3, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        return torch.relu(self.last(torch.relu(self.body(pictures)))).mean(dim=(2, 3))


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.fc = nn.Embedding(20, 6), nn.Linear(6, 3)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        answer: Tensor = self.fc((self.table(ids) * mask.unsqueeze(-1)).mean(dim=1))
        return answer


class Parallel(nn.Module):
    """Two layers give the answer together, so that none is the head."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(5, 3), nn.Linear(5, 3)

    def forward(self, values: Tensor) -> Tensor:
        answer: Tensor = self.one(values) + self.other(values)
        return answer


class Branching(nn.Module):
    """Branches on shapes, a loop over a list, and a table of layers: what tracing alone cannot take apart."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(7, 4, 3, padding=1)])
        self.norm, self.fc = nn.BatchNorm2d(4), nn.Linear(4, 3)

    def forward(self, pictures: Tensor) -> Tensor:
        seen: list[Tensor] = [pictures]
        for layer in self.layers:
            seen.append(layer(torch.cat(seen, 1)))
        last = self.norm(seen[len(seen) - 1])
        if last.shape[2] > 100:
            last = last[:, :, :100]
        total = torch.zeros_like(last)
        for index in range(last.shape[1] - 1):
            total = total + last * (index + 1)
        height, width = last.shape[2:]
        places: list[int] = [0] * 2
        places.extend([1, 2])
        places.insert(0, places.pop())
        if 1 in places:
            total = total + float((places + list(places))[0])
        assert height == width, "expected a square"
        answer: Tensor = self.fc(total.view(1, 4, height * width).mean(2))
        return answer


class Unused(Parallel):
    def forward(self, values: Tensor) -> Tensor:
        answer: Tensor = self.one(values)
        return answer


def drawn(make: Callable[[], nn.Module]) -> nn.Module:
    """With random weights that are large enough to matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = make().eval()
        with torch.no_grad():
            for weights in network.parameters():
                weights.normal_(0, 0.5)
    return network


class Quantized(nn.Module):
    """With an operator that is none of torch's own on tensors."""

    def forward(self, values: Tensor) -> Tensor:
        packed = torch.quantize_per_tensor(values, 0.1, 0, torch.quint8)
        answer: Tensor = torch.dequantize(torch.ops.quantized.add(packed, packed, 0.1, 0)).mean(dim=(2, 3))
        return answer


class Endless(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        while bool(values.sum() > -1):
            values = values * 1
        return values


def scripted(make: Callable[[], nn.Module]) -> Any:
    with tracing.quiet():
        return torch.jit.script(make().eval())


def saved(path: Path, network: nn.Module) -> Path:
    with tracing.quiet():  # about TorchScript itself
        traced: Any = torch.jit.trace(network.eval(), torch.rand(1, 3, 12, 12))
        traced.save(path)
    return path


def converted(source: Any, *inputs: Any, **options: Any) -> Finished:
    return finish(load_source_converter(find_converter("torch")), SourceRequest(source, inputs=inputs, **options))


VALUES = ArrayInput("x", (6,))


Behind = Callable[[Tensor], Any]


class Head(nn.Module):
    """Two layers, and ``behind`` what the second gives."""

    def __init__(self, outputs: int, behind: Behind) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.body, self.fc, self.behind = nn.Sequential(nn.Linear(6, 8), nn.ReLU()), nn.Linear(8, outputs), behind
        with torch.no_grad():
            for weights in self.parameters():
                weights.normal_(0, 0.7)

    def forward(self, values: Tensor) -> Any:
        return self.behind(self.fc(self.body(values)))


def rows() -> Any:
    return np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32)


def answered(network: nn.Module, given: Any) -> Any:
    """What torch itself answers, a row at a time, in float64."""
    with torch.no_grad():
        return torch.stack([network(torch.from_numpy(row[None])).reshape(-1) for row in given]).double().numpy()


def said(made: Finished, labels: Any) -> Any:
    return probabilities(load(made.model), [{"x": row} for row in rows()], labels)


def learns(made: Finished) -> None:
    """One update towards the second class raises it on every row, and changes the marked layer alone."""
    classifier = made.model.neuralNetworkClassifier
    labels: Any = list(classifier.stringClassLabels.vector) or list(classifier.int64ClassLabels.vector)
    training = [{"x": row, "label": labels[1]} for row in rows()]
    context = UpdateTask(made.model, training, parameters={"epochs": 30, "learningRate": 0.5}).resume()
    after = probabilities(context.model, [{"x": row} for row in rows()], labels)
    assert after[:, 1].mean() > said(made, labels)[:, 1].mean()
