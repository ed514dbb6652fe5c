"""Find out from its first operators whether a network scales pixels of 0..255 itself."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.data.inputs import ImageInput, Input

from .tracing import example

# Values that are taken away, or divided by, above this are of 0..255: no pixels of 0..1 spread or lie so far.
MOST_OF_UNIT = 16
NOTE = (
    "the network itself scales pixels of 0..255, so it receives them unscaled; use --pixels if it expects something "
    "else"
)
SCALING = {"add", "sub", "rsub", "mul", "div", "native_batch_norm", "_native_batch_norm_legit_no_training"}
# What a picture passes with its pixels in the range in which they were.
PASSING = {
    "_to_copy", "alias", "as_strided", "cat", "clone", "constant_pad_nd", "detach", "expand", "flip", "index_select",
    "lift_fresh", "permute", "reflection_pad2d", "replication_pad2d", "reshape", "select", "slice", "split",
    "split_with_sizes", "squeeze", "stack", "t", "transpose", "unbind", "unsqueeze", "upsample_bicubic2d",
    "upsample_bilinear2d", "upsample_nearest2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa", "view",
    "_unsafe_view",
}  # fmt: skip


@dataclass(frozen=True)
class _Reached:
    """The input of the first layer that does not scale a picture, and whether it was scaled before."""

    values: Tensor
    scaled: bool


class _Watching(TorchDispatchMode):
    """Follow a tensor through operators that keep or scale its pixels, to those that do anything else."""

    def __init__(self, picture: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own is untyped
        self.followed: dict[int, tuple[Tensor, bool]] = {id(picture): (picture, False)}
        self.reached: list[_Reached] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        given = [item for item in tree_leaves((args, kwargs or {})) if isinstance(item, Tensor)]
        result = [self.followed[id(item)] for item in given if id(item) in self.followed]
        if not result:
            return answer
        name = str(func.overloadpacket.__name__).removesuffix("_")
        scales = name in SCALING and len(result) == 1
        if not scales and name not in PASSING:
            self.reached += [_Reached(*item) for item in result]
            return answer
        outputs = answer[:1] if name.endswith(("batch_norm", "no_training")) else tree_leaves(answer)
        for output in outputs:
            if isinstance(output, Tensor):
                self.followed[id(output)] = output, scales or any(scaled for _, scaled in result)
        return answer


def as_it_takes_them(
    network: nn.Module, inputs: Sequence[Input], request: SourceRequest
) -> tuple[SourceRequest, tuple[str, ...]]:
    """Return ``request`` with pictures of 0..255 if the first operators on each picture scale them, and a note.

    ``network`` takes a batch of each input, pictures [n, channels, height, width]. What the request says of its
    pictures itself stands as it is.
    """
    pictures = [index for index, value in enumerate(inputs) if isinstance(value, ImageInput)]
    if request.mean or request.std or not pictures:
        return request, ()
    if not all(_scales_bytes(network, inputs, picture) for picture in pictures):
        return request, ()
    return replace(request, mean=(0.0,), std=(1 / 255,)), (NOTE,)


def _scales_bytes(network: nn.Module, inputs: Sequence[Input], index: int) -> bool:
    """Return whether black and white reach every operator scaled as only 0..255 makes sense."""
    black, white = (list(_reached(network, inputs, index, fill)) for fill in (torch.zeros_like, torch.ones_like))
    if not black or len(black) != len(white) or not all(item.scaled for item in black):
        return False
    return all(_means_bytes(dark.values, light.values) for dark, light in zip(black, white, strict=True))


def _means_bytes(black: Tensor, white: Tensor) -> bool:
    if black.shape != white.shape:
        return False
    spread = (white.double() - black.double()).abs()
    seen = spread > 0  # padding is the same for every picture
    if not bool(seen.any()):
        return False
    far = black.double().abs()[seen] > MOST_OF_UNIT * spread[seen]
    return bool(spread.max() < 1 / MOST_OF_UNIT) or bool(far.any())


def _reached(
    network: nn.Module, inputs: Sequence[Input], index: int, fill: Callable[[Tensor], Tensor]
) -> Iterator[_Reached]:
    batches = [example(value) if isinstance(value, ImageInput) else example(value)[None] for value in inputs]
    batches[index] = fill(batches[index])
    watching = _Watching(batches[index])
    try:
        with torch.no_grad(), watching:
            network(*batches)
    except Exception:  # noqa: BLE001 - a module from outside may raise anything; who runs it next says so
        return iter(())
    return iter(watching.reached)
