"""Reserved labels: outputs of a classifier that are reserved for classes an owner adds later.

The contract is two lines of a model's own metadata (``Metadata.userDefined``; ``creatorDefinedKey`` in Core ML), of a
pipeline's and of its last member's:

    coreml_updatable.spare          how many, e.g. "7"
    coreml_updatable.spare_labels   which, in the order of the outputs, e.g. "user0,user1,user2,user3,user4,user5,user6"
"""

from collections.abc import Sequence
from math import log

from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import class_labels, last_member

COUNT_KEY, LABELS_KEY = "coreml_updatable.spare", "coreml_updatable.spare_labels"


def reserved_labels(model: Model) -> tuple[str, ...] | tuple[int, ...]:
    """Return the reserved ones among the labels of a network classifier, or of the one that a pipeline ends in.

    A name in the contract that is not a label any more is none of them.
    """
    model = last_member(model)
    listed = set(str(model.description.metadata.userDefined.get(LABELS_KEY, "")).split(",")) - {""}
    return tuple(label for label in class_labels(model) if str(label) in listed)  # type: ignore[return-value]  # all labels are of one type


def offset_of(share: float, reserved: int, labels: int) -> float:
    """How far a reserved output's bias lies below the mean of the ``labels`` others', so that all ``reserved`` ones
    together take at most ``share`` of any answer (marking/outputs.py): ln(1 / share) + ln(reserved / labels), at least
    1."""
    return max(log(1 / share) + log(reserved / labels), 1.0)


def write_reserved_labels(model: Model, labels: Sequence[str] | Sequence[int]) -> None:
    """The contract, in place; without labels it is taken out."""
    defined = model.description.metadata.userDefined
    for key, text in ((COUNT_KEY, str(len(labels))), (LABELS_KEY, ",".join(str(label) for label in labels))):
        if labels:
            defined[key] = text
        elif key in defined:
            del defined[key]
