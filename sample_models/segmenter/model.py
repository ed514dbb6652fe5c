"""DeepLabV3 on MobileNetV3 from torchvision (Chen et al. 2017), its normalisation inside, as a Core ML network."""

from importlib import import_module

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.converting.contract import FrozenRequest, FrozenSource
from coreml_updatable.data.inputs import Float32Array, UInt8Array
from coreml_updatable.marking import rename_features

# By name: the folder of the converters is mapped into the package when it is installed.
architectures = import_module("coreml_updatable.converters.torch.architectures")
tracing = import_module("coreml_updatable.converters.torch.tracing")
weights = import_module("coreml_updatable.converters.torch.weights")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, which torchvision's weights were trained with
RANDOM = (
    "the weights are RANDOM: no file was given, so the masks mean nothing. Download "
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

    As drawn, each layer fades what it gets, and all that is left at the end is the last bias. So batch normalisation
    takes the statistics of pictures of coloured squares and of noise, and each class's scores get mean 0, deviation 1.
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
        last = next(one for one in reversed(modules) if isinstance(one, nn.Conv2d))
        last.weight.div_(deviation.view(-1, 1, 1, 1))
        if last.bias is not None:
            last.bias.sub_(mean).div_(deviation)


def make(request: FrozenRequest) -> FrozenSource:
    torch.manual_seed(request.seed)
    networks = architectures.import_torchvision().models.segmentation
    network = networks.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=request.classes)
    if request.weights is not None:
        state = weights.read_state(request.weights)
        own = {name: value for name, value in state.items() if not name.startswith("aux_classifier.")}
        weights.load_state(network, own, request.weights.name)
    segmenter = Segmenter(network).eval()
    if request.weights is None:
        stir(segmenter, request.input.height, request.input.width)
    model = rename_features(tracing.core_ml_of(segmenter, (request.input,)), {tracing.ANSWER: request.output})
    shape = (1, request.classes, request.input.height, request.input.width)
    model.description.output[0].type.multiArrayType.shape[:] = shape  # a fixed shape, which Xcode asks for

    def answers(pixels: UInt8Array) -> Float32Array:
        pictures = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255)
        with torch.no_grad():
            said = [segmenter(picture[None]).numpy()[0] for picture in pictures]
        return np.stack(said)

    return FrozenSource(
        model,
        answers,
        notes=() if request.weights is not None else (RANDOM,),
        facts={
            "architecture": "torchvision deeplabv3_mobilenet_v3_large",
            "weights": "random" if request.weights is None else request.weights.name,
            "parameters": sum(one.numel() for one in network.parameters()),
        },
    )
