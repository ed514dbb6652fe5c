"""Choose the converter of a source, and run it: what `convert` does at the command line and in Python."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.converting.finished import Finished, finish
from coreml_updatable.converting.registry import find_converter, load_source_converter, needs_of
from coreml_updatable.converting.source_kind import OURS, converter_for, converter_for_object, doubt_about, source_of
from coreml_updatable.errors import RecipeError, SourceError, UserError

GRAPHS = ("torch", "transformers", "keras", "onnx")  # the converters whose sources become a graph of torch's
Pixels = Literal["0..1", "0..255", "-1..1"]  # the values that a source expects of a picture
MEAN_AND_STD: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "0..1": ((0.0,), (1.0,)),
    "0..255": ((0.0,), (1 / 255,)),
    "-1..1": ((0.5,), (0.5,)),
}


@dataclass(frozen=True)
class Conversion:
    """What was made; ``reason``: what told the converter, "" where it was named."""

    finished: Finished
    converter: str
    reason: str


def convert_source(request: SourceRequest, converter: str | None = None, pixels: Pixels | None = None) -> Conversion:
    """Convert what ``request`` names, with the converter that its source calls for or ``converter``.

    RecipeError for a converter that there is not, for an option that it has no use for, and for ``pixels`` beside a
    mean or a standard deviation; otherwise the errors of ``finish``.
    """
    if pixels is not None:
        if request.mean or request.std:
            raise RecipeError("--pixels cannot be combined with --mean or --std; use one of them")
        if pixels not in MEAN_AND_STD:
            raise RecipeError(f"--pixels {pixels}: is not a range of pixels, expected one of {', '.join(MEAN_AND_STD)}")
        mean, std = MEAN_AND_STD[pixels]
        request = replace(request, mean=mean, std=std)
    if request.cut:
        request = replace(request, head="new")
    reason, doubt, source = "", "", request.source
    if isinstance(source, Path):
        source = source_of(source)
        request = replace(request, source=source)
    if converter is None:
        converter, reason = converter_for(source) if isinstance(source, str | Path) else converter_for_object(source)
    elif isinstance(source, str | Path):
        doubt = doubt_about(converter, source)
    if request.column is not None and request.head == "new":
        raise RecipeError("--column has no effect with a new head, which replaces all outputs; omit one of them")
    _expect_suited(converter, request)
    entry = find_converter(converter, asked_by="--converter")
    function = load_source_converter(entry)
    needs = needs_of(entry)
    if needs.missing:
        raise SourceError(f"converter {converter}: {', '.join(needs.missing)} is not installed; run: {needs.command}")
    try:
        return Conversion(finish(function, request), converter, reason)
    except UserError as error:
        if not doubt:
            raise
        raise type(error)(f"{error}; {doubt}") from error


def _expect_suited(converter: str, request: SourceRequest) -> None:
    """A RecipeError for an option that ``converter``, one of ours, has no use for."""
    if converter not in OURS:
        return
    options: Sequence[tuple[str, object, Sequence[str]]] = (
        ("--weights", request.weights, ("torch",)),
        ("--architecture", request.architecture, ("torch",)),
        ("--cut", request.cut, GRAPHS),
        ("--head new", request.head == "new" and not request.cut, (*GRAPHS, "mlmodel")),
        ("--answer", request.answer, GRAPHS),
        ("--column", request.column is not None, GRAPHS),
    )
    for option, given, suited in options:
        if given and converter not in suited:
            which = f"{suited[0]} only" if len(suited) == 1 else ", ".join(suited)
            later = "; convert it, and then: coreml-updatable mark MODEL --head new --labels a,b"
            raise RecipeError(
                f"{option} is for the converter {which}, not for {converter}; leave it out"
                + (later if option in ("--head new", "--cut") else "")
            )
