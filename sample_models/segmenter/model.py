"""DeepLabV3 on MobileNetV3 from torchvision (Chen et al. 2017), its normalization inside, as a Core ML network."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.converting.contract import ConvertedSource, Row, SourceRequest
from coreml_updatable.data.inputs import Float64Array, ImageInput

# By name: the folder of the converters is mapped into the package when it is installed.
architectures = import_module("coreml_updatable.converters.torch.architectures")
tracing = import_module("coreml_updatable.converters.torch.tracing")
weights = import_module("coreml_updatable.converters.torch.weights")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, which torchvision's weights were trained with
RANDOM = (
    "The weights are RANDOM: no file was given, so the masks mean nothing. Download "
    "torchvision's deeplabv3_mobilenet_v3_large (DeepLabV3_MobileNet_V3_Large_Weights) and build with WEIGHTS=file"
)


class Segmenter(nn.Module):
    """Pictures float32 [n, 3, height, width] in 0..1 -> scores [n, classes, height, width]."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        scores: Tensor = self.network((pictures - self.mean) / self.std)["out"]
        return scores


def stir(segmenter: Segmenter, height: int, width: int) -> None:
    """Let random weights answer otherwise from place to place, for else the proof would compare constants.

    As drawn, each layer fades what it gets, and all that is left at the end is the last bias. So batch normalization
    takes the statistics of pictures of colored squares and of noise, and each class's scores get mean 0, deviation 1.
    """
    pictures = torch.cat(
        [functional.interpolate(torch.rand(2, 3, 8, 8), (height, width)), torch.rand(2, 3, height, width)]
    )
    modules = list(segmenter.modules())
    for module in modules:
        if isinstance(module, nn.BatchNorm2d):
            module.train().momentum = 1.0
    with torch.no_grad():
        segmenter(pictures)
        scores = segmenter.eval()(pictures)
        mean, deviation = scores.mean(dim=(0, 2, 3)), scores.std(dim=(0, 2, 3))
        last = next(item for item in reversed(modules) if isinstance(item, nn.Conv2d))
        last.weight.div_(deviation.view(-1, 1, 1, 1))
        if last.bias is not None:
            last.bias.sub_(mean).div_(deviation)


def make(request: SourceRequest) -> ConvertedSource:
    torch.manual_seed(request.seed)
    (image,) = request.inputs
    assert isinstance(image, ImageInput)
    classes, path = len(request.labels), Path(request.weights) if request.weights else None
    networks = architectures.import_torchvision().models.segmentation
    network = networks.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes)
    if path is not None:
        state = weights.read_state(path)
        own = {name: value for name, value in state.items() if not name.startswith("aux_classifier.")}
        weights.load_state(network, own, path.name)
    segmenter = Segmenter(network).eval()
    if path is None:
        stir(segmenter, image.height, image.width)
    model = tracing.core_ml_of(segmenter, (image,))
    shape = (1, classes, image.height, image.width)
    model.description.output[0].type.multiArrayType.shape[:] = shape  # a fixed shape, which Xcode asks for

    def answers(rows: Sequence[Row]) -> Float64Array:
        with torch.no_grad():
            pictures = (torch.from_numpy(row[image.name]).permute(2, 0, 1).float().div(255) for row in rows)
            return np.stack([segmenter(picture[None]).numpy()[0] for picture in pictures]).astype(np.float64)

    return ConvertedSource(
        model,
        request.labels,
        answers,
        "torchvision's own scores",
        tolerance=1e-4,  # of the range of the scores
        facts={
            "architecture": "torchvision deeplabv3_mobilenet_v3_large",
            "weights": "random" if path is None else path.name,
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            **({"warning": RANDOM} if path is None else {}),
        },
    )
