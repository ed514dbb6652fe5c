"""The outputs of a classifier that is being marked: their names and labels, and the head that gives them."""

from collections.abc import Sequence

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.classifier import Labels, as_classifier, rename_answers, write_labels
from coreml_updatable.marking.features import rename_input
from coreml_updatable.marking.head import Head, change_outputs, find_head, renew
from coreml_updatable.marking.reserved_labels import with_own_spare, with_spare
from coreml_updatable.spec.graph import layer_kind, place
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import class_labels, network_of
from coreml_updatable.spec.reserved_labels import spare_labels, write_spare_labels

HEADS = ("keep", "new")


def named(
    model: Model, *, labels: Labels | None, label: str | None, probabilities: str | None, input: str | None, head: str
) -> Model:
    """``model`` with these labels and names of its features; None leaves them alone. A new head will fit the labels."""
    if head not in HEADS:
        raise ModelError(f"head: found {head!r}, expected 'keep' or 'new'")
    for name in (label, probabilities):
        if name == "":
            raise ModelError("features: an output is to be called '', expected a name; choose one or leave it out")
    made = rename_input(model, input) if input is not None else model
    if labels is None:
        return rename_answers(made, label, probabilities)
    if head == "keep":
        labels = with_own_spare(made, labels)
    return as_classifier(made, labels, label=label, probabilities=probabilities, counted=head == "keep")


def with_outputs(
    model: Model,
    softmax: int | None,
    trained: Sequence[int],
    *,
    labels: Labels | None,
    head: str,
    spare: int,
    share: float,
    seed: int,
) -> None:
    """A new head where one is wished for, and ``spare`` spare outputs in all, in place.

    ``trained`` are the numbers of the layers to train: these get new weights. With ``labels`` a new head has as many
    outputs, and the spare ones; without, as many as the old one. ``share``: see ``spare.py``. ``softmax`` is None in a
    network that learns values.
    """
    if spare < 0:
        raise ModelError(f"spare: found {spare}, expected 0 or more; say how many outputs to reserve")
    if softmax is None:
        if spare:
            raise ModelError(f"spare: found {spare} for a model that learns values, expected 0; give labels")
        if head == "new":
            renew(network_of(model), trained, None, 0, seed)
        return
    if head == "new":
        spare = _renew(model, softmax, trained, labels, spare, seed)
    if spare and spare != len(spare_labels(model)):
        with_spare(model, _trained_head(model, softmax, trained), spare, share)


def _renew(model: Model, softmax: int, trained: Sequence[int], labels: Labels | None, spare: int, seed: int) -> int:
    """Give the trained layers new weights; the number of spare outputs still to be added."""
    network = network_of(model)
    if labels is None:
        have = spare_labels(model)
        labels = [label for label in class_labels(model) if label not in have]  # type: ignore[assignment]
        spare = max(spare, len(have))
    if not labels:
        renew(network, trained, None, 0, seed)
        return spare
    write_labels(model, labels)
    write_spare_labels(model, ())
    head = find_head(network, softmax)
    layer = network.layers[head.number]
    old = int(getattr(layer, layer_kind(layer)).outputChannels)
    if old != len(labels):
        change_outputs(model, _trained_head(model, softmax, trained), old, len(labels))
    renew(network, trained, head.number, len(labels), seed)
    return spare


def _trained_head(model: Model, softmax: int, trained: Sequence[int]) -> Head:
    network = network_of(model)
    head = find_head(network, softmax)
    if head.number not in trained:
        raise ModelError(
            f"{place(head.number, network.layers[head.number])}: is to get other outputs, expected it among the layers "
            "to train; name it too"
        )
    return head
