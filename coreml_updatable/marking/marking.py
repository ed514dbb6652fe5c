"""Marking: which layers train, with which loss and parameters, and what the app hands over for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.classifier import Labels
from coreml_updatable.marking.clearing import clear, clearable
from coreml_updatable.marking.features import rename_input
from coreml_updatable.marking.names import layer_numbers, name_layers
from coreml_updatable.marking.outputs import named, with_outputs
from coreml_updatable.marking.parameters import update_parameters
from coreml_updatable.marking.path import MARKABLE, check_path, in_the_way, last_trainable, softmax_of
from coreml_updatable.marking.pipelines import with_trained_last
from coreml_updatable.marking.repair import repair_tail
from coreml_updatable.marking.settings import UpdateSettings
from coreml_updatable.marking.sources import trainable
from coreml_updatable.marking.spare import HIDDEN
from coreml_updatable.marking.tail import answer_blob
from coreml_updatable.marking.widening import widen_halves, widen_layer
from coreml_updatable.spec.features import feature_named
from coreml_updatable.spec.graph import layer_kind, place
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, NeuralNetwork
from coreml_updatable.spec.network import is_pipeline, network_of, pipeline_of
from coreml_updatable.spec.spare_labels import spare_labels, write_spare_labels

_DATE = "com.github.apple.coremltools.conversion_date"
LOWEST_SPECIFICATION_VERSION = 4  # the first that knows updatable models


class Wishes(TypedDict, total=False):
    """What may be said of a marking; see ``mark``."""

    layers: Sequence[str] | None
    last: int
    labels: Labels | None
    label: str | None
    probabilities: str | None
    input: str | None
    spare: int
    spare_share: float
    head: Literal["keep", "new"]


@dataclass(frozen=True)
class Marked:
    """An updatable model, and what had to be mended for it, one line each."""

    model: Model
    repairs: tuple[str, ...]


def mark(model: Model, settings: UpdateSettings, **wishes: Unpack[Wishes]) -> Model:
    """A new, updatable model: tail repaired, layers named and marked, categorical cross entropy, training inputs.

    ``layers`` names the layers to train (as called in ``model`` or after naming); else the ``last`` ones before the
    softmax, 1 if not given. ``labels`` make a plain network a classifier, or rename the labels of one; ``label`` and
    ``probabilities`` name its outputs, ``input`` its one input. Without labels a plain network trains against an int32
    target called ``<output>_true``. ``spare`` outputs in all are reserved for labels to come and take at most
    ``spare_share`` of an answer, 2^-24 if not given, until one is trained (``spare.py``); a ``head`` that is "new"
    forgets what it knew, and has as many outputs as there are ``labels`` (``new_head.py``). Marking a marked model
    replaces its marks and parameters: marking twice gives the same bytes as marking once. Raises ModelError with the
    reason.
    """
    return marked(model, settings, **wishes).model


def marked(model: Model, settings: UpdateSettings, **wishes: Unpack[Wishes]) -> Marked:
    """``mark``, and what it mended."""
    if is_pipeline(model):
        return _marked_pipeline(model, settings, wishes)
    labels, layers = wishes.get("labels"), wishes.get("layers")
    model, changes = trainable(model)
    if labels is None and model.WhichOneof("Type") == "neuralNetworkRegressor":
        raise ModelError("model: is a regressor, expected a classifier for categorical cross entropy; give labels")
    head = wishes.get("head", "keep")
    label, probabilities, name = wishes.get("label"), wishes.get("probabilities"), wishes.get("input")
    made = named(model, labels=labels, label=label, probabilities=probabilities, input=name, head=head)
    made, repairs = repair_tail(made)
    drop_date(made)
    before = [str(layer.name) for layer in network_of(made).layers]
    made = name_layers(made)
    network = network_of(made)
    softmax = softmax_of(network, made)
    can_clear = clearable(made)
    names = [str(layer.name) for layer in network.layers]
    if layers is not None:
        renamed = dict(zip(before, names, strict=True))
        numbers = layer_numbers(network, [renamed.get(name, name) for name in layers])
    else:
        numbers = last_trainable(network, softmax, wishes.get("last", 1), can_clear)
    check_path(network, softmax, numbers, can_clear)
    trained = [names[number] for number in numbers]
    repairs += clear(made, in_the_way(network, softmax, numbers, can_clear))
    numbers, softmax = layer_numbers(network, trained), softmax_of(network, made)
    spare, share, seed = wishes.get("spare", 0), wishes.get("spare_share", HIDDEN), settings.seed or 0
    with_outputs(made, softmax, numbers, labels=labels, head=head, spare=spare, share=share, seed=seed)
    _mark_layers(network, numbers)
    _write_update(made, network, softmax, settings)
    made.isUpdatable = True
    made.specificationVersion = max(made.specificationVersion, LOWEST_SPECIFICATION_VERSION)
    return Marked(made, (*changes, *repairs))


def _marked_pipeline(model: Model, settings: UpdateSettings, wishes: Wishes) -> Marked:
    """Its last member is marked, which may be a pipeline itself, and the pipeline says so."""
    name = wishes.get("input")
    made = rename_input(model, name) if name is not None else model
    members = pipeline_of(made).models
    if not members:
        raise ModelError("model: is a pipeline without members, expected one at least; build it again")
    inner: Wishes = {**wishes, "input": None}
    last = marked(members[-1], settings, **inner)
    made = with_trained_last(made, last.model)
    write_spare_labels(made, spare_labels(last.model))
    drop_date(made)
    return Marked(made, last.repairs)


def _mark_layers(network: NeuralNetwork, numbers: Sequence[int]) -> None:
    for number, layer in enumerate(network.layers):
        layer.isUpdatable = number in numbers
        kind = layer_kind(layer)
        if kind not in MARKABLE:
            continue
        params = getattr(layer, kind)
        params.weights.isUpdatable = number in numbers
        params.bias.isUpdatable = number in numbers and params.hasBias
        if number in numbers:
            widen_layer(layer, place(number, layer))
    widen_halves(network)


def _write_update(model: Model, network: NeuralNetwork, softmax: int, settings: UpdateSettings) -> None:
    description = model.description
    network.updateParams.CopyFrom(update_parameters(settings))
    source = str(network.layers[softmax].output[0])
    classifies = model.WhichOneof("Type") == "neuralNetworkClassifier"
    target = str(description.predictedFeatureName) if classifies else f"{answer_blob(model)}_true"
    loss = network.updateParams.lossLayers.add(name=_loss_name(network))
    loss.categoricalCrossEntropyLossLayer.input = source
    loss.categoricalCrossEntropyLossLayer.target = target
    kept = {str(feature.name): str(feature.shortDescription) for feature in description.trainingInput}
    del description.trainingInput[:]
    description.trainingInput.extend(description.input)
    answer = feature_named(description.output, target)
    if answer is not None:
        description.trainingInput.add().CopyFrom(answer)
    else:
        truth = description.trainingInput.add(name=target).type.multiArrayType
        truth.shape.append(1)
        truth.dataType = FeatureTypes_pb2.ArrayFeatureType.INT32
    for feature in description.trainingInput:
        feature.shortDescription = kept.get(str(feature.name)) or feature.shortDescription


def drop_date(model: Model) -> None:
    """Take out the day of conversion, the one thing in a file that changes although nothing has changed."""
    if _DATE in model.description.metadata.userDefined:
        del model.description.metadata.userDefined[_DATE]


def _loss_name(network: NeuralNetwork) -> str:
    taken, name = {str(layer.name) for layer in network.layers}, "loss"
    while name in taken:
        name += "_"
    return name
