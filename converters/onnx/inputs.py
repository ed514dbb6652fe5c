"""What an ONNX graph is given: pictures where its input looks like one, arrays else; and what it says of pictures."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.data.inputs import ArrayInput, ImageInput
from coreml_updatable.errors import SourceError

from .._shared.picture_layout import as_typed, channels_last, picture_in

Input = ImageInput | ArrayInput
# ONNX's MetadataProps.md: what a graph may say of its pictures, as mean and deviation of pixels in 0..1.
RANGES = {
    "NominalRange_0_255": ((0.0,), (1 / 255,)),
    "Normalized_0_1": ((0.0,), (1.0,)),
    "Normalized_1_1": ((0.5,), (0.5,)),
    "NominalRange_16_235": ((-16 / 219,), (1 / 219,)),
}
BYTES = RANGES["NominalRange_0_255"]


@dataclass(frozen=True)
class Taken:
    """The inputs, which of them are pictures with the channels last, and the request with what the graph declares."""

    inputs: tuple[Input, ...]
    last: tuple[bool, ...]
    request: SourceRequest
    notes: tuple[str, ...] = ()


def inputs_of(model: Any, request: SourceRequest) -> Taken:
    """The inputs in the graph's order: the request's, as many and of the same shapes, else the graph's own."""
    given = request.inputs
    constants = {one.name for one in model.graph.initializer}
    own = [one for one in model.graph.input if one.name not in constants]
    if given and len(given) != len(own):
        names = ", ".join(repr(one.name) for one in own)
        raise SourceError(f"input: {len(given)} given, the graph has {len(own)} ({names}); say --input once for each")
    if not given:
        given = tuple(_own(one, "image" if len(own) == 1 else identifier(one.name)) for one in own)
        if _declared(model).get("Image.BitmapPixelFormat", "").startswith("Bgr"):
            given = tuple(_blue_first(one) for one in given)
    last = tuple(_fits(one, value) for one, value in zip(given, own, strict=True))
    request, notes = _as_declared(model, own, given, request)
    return Taken(tuple(given), last, request, notes)


def _fits(one: Input, value: Any) -> bool:
    """Whether ``one`` is a picture whose channels the graph has last; a SourceError where it does not fit."""
    wanted = _shape(value)
    if isinstance(one, ImageInput):
        last = channels_last(one, wanted)
        if last is not None:
            return last
        found: Sequence[int] = (one.channels, one.height, one.width)
    else:
        found = one.shape
        if len(found) == len(wanted) and all(w in (0, f) for f, w in zip(found, wanted, strict=True)):
            return False
    raise SourceError(
        f"input {one.name!r}: has the shape {list(found)}, the graph expects {[w or 'any' for w in wanted]}; "
        f"say {as_typed(one.name, wanted, whole=is_whole(value))}"
    )


def _blue_first(one: Input) -> Input:
    return replace(one, color="bgr") if isinstance(one, ImageInput) and one.channels == 3 else one


def _declared(model: Any) -> dict[str, str]:
    return {str(one.key): str(one.value) for one in model.metadata_props}


def _as_declared(
    model: Any, own: Sequence[Any], given: Sequence[Input], request: SourceRequest
) -> tuple[SourceRequest, tuple[str, ...]]:
    """``request`` with what the graph says of its pictures' pixels, where the request says nothing of them itself.

    The metadata of the graph, and then the type of its inputs: integers can be nothing but 0..255.
    """
    pictures = [value for one, value in zip(given, own, strict=True) if isinstance(one, ImageInput)]
    if request.mean or request.std or not pictures:
        return request, ()
    said = _declared(model).get("Image.NominalPixelRange", "")
    if said in RANGES:
        mean, std = RANGES[said]
        return replace(request, mean=mean, std=std), (f"pixels reach it as its metadata says: {said}",)
    if all(_holds_bytes(value) for value in pictures):
        note = "its input holds integers, so pixels reach it as 0..255; say --pixels if it expects them otherwise"
        return replace(request, mean=BYTES[0], std=BYTES[1]), (note,)
    return request, ()


def _shape(value: Any) -> tuple[int, ...]:
    """Without the batch; 0 where any length will do."""
    lengths = [int(one.dim_value) for one in value.type.tensor_type.shape.dim]
    if not lengths or lengths[0] > 1:
        raise SourceError(
            f"input {value.name!r}: has the shape {lengths}, expected a batch of 1 or of any size first; export it so"
        )
    return tuple(lengths[1:])


def is_whole(value: Any) -> bool:
    from onnx import TensorProto

    return value.type.tensor_type.elem_type in (TensorProto.INT32, TensorProto.INT64)


def _holds_bytes(value: Any) -> bool:
    from onnx import TensorProto

    kinds = ("UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "UINT64")
    return value.type.tensor_type.elem_type in [getattr(TensorProto, kind) for kind in kinds]


def _own(value: Any, picture: str) -> Input:
    shape = _shape(value)
    found = picture_in(shape, picture)
    if found is not None:
        return found
    if not shape or 0 in shape:
        lengths = [length or "any" for length in shape]
        raise SourceError(
            f"input {value.name!r}: has no fixed shape ({lengths}), expected one; "
            f"say {as_typed(picture if len(shape) == 3 else identifier(value.name), shape, whole=is_whole(value))}"
        )
    return ArrayInput(identifier(value.name), shape, whole=is_whole(value))


def identifier(name: str) -> str:
    """``name`` as an app's code can have it: exporters write such as "onnx::Gemm_0"."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return plain if plain.isidentifier() else f"_{plain}"
