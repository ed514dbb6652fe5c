"""PyTorch: TorchScript files, torchvision's and timm's architectures, weights for one, and any ``nn.Module``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from coreml_updatable.converting.contract import (
    ConversionRequest,
    Converted,
    ConvertedSource,
    DeclaredPicture,
    SourceRequest,
)
from coreml_updatable.spec.messages import Model

if TYPE_CHECKING:
    from torch import nn

    from .source_network import SourceNetwork


@overload
def convert(request: ConversionRequest) -> Converted: ...
@overload
def convert(request: SourceRequest) -> ConvertedSource: ...
def convert(request: ConversionRequest | SourceRequest) -> Converted | ConvertedSource:
    """Convert the network of a recipe's [source], trained first if its weights are new, or a trained network.

    The model computes ``torch.softmax(network((pixels / 255 - mean) / std), dim=1)``, of a multi-array
    ``torch.softmax(network(values), dim=1)``, the network in evaluation mode, within 1e-4 in probability. It ends, as
    coremltools writes it, in ``innerProduct`` at rank 2 and ``softmaxND``; its features are the recipe's input and
    ``probabilities``, in the order of the labels. The same request gives the same bytes. Of a file of weights nothing
    runs as code. TorchScript, a ``file.py:function`` (of a recipe: from outside its folder) and files that hold other
    objects than tensors do, and are refused unless ``request.trust_code``.
    Raises SourceError (RecipeError for the factory's own file) with one sentence for everything that a user can fix.
    """
    from .reproducible import reproducible

    with reproducible(request.seed):
        if isinstance(request, SourceRequest):
            return _finished(request)
        return _built(request)


def declared(source: Mapping[str, Any]) -> DeclaredPicture | None:
    """Return how the architecture of a recipe's [source] expects pictures; None for a factory, which does not say."""
    from .declared_pictures import declared_by
    from .source import read_source

    fields = read_source(source)
    if fields.architecture is None:
        return None
    weights = Path(fields.weights) if fields.weights not in (None, "pretrained") else None
    return declared_by(fields.architecture, weights)


def cross_validates(source: Mapping[str, Any]) -> bool:
    """Whether ``convert`` fits a head on the fixed features of pretrained weights, which costs little: it can be fitted
    again for each fold of a cross-validation."""
    from .source import read_source

    fields = read_source(source)
    return fields.weights == "pretrained" and fields.training.is_chosen


def check_source(source: Mapping[str, Any]) -> None:
    """Raise SourceError for unknown or invalid fields of a recipe's [source]."""
    from .source import read_source

    read_source(source)


def untrained(request: ConversionRequest) -> Model:
    """Return the model of ``convert`` before training, for a request without rows; nothing is downloaded."""
    from .loading import load_network
    from .packaged_weights import is_packaged, short_network
    from .reproducible import reproducible
    from .source import read_source
    from .tracing import to_core_ml
    from .training import as_after_training

    source = read_source(request.source)
    pretrained = source.weights == "pretrained"
    with reproducible(request.seed):
        network = (
            short_network(request)
            if pretrained and is_packaged(source.architecture or "")
            else load_network(
                source.model_copy(update={"weights": None}) if pretrained and source.factory is None else source,
                request,
            )
        )
        as_after_training(network, request, source.training, head_only=pretrained)
        return to_core_ml(network, request.input)


def _built(request: ConversionRequest) -> Converted:
    from .facts import facts
    from .loading import load_network
    from .probabilities import probabilities
    from .source import read_source
    from .tracing import to_core_ml
    from .training import chosen_head, train

    source = read_source(request.source)
    network = load_network(source, request)
    head = chosen_head(network, source)
    if head is not None:
        from .fitted import fit_chosen, with_fitted

        fitted = fit_chosen(network, head, request, source.training.extractor_learns == "kinds")
        model = to_core_ml(network, request.input)
        return with_fitted(Converted(model, fitted.answers, (), facts(network, source, (), request)), fitted)
    history = train(network, request, source.training)
    model = to_core_ml(network, request.input)
    answers = probabilities(network, request.test.values)
    return Converted(model, answers, history, facts(network, source, history, request))


def _finished(request: SourceRequest) -> ConvertedSource:
    from torch.jit import ScriptModule

    from .finished import finished
    from .source_network import load_source_network

    given = load_source_network(request)
    return finished(
        _as_run(given.network, given),
        given.inputs,
        given.request,
        given.reference,
        labels=given.labels,
        notes=given.notes,
        facts=given.facts,
        original=_as_run(given.original, given) if given.original is not None else None,
        inside=given.original if isinstance(given.original, ScriptModule) else given.network,
    )


def _as_run(network: "nn.Module", given: "SourceNetwork") -> "nn.Module":
    """Return ``network`` for pictures with the channels first and token ids in 32 bits."""
    from .source_network import channels_first, with_long

    return with_long(channels_first(network, given.inputs) if given.channels_last else network, given.inputs)
