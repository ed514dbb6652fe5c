"""The inputs of an ONNX graph: pictures if an input looks like one, else arrays; and how pictures are scaled."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.data.inputs import ArrayInput, ImageInput, Input
from coreml_updatable.errors import SourceError

from .._shared.picture_layout import as_typed, channels_last, picture_in

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
    """Return the inputs, which of them are pictures with the channels last, and the completed request."""

    inputs: tuple[Input, ...]
    last: tuple[bool, ...]
    request: SourceRequest
    notes: tuple[str, ...] = ()


def inputs_of(model: Any, request: SourceRequest) -> Taken:
    """Return the inputs in the graph's order: the request's if they fit in number and shape, else the graph's own."""
    given = request.inputs
    constants = {item.name for item in model.graph.initializer}
    own = [item for item in model.graph.input if item.name not in constants]
    if given and len(given) != len(own):
        names = ", ".join(repr(item.name) for item in own)
        raise SourceError(
            f"input: found {len(given)} for a graph with {len(own)} inputs ({names}); pass --input once for each"
        )
    if not given:
        given = tuple(_own(item, "image" if len(own) == 1 else identifier(item.name)) for item in own)
        if _declared(model).get("Image.BitmapPixelFormat", "").startswith("Bgr"):
            given = tuple(_blue_first(item) for item in given)
    last = tuple(_fits(item, value) for item, value in zip(given, own, strict=True))
    request, notes = _as_declared(model, own, given, request)
    return Taken(tuple(given), last, request, notes)


def _fits(item: Input, value: Any) -> bool:
    """Return whether ``one`` is a picture with the channels last in the graph; SourceError if it does not fit."""
    wanted = _shape(value)
    if isinstance(item, ImageInput):
        last = channels_last(item, wanted)
        if last is not None:
            return last
        result: Sequence[int] = (item.channels, item.height, item.width)
    else:
        result = item.shape
        if len(result) == len(wanted) and all(w in (0, f) for f, w in zip(result, wanted, strict=True)):
            return False
    raise SourceError(
        f"input {item.name!r}: has the shape {list(result)}, but the graph expects {[w or 'any' for w in wanted]}; "
        f"pass {as_typed(item.name, wanted, whole=is_integer(value))}"
    )


def _blue_first(item: Input) -> Input:
    return replace(item, color="bgr") if isinstance(item, ImageInput) and item.channels == 3 else item


def _declared(model: Any) -> dict[str, str]:
    return {str(prop.key): str(prop.value) for prop in model.metadata_props}


def _as_declared(
    model: Any, own: Sequence[Any], given: Sequence[Input], request: SourceRequest
) -> tuple[SourceRequest, tuple[str, ...]]:
    """Return ``request`` with the scaling of pixels that the graph declares, unless the request has its own.

    Sources are the metadata of the graph and the type of its inputs: integers can only be 0..255.
    """
    pictures = [value for item, value in zip(given, own, strict=True) if isinstance(item, ImageInput)]
    if request.mean or request.std or not pictures:
        return request, ()
    said = _declared(model).get("Image.NominalPixelRange", "")
    if said in RANGES:
        mean, std = RANGES[said]
        return replace(request, mean=mean, std=std), (f"pixels are scaled according to its metadata: {said}",)
    if all(_holds_bytes(value) for value in pictures):
        note = "its input has integers, so pixels are passed as 0..255; use --pixels if it expects something else"
        return replace(request, mean=BYTES[0], std=BYTES[1]), (note,)
    return request, ()


def _shape(value: Any) -> tuple[int, ...]:
    """Return the shape without the batch axis; 0 for any length."""
    lengths = [int(item.dim_value) for item in value.type.tensor_type.shape.dim]
    if not lengths or lengths[0] > 1:
        raise SourceError(
            f"input {value.name!r}: has the shape {lengths}, expected a batch of 1 or of any size first; export it "
            "again"
        )
    return tuple(lengths[1:])


def is_integer(value: Any) -> bool:
    from onnx import TensorProto

    return value.type.tensor_type.elem_type in (TensorProto.INT32, TensorProto.INT64)


def _holds_bytes(value: Any) -> bool:
    from onnx import TensorProto

    kinds = ("UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "UINT64")
    return value.type.tensor_type.elem_type in [getattr(TensorProto, kind) for kind in kinds]


def _own(value: Any, picture: str) -> Input:
    shape = _shape(value)
    result = picture_in(shape, picture)
    if result is not None:
        return result
    if not shape or 0 in shape:
        lengths = [length or "any" for length in shape]
        raise SourceError(
            f"input {value.name!r}: has no fixed shape ({lengths}); pass "
            f"{as_typed(picture if len(shape) == 3 else identifier(value.name), shape, whole=is_integer(value))}"
        )
    return ArrayInput(identifier(value.name), shape, whole=is_integer(value))


def identifier(name: str) -> str:
    """Return ``name`` as a valid identifier for an app; exporters write names such as "onnx::Gemm_0"."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return plain if plain.isidentifier() else f"_{plain}"
