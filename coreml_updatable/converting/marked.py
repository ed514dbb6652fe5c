"""Marking with its proof: the answers stay, or with a new head those of the same marking with the old one."""

from collections.abc import Callable
from typing import Unpack

from coreml_updatable.converting.equivalence import prove_unchanged
from coreml_updatable.converting.spread import Agreement
from coreml_updatable.marking import Marked, marked
from coreml_updatable.marking.losses import is_squared_error
from coreml_updatable.marking.marking import Wishes
from coreml_updatable.marking.one_number import answers_one_number, without_end
from coreml_updatable.marking.outputs import HIDDEN
from coreml_updatable.marking.settings import UpdateSettings
from coreml_updatable.spec.messages import Model, copy_of
from coreml_updatable.spec.network import is_network, is_pipeline, last_member, network_of, pipeline_of


def marked_and_proved(
    before: Model, settings: UpdateSettings, expect: Callable[[Model], object] | None = None, **wishes: Unpack[Wishes]
) -> tuple[Marked, Agreement]:
    """``marked``, and how far its answers are those before, within 1e-5 in probability.

    Where the head is new, both are compared with the old one in its place. Raises BuildError where they differ.
    ``expect`` may refuse the marked model before anything runs: a proof takes long where a network is large.
    """
    result = marked(before, settings, **wishes)
    if expect is not None:
        expect(result.model)
    if wishes.get("head", "keep") == "keep":
        return result, prove_unchanged(before, result.model, wishes.get("reserved_share", HIDDEN))
    kept: Wishes = {"layers": wishes.get("layers"), "last": wishes.get("last", 1)}
    if wishes.get("labels") is None:
        kept["loss"] = wishes.get("loss")
    old = _behind_which_no_bounds(before, learns_values=is_squared_error(network_of(last_member(result.model))))
    if is_network(old) and answers_one_number(old) and wishes.get("labels") is not None:
        kept["labels"] = ("0", "1")  # the softmax of one number is always 1, which would prove nothing
    return result, prove_unchanged(old, marked(old, settings, **kept).model)


def _behind_which_no_bounds(model: Model, *, learns_values: bool) -> Model:
    """``model`` as marking has it in front of a new head: without a sigmoid or another activation at its end."""
    if learns_values:
        return model
    if not is_pipeline(model):
        return without_end(model)[0] if is_network(model) else model
    result = copy_of(model)
    last = pipeline_of(result).models[-1]
    last.CopyFrom(_behind_which_no_bounds(last, learns_values=False))
    return result
