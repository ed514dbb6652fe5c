"""Marking with its proof: the answers stay, or with a new head those of the same marking with the old one."""

from collections.abc import Callable
from typing import Unpack

from coreml_updatable.converting.equivalence import unchanged
from coreml_updatable.marking import Marked, marked
from coreml_updatable.marking.marking import Wishes
from coreml_updatable.marking.reserved_labels import HIDDEN
from coreml_updatable.marking.settings import UpdateSettings
from coreml_updatable.spec.messages import Model


def marked_and_proved(
    before: Model,
    settings: UpdateSettings,
    expect: Callable[[Model], None] | None = None,
    **wishes: Unpack[Wishes],
) -> tuple[Marked, float]:
    """``marked``, and the largest difference in probability that it makes; a BuildError above 1e-5.

    ``expect`` may refuse the marked model before anything runs: a proof takes long where a network is large.
    """
    made = marked(before, settings, **wishes)
    if expect is not None:
        expect(made.model)
    if wishes.get("head", "keep") == "keep":
        return made, unchanged(before, made.model, wishes.get("spare_share", HIDDEN))
    kept: Wishes = {"layers": wishes.get("layers"), "last": wishes.get("last", 1)}
    if wishes.get("labels") is None:
        kept["loss"] = wishes.get("loss")
    return made, unchanged(before, marked(before, settings, **kept).model)
