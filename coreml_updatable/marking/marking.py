"""Mark a model as updatable: which layers train, with which loss and parameters, and which inputs the app provides."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.classifier import Labels
from coreml_updatable.marking.clearing import clear, clearable
from coreml_updatable.marking.features import rename_input
from coreml_updatable.marking.losses import CROSS_ENTROPY, Loss, gradient_begins, loss_for, write_update
from coreml_updatable.marking.moves import narrow_expansions
from coreml_updatable.marking.names import layer_numbers, name_layers
from coreml_updatable.marking.one_number import answers_one_number, two_classes, without_end
from coreml_updatable.marking.outputs import HIDDEN, named, with_outputs
from coreml_updatable.marking.path import check_path, in_the_way, last_trainable, softmax_of
from coreml_updatable.marking.pipelines import with_trained_last
from coreml_updatable.marking.repair import repair_tail
from coreml_updatable.marking.settings import UpdateSettings
from coreml_updatable.marking.soundness import expect_sound
from coreml_updatable.marking.sources import trainable
from coreml_updatable.marking.widening import widen_halves, widen_layer
from coreml_updatable.spec.graph import layer_kind, place
from coreml_updatable.spec.layer_kinds import can_be_updatable
from coreml_updatable.spec.messages import Model, NeuralNetwork
from coreml_updatable.spec.network import is_network, is_pipeline, network_of, pipeline_of
from coreml_updatable.spec.reserved_labels import reserved_labels, write_reserved_labels
from coreml_updatable.spec.storage import weight_fields

_DATE = "com.github.apple.coremltools.conversion_date"
_TOLD = 3  # layers whose new names are told: the last ones
LOWEST_SPECIFICATION_VERSION = 4  # the first that knows updatable models


class Wishes(TypedDict, total=False):
    """The options of ``mark``."""

    layers: Sequence[str] | None
    last: int
    labels: Labels | None
    label: str | None
    probabilities: str | None
    input: str | None
    reserved: int
    reserved_share: float
    head: Literal["keep", "new"]
    loss: Loss | None


@dataclass(frozen=True)
class Marked:
    """An updatable model, and the repairs that it needed, one line each."""

    model: Model
    repairs: tuple[str, ...]


def mark(model: Model, settings: UpdateSettings, **wishes: Unpack[Wishes]) -> Model:
    """Return a new, updatable model: tail repaired, layers named and marked, loss and training inputs set.

    ``layers`` names the layers to train (by their names in ``model`` or after naming); otherwise, the ``last`` ones
    before the loss are trained, 1 by default. ``labels`` turn a plain network into a classifier, or rename the labels
    of one; two labels turn a network with a single output, a logit or its sigmoid, into the softmax of [0, z]
    (``one_number.py``). ``label`` and ``probabilities`` name its outputs, ``input`` its only input. ``loss`` depends on
    the type of the model by default (``losses.py``): without labels, a plain network trains against an int32 class
    called ``<output>_true``, or, like a regressor, by squared error against doubles of that name. ``reserved`` is the
    total number of reserved labels; together, they take at most ``reserved_share`` of the probability, 2^-24 by
    default, until one is trained (``outputs.py``). A ``head`` that is "new" starts from new weights and has as many
    outputs as there are ``labels`` (``outputs.py``); a sigmoid or similar layer after the old head is removed.

    Marking a marked model replaces its marks and parameters: marking twice gives the same bytes as marking once. Raises
    ModelError with the reason.
    """
    return marked(model, settings, **wishes).model


def _places(network: NeuralNetwork) -> dict[str, str]:
    """Return each layer's position in the file by name; layers that share a name are left out."""
    uses = Counter(str(layer.name) for layer in network.layers)
    numbered = ((str(layer.name), place(index, layer)) for index, layer in enumerate(network.layers))
    return {name: where for name, where in numbered if uses[name] == 1}


def marked(model: Model, settings: UpdateSettings, **wishes: Unpack[Wishes]) -> Marked:
    """Return the result of ``mark`` with its repairs."""
    if unknown := sorted(wishes.keys() - Wishes.__annotations__.keys()):
        raise TypeError(f"mark() got an unexpected keyword argument {unknown[0]!r}")
    if is_pipeline(model):
        return _marked_pipeline(model, settings, wishes)
    labels, layers = wishes.get("labels"), wishes.get("layers")
    in_file = Counter(str(layer.name) for layer in network_of(model).layers) if is_network(model) else Counter[str]()
    model, changes = trainable(model)
    expect_sound(model)
    written = _places(network_of(model))
    loss = loss_for(model, wishes.get("loss"), labelled=labels is not None)
    head = wishes.get("head", "keep")
    model, ends = _with_logits(model, labels, head, loss)
    label, probabilities, name = wishes.get("label"), wishes.get("probabilities"), wishes.get("input")
    result = named(model, labels=labels, label=label, probabilities=probabilities, input=name, head=head)
    result, repairs = repair_tail(result, classify=loss == CROSS_ENTROPY)
    repairs += narrow_expansions(result)
    drop_date(result)
    before = [str(layer.name) for layer in network_of(result).layers]
    places = {index: written[name] for index, name in enumerate(before) if name in written}
    result = name_layers(result, layers or ())
    network = network_of(result)
    begin = gradient_begins(result, loss)
    can_clear = clearable(result)
    names = [str(layer.name) for layer in network.layers]
    repairs += _renamed(before, names)
    if layers is not None:
        renamed = {
            old: new for old, new in zip(before, names, strict=True) if old in written and before.count(old) == 1
        }
        numbers = layer_numbers(network, layers, renamed, in_file)
    else:
        numbers = last_trainable(network, begin, wishes.get("last", 1), can_clear, places)
    check_path(network, begin, numbers, can_clear, places)
    trained = [names[number] for number in numbers]
    repairs += clear(result, in_the_way(network, begin, numbers, can_clear))
    numbers = layer_numbers(network, trained)
    softmax = softmax_of(network, result) if loss == CROSS_ENTROPY else None
    reserved, share, seed = wishes.get("reserved", 0), wishes.get("reserved_share", HIDDEN), settings.seed or 0
    with_outputs(result, softmax, numbers, labels=labels, head=head, reserved=reserved, share=share, seed=seed)
    _mark_layers(network, numbers)
    write_update(result, loss, settings)
    result.isUpdatable = True
    result.specificationVersion = max(result.specificationVersion, LOWEST_SPECIFICATION_VERSION)
    return Marked(result, (*changes, *ends, *repairs))


def _with_logits(model: Model, labels: Labels | None, head: str, loss: Loss) -> tuple[Model, list[str]]:
    """Return ``model`` with the logits of its labels if its output is another form of them, and what was done."""
    if loss != CROSS_ENTROPY:
        return model, []
    if head == "new":
        return without_end(model)
    if labels is None or not answers_one_number(model):
        return model, []
    if len(labels) != 2:
        raise ModelError(
            f"labels: found {len(labels)} for a network with a single output, which distinguishes two classes; give "
            "two labels, the one for low numbers first, or make a new head with one output per label: --head new"
        )
    return two_classes(model)


def _renamed(before: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return a line about layers that were renamed, if a user could have known any of the old names."""
    new = [f"{old} is now {name}" for old, name in zip(before, names, strict=True) if old not in ("", name)]
    count = f", and {len(new) - _TOLD} more" if len(new) > _TOLD else ""
    return [f"layers have readable names: {', '.join(new[-_TOLD:])}{count}"] if new else []


def _marked_pipeline(model: Model, settings: UpdateSettings, wishes: Wishes) -> Marked:
    """Mark the last member, which may itself be a pipeline, and make the pipeline updatable."""
    name = wishes.get("input")
    result = rename_input(model, name) if name is not None else model
    members = pipeline_of(result).models
    if not members:
        raise ModelError("model: is a pipeline without members; build it again")
    inner: Wishes = {**wishes, "input": None}
    last = marked(members[-1], settings, **inner)
    result = with_trained_last(result, last.model)
    write_reserved_labels(result, reserved_labels(last.model))
    drop_date(result)
    return Marked(result, last.repairs)


def _mark_layers(network: NeuralNetwork, numbers: Sequence[int]) -> None:
    for index, layer in enumerate(network.layers):
        layer.isUpdatable = index in numbers
        kind = layer_kind(layer)
        if not can_be_updatable(layer):
            continue
        if index in numbers:
            widen_layer(layer, place(index, layer))
        for name, weights in weight_fields(layer):
            weights.isUpdatable = index in numbers and (name != "bias" or getattr(layer, kind).hasBias)
    widen_halves(network)


def drop_date(model: Model) -> None:
    """Remove the date of conversion, the only thing in a file that changes when nothing else has."""
    if _DATE in model.description.metadata.userDefined:
        del model.description.metadata.userDefined[_DATE]
