"""A filter in the style of one picture, trained here, as a Core ML network from a picture to a picture."""

from collections.abc import Sequence
from importlib import import_module

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from coreml_updatable.converting.contract import ConvertedSource, Row, SourceRequest
from coreml_updatable.data.folders import files_below
from coreml_updatable.data.inputs import Float64Array, ImageInput, UInt8Array
from coreml_updatable.data.pictures import read_photo
from coreml_updatable.errors import DataError, SourceError

from . import drawing
from .network import StyleNetwork
from .training import Plan, train

reproducible = import_module("coreml_updatable.converters.torch.reproducible")
tracing = import_module("coreml_updatable.converters.torch.tracing")
SIDE, DRAWN, MOST_PHOTOS = 256, 80, 400  # of the pictures to train on, in pixels; how many
STEPS, BATCH, PIECE = 25, 2, 128  # an epoch; pieces a step, pixels a side
SHOWN = 1000  # number of a drawn scene that no training sees
DEFAULT, DOUBLED = 5, 2  # the strength that changes nothing, and how much more doubles the weight of the style
WEIGHT = 6.0  # of the style at that strength
OPTIONS = {"style", "strength", "density", "epochs"}


class Pixels(nn.Module):
    """The filter with pixels in 0..255 as its answer, as a picture is in Core ML."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        pixels: Tensor = self.network(pictures) * 255
        return pixels


def make(request: SourceRequest) -> ConvertedSource:
    (image,) = request.inputs
    assert isinstance(image, ImageInput)
    style, plan = settings(request)
    contents, left_out = content_pictures(request)
    shown = drawing.scene(SHOWN, SIDE)
    with reproducible.reproducible(request.seed):
        network = StyleNetwork()
        history, snapshots = train(
            network,
            tensor(np.asarray(style))[None] / 255,
            torch.stack([tensor(pixels).byte() for pixels in contents]),
            tensor(np.asarray(shown))[None] / 255,
            plan,
            request,
        )
    filter_ = Pixels(network).eval()

    def answers(rows: Sequence[Row]) -> Float64Array:
        with torch.no_grad():
            return np.stack([filter_(tensor(row[image.name])[None] / 255).numpy()[0] for row in rows]).astype(
                np.float64
            )

    sizes = (image.width, image.height)
    return ConvertedSource(
        tracing.core_ml_of(filter_, (image,)),
        (),
        answers,
        "torch's own pixels",
        tolerance=1e-4,  # of the range of the pixels
        rows=tuple(
            {image.name: np.asarray(draw(SHOWN, max(sizes)).resize(sizes))} for draw in (drawing.scene, drawing.leaves)
        ),
        facts={
            "architecture": "residual network with instance normalization (Johnson et al. 2016)",
            "style": str(request.options["style"]),
            "strength": request.options["strength"],
            "density": request.options["density"],
            "trained on": f"{len(contents)} {'photos' if request.photos else 'drawings'}",
            "trained": f"{plan.epochs} epochs of {plan.steps} steps of {plan.batch} pieces, {plan.side} pixels a side",
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            **({"photos left out": "; ".join(left_out)} if left_out else {}),
        },
        history=history,
        snapshots=snapshots,
    )


def settings(request: SourceRequest) -> tuple[Image.Image, Plan]:
    """The style's picture, ``density`` pixels a side, and how to train; a SourceError for options of no meaning."""
    given = request.options
    if set(given) != OPTIONS:
        raise SourceError(f"source.options: found {sorted(given)}, expected {sorted(OPTIONS)}; correct them")
    bounds = {"strength": (1, 10), "density": (64, 1024), "epochs": (1, 1000)}
    for option, (low, high) in bounds.items():
        if not (isinstance(given[option], int) and low <= given[option] <= high):
            raise SourceError(
                f"source.options.{option} is {given[option]!r}, expected an integer from {low} to {high}; correct it"
            )
    if request.weights:
        raise SourceError("--weights: has no effect, because the network is trained here; omit it")
    density, name = int(given["density"]), str(given["style"])
    own = {"mosaic": drawing.mosaic, "strokes": drawing.strokes, "woodcut": drawing.woodcut}
    path = request.source / name
    if name not in own and not path.is_file():
        raise SourceError(f"source.options.style: {name!r} is no picture beside the recipe, and none of {list(own)}")
    fitted = ImageInput("style", density, density, "rgb")
    style = own[name](density) if name in own else Image.fromarray(read_photo(path, fitted))
    strength = WEIGHT * 2 ** ((given["strength"] - DEFAULT) / DOUBLED)
    return style, Plan(strength, int(given["epochs"]), STEPS, BATCH, PIECE)


def content_pictures(request: SourceRequest) -> tuple[list[UInt8Array], list[str]]:
    """Pictures uint8 [SIDE, SIDE, 3] to train on, the user's photos if there are any; and what could not be read."""
    if request.photos is None:
        return [np.asarray(drawing.content(index, SIDE)) for index in range(DRAWN)], []
    result, left_out = [], []
    for path in sorted(files_below(request.photos))[:MOST_PHOTOS]:
        try:
            result.append(read_photo(path, ImageInput("photo", SIDE, SIDE, "rgb")))
        except DataError as error:
            left_out.append(str(error))
    if not result:
        raise DataError(f"{request.photos}: has no readable photo, expected some to train on; check the folder")
    return result, left_out


def tensor(pixels: UInt8Array) -> Tensor:
    """[height, width, 3] -> float32 [3, height, width], values as they are."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, 2, 0))).float()
