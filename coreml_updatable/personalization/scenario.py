"""Who the phone belongs to: the examples its owner gives, what the owner calls them, and how often it is tried."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from coreml_updatable.errors import DataError
from coreml_updatable.personalization.wording import OF_PHOTOS, Words

Row: TypeAlias = Mapping[str, Any]  # feature name -> value, without the label
Parameters: TypeAlias = Mapping[str, Any]  # as MLParameterKey names them; empty = the model's defaults


@dataclass(frozen=True)
class Scenario:
    """One owner, who has a label for each kind, and the rows that the models are judged on.

    ``kinds`` maps each kind of the owner's to its label: one of the model's own, or a reserved one. The owner gives
    ``owner_rows`` one after another, in an order that each seed shuffles. ``held_out_rows`` show the same kinds and are
    never trained on. ``test_rows``, with ``test_labels`` and ``test_kinds``, are the base model's own test set.
    """

    kinds: Mapping[str, str]
    owner_rows: tuple[Row, ...]
    owner_kinds: tuple[str, ...]
    held_out_rows: tuple[Row, ...]
    held_out_kinds: tuple[str, ...]
    test_rows: tuple[Row, ...]
    test_labels: tuple[str, ...]
    test_kinds: tuple[str, ...]
    shots: tuple[int, ...] = (1, 2, 3, 5, 10)  # of each kind, rising
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    new_label: str | None = None  # a label the models do not know, for all kinds; None: not tried
    paired: tuple[Row, ...] = ()  # with their labels: each shot is trained on together with the next of these
    network_parameters: Parameters = field(default_factory=dict)
    knn_parameters: Parameters = field(default_factory=dict)
    words: Words = OF_PHOTOS  # what the advice calls a row

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise DataError(f"owner of {', '.join(self.kinds)}: {problem}")

    @property
    def held_out_labels(self) -> tuple[str, ...]:
        return tuple(self.kinds[kind] for kind in self.held_out_kinds)


def _problem(scenario: Scenario) -> str | None:
    shots = scenario.shots
    if not shots or list(shots) != sorted(set(shots)) or shots[0] < 1:
        return f"shots is {list(shots)}, expected increasing numbers of 1 or more; sort them"
    if not scenario.seeds:
        return "found no seeds; give at least one, such as (0, 1, 2)"
    for rows, kinds, least, what in (
        (scenario.owner_rows, scenario.owner_kinds, shots[-1], "rows to learn from"),
        (scenario.held_out_rows, scenario.held_out_kinds, 1, "held-out rows"),
    ):
        if len(rows) != len(kinds) or not set(kinds) <= set(scenario.kinds):
            return f"{len(rows)} {what} with {len(kinds)} kinds, expected one of {list(scenario.kinds)} for each"
        for kind in scenario.kinds:
            if kinds.count(kind) < least:
                return f"{kinds.count(kind)} {what} of {kind!r}, expected at least {least}; add rows or lower shots"
    sizes = (len(scenario.test_rows), len(scenario.test_labels), len(scenario.test_kinds))
    if sizes[0] < 1 or len(set(sizes)) != 1:
        return (
            f"{sizes[0]} test rows with {sizes[1]} labels and {sizes[2]} kinds, expected as many of each, at least "
            "one; give every test row its label and kind"
        )
    return None
