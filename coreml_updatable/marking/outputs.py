"""The outputs of a classifier that is being marked: names and labels, the head that computes them, reserved labels.

Reserved labels are outputs for classes that an owner adds later, on the device; until then, they are not predicted.
With the logits z of K classes and s of S reserved ones, an old probability becomes

    p' = exp(z) / (sum exp(z) + sum exp(s)) = p (1 - q),        q = sum exp(s) / (sum exp(z) + sum exp(s)).

A reserved output gets the mean of the old weights and the mean of the old biases minus c, so that s = mean(z) - c for
every input, whatever its logits. The exponential is convex: sum exp(z) >= K exp(mean(z)). Hence q <= S / K exp(-c), and
with

    c = ln(1 / share) + ln(S / K), and at least 1,

q <= share, by default 2^-24: half a unit in the last place of a 32-bit 1. No input exceeds this bound, as one could
with zero weights and a low bias; and no smaller c would be enough, because the bound is reached if all z are equal. The
predicted label never changes either, whatever the share, because s is below the mean of z. A reserved output can still
be trained: the gradient of the cross entropy on a shot is (p - 1) x, which is about -x however small p is. A larger
share means a smaller c, so fewer shots are enough: what a shot adds to the logits of similar inputs must exceed c as
well. Pooling after the head changes nothing: the mean of averages is the average of means, and a maximum of means is no
more than the mean of the maxima.
"""

from collections.abc import Sequence
from itertools import count, islice

import numpy as np

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.classifier import Labels, as_classifier, rename_answers, write_labels
from coreml_updatable.marking.features import rename_input
from coreml_updatable.marking.head import Head, change_outputs, find_head, read_weights, renew, write_weights
from coreml_updatable.spec.graph import layer_kind, place
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import class_labels, network_of
from coreml_updatable.spec.reserved_labels import offset_of, reserved_labels, write_reserved_labels

HIDDEN = 2.0**-24  # a share that no 32-bit probability shows
MAX_SHARE = 0.1
MAX_RESERVED = 1000
_MAX_LABEL = 2**63 - 1


def with_reserved(model: Model, head: Head, reserved: int, share: float) -> None:
    """Give the repaired classifier ``model`` a total of ``reserved`` reserved outputs, in place; existing ones stay.

    Together, the added outputs take at most ``share`` of the probability until one of them is trained. They are
    labelled ``user0``, ``user1`` ... or, in a classifier with integers, with the integers after the largest. Raises
    ModelError for fewer than there are, for labels that are taken, and if the head cannot grow.
    """
    labels, have = class_labels(model), reserved_labels(model)
    if not 0 < share <= MAX_SHARE:
        raise ModelError(f"reserved_share: found {share:g}, expected above 0 and at most {MAX_SHARE}; 0.01 is usual")
    if not labels:
        raise ModelError("reserved: the model has no labels, expected a classifier; give labels, too")
    if not len(have) <= reserved <= MAX_RESERVED:
        result = f"found {reserved}, expected {len(have)} to {MAX_RESERVED}"
        more = ", because the model already has reserved labels and none can be removed" if have else ""
        raise ModelError(f"reserved: {result}{more}; choose another number")
    if reserved == len(have):
        return
    added = _names(labels, have, reserved - len(have))
    change_outputs(model, head, len(labels), len(labels) + len(added))
    layer = network_of(model).layers[head.number]
    weights, bias = read_weights(layer, place(head.number, layer))
    if len(weights) != len(labels):
        raise ModelError(
            f"{place(head.number, layer)}: has {len(weights)} outputs for {len(labels)} labels, expected equal "
            "numbers; export the model again"
        )
    own = [index for index, label in enumerate(labels) if label not in have]
    low = offset_of(share, len(added), len(own))
    mean = weights[own].mean(0, dtype=np.float64, keepdims=True).astype(np.float32)
    least = np.float32(bias[own].mean(dtype=np.float64) - low)
    write_weights(
        layer,
        np.concatenate([weights, np.repeat(mean, len(added), 0)]),
        np.concatenate([bias, np.full(len(added), least, np.float32)]),
        len(labels) + len(added),
    )
    write_labels(model, [*labels, *added])
    write_reserved_labels(model, [*have, *added])


def with_own_reserved(model: Model, labels: Labels) -> Labels:
    """Return ``labels``; if they only rename the labels that are not reserved, add the reserved ones."""
    have = reserved_labels(model)
    if not have or len(labels) != len(class_labels(model)) - len(have):
        return labels
    named, own = iter(labels), set(have)
    return [label if label in own else next(named) for label in class_labels(model)]  # type: ignore[return-value]  # labels are all text or all numbers


def _names(labels: Labels, have: Sequence[str] | Sequence[int], wanted: int) -> list[str] | list[int]:
    if not isinstance(labels[0], str):
        first = max(int(label) for label in labels) + 1
        if first + wanted - 1 > _MAX_LABEL:
            raise ModelError(f"reserved: there are no integers after the label {first - 1}; give other labels")
        return list(range(first, first + wanted))
    free = (name for name in (f"user{index}" for index in count()) if name not in have)
    names = list(islice(free, wanted))
    for name in names:
        if name in labels:
            raise ModelError(
                f"reserved: {name!r} is already a label, but {names[0]} to {names[-1]} must be free; rename it with "
                "labels"
            )
    return names


HEADS = ("keep", "new")


def named(
    model: Model, *, labels: Labels | None, label: str | None, probabilities: str | None, input: str | None, head: str
) -> Model:
    """Return ``model`` with these labels and names of its features; None keeps them. A new head will fit the labels."""
    if head not in HEADS:
        raise ModelError(f"head: found {head!r}, expected 'keep' or 'new'")
    for name in (label, probabilities):
        if name == "":
            raise ModelError("features: the name of an output is empty; choose a name or omit it")
    result = rename_input(model, input) if input is not None else model
    if labels is None:
        return rename_answers(result, label, probabilities)
    if head == "keep":
        labels = with_own_reserved(result, labels)
    return as_classifier(result, labels, label=label, probabilities=probabilities, counted=head == "keep")


def with_outputs(
    model: Model,
    softmax: int | None,
    trained: Sequence[int],
    *,
    labels: Labels | None,
    head: str,
    reserved: int,
    share: float,
    seed: int,
) -> None:
    """Create a new head if requested, and ``reserved`` reserved outputs in total, in place.

    ``trained`` are the indices of the layers to train, which get new weights. With ``labels``, a new head has as many
    outputs, plus the reserved ones; without, as many as the old one. ``share``: see above. ``softmax`` is None in a
    network that learns values.
    """
    if reserved < 0:
        raise ModelError(f"reserved: found {reserved}, expected 0 or more; give the number of outputs to reserve")
    if softmax is None:
        if reserved:
            raise ModelError(f"reserved: found {reserved} for a model without labels, expected 0; give labels")
        if head == "new":
            renew(network_of(model), trained, None, 0, seed)
        return
    if head == "new":
        reserved = _renew(model, softmax, trained, labels, reserved, seed)
    if reserved and reserved != len(reserved_labels(model)):
        with_reserved(model, _trained_head(model, softmax, trained), reserved, share)


def _renew(model: Model, softmax: int, trained: Sequence[int], labels: Labels | None, reserved: int, seed: int) -> int:
    """Give the trained layers new weights; return the number of reserved outputs still to be added."""
    network = network_of(model)
    if labels is None:
        have = reserved_labels(model)
        labels = [label for label in class_labels(model) if label not in have]  # type: ignore[assignment]  # labels are all text or all numbers
        reserved = max(reserved, len(have))
    if not labels:
        renew(network, trained, None, 0, seed)
        return reserved
    write_labels(model, labels)
    write_reserved_labels(model, ())
    head = find_head(network, softmax)
    layer = network.layers[head.number]
    old = int(getattr(layer, layer_kind(layer)).outputChannels)
    if old != len(labels):
        change_outputs(model, _trained_head(model, softmax, trained), old, len(labels))
    renew(network, trained, head.number, len(labels), seed)
    return reserved


def _trained_head(model: Model, softmax: int, trained: Sequence[int]) -> Head:
    network = network_of(model)
    head = find_head(network, softmax)
    if head.number not in trained:
        raise ModelError(
            f"{place(head.number, network.layers[head.number])}: gets new outputs, so it must be one of the layers "
            "to train; name it, too"
        )
    return head
