"""What `mark` says when it is done: a line a repair and one of result, or all of it as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coreml_updatable.spec.messages import Model

_QUICK = 0.01  # the share from which on 5 to 10 photos do, as measured in docs/marking.md
_SLOW = (
    "so well hidden, a spare label needs many photos; with --spare-share 0.01 it learns from 5 to 10 "
    "(docs/marking.md has the figures)"
)


@dataclass(frozen=True)
class Told:
    model: str | None  # the file written, if any
    repairs: tuple[str, ...]
    updatable: tuple[str, ...]
    spare_labels: tuple[str, ...] | tuple[int, ...]
    spare_added: int  # of them, by this marking
    spare_share: float | None  # what these may take of an answer until one is trained; None: too little to show
    new_head: bool
    largest_difference: float  # in probability; where the head is new, of the same marking with the old one
    warnings: tuple[str, ...]
    advice: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def as_lines(self) -> list[str]:
        lines = [*self.repairs, *(f"warning: {warning}" for warning in self.warnings)]
        are = "is" if len(self.updatable) == 1 else "are"
        begin, verb = (self.model, are) if self.model is not None else ("nothing written", "would be")
        if self.spare_labels:
            span = f"{len(self.spare_labels)} spare labels, {self.spare_labels[0]} to {self.spare_labels[-1]}"
            lines.append(f"{span}; none is the answer until it is trained{self._share()}")
        lines += self.advice
        names, within = ", ".join(self.updatable), f"{self.largest_difference:.1g}"
        if self.new_head:
            lines.append(f"{begin}: {names} {verb} updatable and new; with the old weights, answers within {within}")
        else:
            lines.append(f"{begin}: {names} {verb} updatable; answers within {within} of those before")
        return lines

    def _share(self) -> str:
        if not self.spare_share:
            return ""
        some = "all take" if self.spare_added == len(self.spare_labels) else f"the {self.spare_added} added may take"
        return f", and {some} at most {self.spare_share:.1g} of it"


def told(
    model: "Model",
    target: str | None,
    repairs: Sequence[str],
    difference: float,
    warnings: Sequence[str],
    *,
    new_head: bool,
    spare_before: int,
    spare_share: float | None,
) -> Told:
    from coreml_updatable.spec.network import last_member, network_of
    from coreml_updatable.spec.spare_labels import spare_labels

    trained = tuple(str(layer.name) for layer in network_of(last_member(model)).layers if layer.isUpdatable)
    labels = spare_labels(model)
    added = len(labels) - (0 if new_head else spare_before)
    share = spare_share if added else None
    advice = (_SLOW,) if added and (share or 0.0) < _QUICK else ()
    return Told(target, tuple(repairs), trained, labels, added, share, new_head, difference, tuple(warnings), advice)
