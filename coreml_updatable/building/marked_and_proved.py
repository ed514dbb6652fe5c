"""Marking with its proof: the answers stay, or with a new head those of the same marking with the old one."""

from typing import Unpack

from coreml_updatable.building.unchanged import unchanged
from coreml_updatable.errors import ModelError
from coreml_updatable.marking import Marked, marked
from coreml_updatable.marking.marking import Wishes
from coreml_updatable.marking.settings import UpdateSettings
from coreml_updatable.marking.spare import HIDDEN
from coreml_updatable.marking.tail import answer_blob
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import last_member
from coreml_updatable.spec.shapes import blob_shapes, element_count


def marked_and_proved(before: Model, settings: UpdateSettings, **wishes: Unpack[Wishes]) -> tuple[Marked, float]:
    """``marked``, and the largest difference in probability that it makes; a BuildError above 1e-5."""
    made = marked(before, settings, **wishes)
    if wishes.get("head", "keep") == "keep":
        return made, unchanged(before, made.model, wishes.get("spare_share", HIDDEN))
    kept: Wishes = {"layers": wishes.get("layers"), "last": wishes.get("last", 1)}
    learner = last_member(before)
    if learner.WhichOneof("Type") == "neuralNetworkRegressor":
        kept["labels"] = tuple(range(_outputs(learner)))
    return made, unchanged(before, marked(before, settings, **kept).model)


def _outputs(model: Model) -> int:
    blob = answer_blob(model)
    count = element_count(blob_shapes(model)[blob]) if blob in blob_shapes(model) else None
    if count is None:
        raise ModelError(f"network: the size of its output {blob!r} is not known; export it with a fixed input shape")
    return count
