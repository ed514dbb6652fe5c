"""The sources of the torch converter: a file, the name of an architecture, weights for one, a function."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, type_before_parametrizations

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.data.inputs import ArrayInput, ImageInput, Input
from coreml_updatable.errors import SourceError, located
from coreml_updatable.trust import NETWORK_ROADS, expect_trust

from . import packaged_weights
from .architectures import create, import_library, published_names, published_weights, split_architecture
from .backbones import filled, reparameterised
from .declared_pictures import declared_by, pixels_in_words
from .downloading import downloaded_state
from .loading import call_factory
from .script import is_script, read_script
from .tracing import example
from .unrolling import unrolled
from .weights import load_state, read_objects, read_state, state_in
from .wrapped import Wrapped

LIBRARIES = ("torchvision:", "timm:")
LAST = "its pictures have the channels last: [n, height, width, channels]"


@dataclass(frozen=True)
class SourceNetwork:
    """A network from batches of ``inputs`` to logits or probabilities, and facts about it.

    ``original`` is another form of it that is the reference for comparisons; None if it is the network itself.
    ``request`` contains the normalization that its pictures need.
    """

    network: nn.Module
    inputs: tuple[Input, ...]
    request: SourceRequest
    reference: str
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    original: nn.Module | None = None
    channels_last: bool = False  # whether its pictures are [n, height, width, channels]


def load_source_network(request: SourceRequest) -> SourceNetwork:
    """Return the network that ``request.source`` names or contains; SourceError otherwise."""
    source = request.source
    if isinstance(source, nn.Module):
        _refuse(request, "a module")
        if isinstance(source, torch.jit.ScriptModule):
            return _compiled(source, request)
        return _plain(source, request, "the torch module")
    if isinstance(source, Path) and is_script(source):
        _refuse(request, f"{source.name}, a TorchScript file,")
        expect_trust(request.trust_code, f"{source}: is TorchScript", NETWORK_ROADS, also=_also(request))
        return _compiled(read_script(source), request)
    if isinstance(source, Path):
        if not request.architecture:
            result = read_objects(source, request.trust_code)  # other files are refused for what they are
            if isinstance(result, nn.Module):
                return _plain(result, request, "the torch module")
            state_in(result, source.name)
            raise SourceError(f"{source}: contains weights without a network; {_whose(source)}")
        if request.weights:
            raise SourceError(f"--weights {request.weights}: {source.name} already contains weights; omit one of them")
        with located(request.architecture, f"--architecture {request.architecture}"):
            return _named(request.architecture, replace(request, weights=str(source)))
    if not isinstance(source, str):
        raise SourceError(
            f"source: is a {type(source).__name__}, expected a torch.nn.Module, a file or a name; give one of these"
        )
    if request.architecture:
        raise SourceError(f"--architecture {request.architecture}: {source} already names one; omit one of them")
    return _named(source, request)


def _whose(weights: Path) -> str:
    """Return advice on how to name the network of these weights."""
    advice = "name their network with --architecture torchvision:NAME, timm:NAME, or file.py:function and --trust-code"
    folder = weights.parent
    if weights.suffix.lower() == ".safetensors" and (folder / "config.json").is_file():
        return f"convert the folder, whose config.json names their network: convert {folder} -o OUT; or {advice}"
    return advice


def _also(request: SourceRequest, *, labels: bool = False) -> str:
    """Return the options that a network needs if it does not describe its inputs."""
    missing = [] if request.inputs else ["--input image:WIDTHxHEIGHT (or NAME:LENGTH)"]
    missing += ["--labels a,b,..."] if labels and not request.labels else []
    return "".join(f" and {item}" for item in missing)


def _named(name: str, request: SourceRequest) -> SourceNetwork:
    if name.startswith(LIBRARIES) or packaged_weights.is_packaged(name):
        return named_network(name, request)
    if ".py:" not in name:
        raise SourceError(
            f"{name}: is not a network, expected efficientnet_lite0, torchvision:NAME, timm:NAME or file.py:function; "
            "correct it"
        )
    file, _, function = name.rpartition(":")
    if not request.labels and request.trust_code:
        raise SourceError(f"{name}: needs the number of classes; pass --labels a,b,...")
    expect_trust(
        request.trust_code,
        f"{name}: is a function in a file",
        "use torchvision:NAME or timm:NAME, or the ONNX export",
        also=_also(request, labels=True),
    )
    result = call_factory(f"{Path(file).name}:{function}", Path(file).parent, len(request.labels))
    notes: tuple[str, ...] = ()
    if request.weights and request.weights != "random":
        path = weights_file(request.weights)
        load_state(result, read_state(path, request.trust_code), path.name, len(request.labels))
    else:
        notes = (f"the weights are those from {function}; unless it loads trained ones, predictions are random",)
    given = _plain(result, request, "the torch module")
    return replace(given, notes=(*notes, *given.notes), facts={"factory": f"{Path(file).name}:{function}"})


def weights_file(weights: str) -> Path:
    path = Path(weights)
    if not path.is_file():
        raise SourceError(f"--weights {weights}: file does not exist; check the path")
    return path


def _compiled(script: Any, request: SourceRequest) -> SourceNetwork:
    """Trace ``script`` operator by operator, and compare with torch's own run of it."""
    converted, notes = _in_32_bits(script)
    given = _plain(unrolled(converted), request, "the TorchScript module")
    return replace(given, original=_in_own_type(script) if notes else script, notes=(*notes, *given.notes))


def _plain(network: nn.Module, request: SourceRequest, reference: str) -> SourceNetwork:
    """Return a network that does not describe its inputs."""
    if not request.inputs:
        raise SourceError(
            "input: --input is required, because a torch module does not describe its inputs; "
            "pass --input image:224x224, or NAME:LENGTH for an array, once for each input in order"
        )
    converted, notes = _in_32_bits(network)
    last = _takes_channels_last(converted, request.inputs)
    return SourceNetwork(
        converted,
        request.inputs,
        request,
        reference,
        notes=(*notes, LAST) if last else notes,
        original=_in_own_type(network) if converted is not network else None,
        channels_last=last,
    )


def _in_32_bits(network: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """Return ``network`` with float32 weights, each stored as such, and a note if they had another type.

    Core ML trains in 32 bits. A parametrization (``torch.nn.utils.parametrizations``) computes a weight from others, by
    operators that Core ML does not have; in evaluation mode the result is fixed.
    """
    tensors = [*network.parameters(), *network.buffers()]
    others = {tensor.dtype for tensor in tensors if tensor.is_floating_point()} - {torch.float32}
    if not others and not any(is_parametrized(module) for module in network.modules()):
        return network, ()
    copied = copy.deepcopy(network).eval().float()
    for module in list(copied.modules()):
        if is_parametrized(module):  # remove_parametrizations would change the class, which the original has as well
            computed = {name: getattr(module, name).detach() for name in module.parametrizations}  # type: ignore[union-attr]  # a ModuleDict
            module.__class__ = type_before_parametrizations(module)
            del module.parametrizations
            for name, weight in computed.items():
                module.register_parameter(name, nn.Parameter(weight))
    named = ", ".join(sorted(str(other) for other in others))
    return copied, (f"the source computes in {named}; it is converted in torch.float32",) if others else ()


def _in_own_type(network: nn.Module) -> nn.Module:
    """Return ``network`` for float32 batches, which it receives in the type of its weights: the answers to compare."""

    def cast(network: nn.Module, *batches: Tensor) -> Any:
        dtype = next(
            (parameter.dtype for parameter in network.parameters() if parameter.is_floating_point()), torch.float32
        )
        return network(*(batch.to(dtype) if batch.is_floating_point() else batch for batch in batches))

    return Wrapped(network, cast)


def _takes_channels_last(network: nn.Module, inputs: Sequence[Input]) -> bool:
    """Return whether it runs on pictures with the channels last, but not with the channels first, as in torch."""
    if not any(isinstance(value, ImageInput) for value in inputs):
        return False
    return not _runs(network, inputs) and _runs(channels_first(network, inputs), inputs)


def _runs(network: nn.Module, inputs: Sequence[Input]) -> bool:
    batches = [example(value) if isinstance(value, ImageInput) else example(value)[None] for value in inputs]
    try:
        with torch.no_grad():
            with_long(network.eval(), inputs)(*batches)
    except Exception:  # noqa: BLE001 - a module from outside may raise anything; who runs it next says so
        return False
    return True


def channels_first(network: nn.Module, inputs: Sequence[Input]) -> nn.Module:
    """Return ``network``, which takes channels last, for pictures with the channels first."""
    pictures = [isinstance(value, ImageInput) for value in inputs]

    def turned(network: nn.Module, *batches: Tensor) -> Any:
        pairs = zip(batches, pictures, strict=True)
        return network(*(one.permute(0, 2, 3, 1) if picture else one for one, picture in pairs))

    return Wrapped(network, turned)


def with_long(network: nn.Module, inputs: Sequence[Input]) -> nn.Module:
    """Convert token ids to 64 bits, as in torch's own data."""
    whole = [isinstance(value, ArrayInput) and value.whole for value in inputs]
    if not any(whole):
        return network

    def lengthened(network: nn.Module, *batches: Tensor) -> Any:
        return network(*(batch.long() if long else batch for batch, long in zip(batches, whole, strict=True)))

    return Wrapped(network, lengthened)


def _refuse(request: SourceRequest, what: str) -> None:
    for option, value in (("--weights", request.weights), ("--architecture", request.architecture)):
        if value:
            raise SourceError(f"{option} {value}: {what} has its own; omit the option")


RANDOM = (
    "THE WEIGHTS ARE RANDOM, as requested, and so are the predictions; "
    "use --weights pretrained or --weights FILE for a trained model"
)


def named_network(name: str, request: SourceRequest) -> SourceNetwork:
    """Return the architecture ``name`` with the weights that ``request`` names, in its inference form.

    timm's multi-branch networks are folded into their inference form; the reference remains
    the original network.
    """
    name, tag = _with_tag(name, request.weights)
    known = declared_by(name, _file(request.weights), tag)
    inputs = request.inputs or (ImageInput("image", known.width, known.height, "rgb"),)
    example = _example(name, inputs)
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    if request.weights == "random":
        network = create(name, len(request.labels) or None if request.head == "keep" else None).eval()
        notes, result = (RANDOM,), "random"
    elif request.weights in ("pretrained", tag) or request.weights == name.partition(".")[2]:
        network = filled(name, downloaded_state(name, tag), f"{name}'s own weights", example)
        labels, result = _categories(name, tag, network), tag or request.weights
    else:
        path = weights_file(request.weights)
        network, result = filled(name, read_state(path, request.trust_code), path.name, example), path.name
    if not (request.mean or request.std) and known.mean is not None:
        request = replace(request, mean=known.mean, std=known.std or ())
        notes = (*notes, f"pictures reach it as {pixels_in_words(known.mean, known.std)}, by {known.by}")
    folded = reparameterised(network, name)
    facts = {"architecture": name, "weights": result}
    return SourceNetwork(
        folded,
        inputs,
        request,
        f"{name} in torch",
        labels if request.head == "keep" else (),
        notes,
        facts,
        original=None if folded is network else network,
    )


def _file(weights: str) -> Path | None:
    return Path(weights) if Path(weights).is_file() else None


def _with_tag(name: str, weights: str) -> tuple[str, str]:
    """Return the name, with timm's tag if ``weights`` is one, and the name of torchvision's set of weights."""
    if not packaged_weights.is_packaged(name):
        split_architecture(name)
    if not weights:
        raise SourceError(
            f"{name}: --weights is required; use --weights pretrained (downloads them), --weights FILE (.safetensors "
            "or .pt) or --weights random"
        )
    if weights in ("random", "pretrained") or Path(weights).is_file():
        return name, ""
    known = published_names(name)
    if weights not in known:
        listed = ", ".join(known) or "none"
        raise SourceError(
            f"--weights {weights}: neither a file nor published weights of {name} ({listed}); check the path"
        )
    return (f"{name.split('.')[0]}.{weights}", "") if name.startswith("timm:") else (name, weights)


def _example(name: str, inputs: tuple[Any, ...]) -> torch.Tensor:
    if len(inputs) != 1 or not isinstance(inputs[0], ImageInput):
        raise SourceError(
            f"input {inputs[-1].name!r}: does not fit {name}, expected one picture; pass --input image:224x224"
        )
    return torch.zeros(1, inputs[0].channels, inputs[0].height, inputs[0].width)


def _categories(name: str, tag: str, network: nn.Module) -> tuple[str, ...]:
    """Return the class names of published weights."""
    library, _, short = name.partition(":")
    if packaged_weights.is_packaged(name):
        return ()
    if library == "torchvision":
        return tuple(published_weights(short, tag).meta.get("categories", ()))
    data = import_library("timm").data
    subset = data.infer_imagenet_subset(network)
    return _distinct(data.ImageNetInfo(subset).label_descriptions()) if subset else ()


def _distinct(labels: Sequence[str]) -> tuple[str, ...]:
    """Append a number to the second of two equal names (WordNet has some)."""
    return tuple(
        label if label not in labels[:index] else f"{label} {labels[: index + 1].count(label)}"
        for index, label in enumerate(labels)
    )
