"""Who the phone belongs to: the pictures its owner takes, what the owner says they are, and how often it is tried."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from coreml_updatable.errors import DataError
from coreml_updatable.personalization.wording import OF_PHOTOS, Words

Row: TypeAlias = Mapping[str, Any]  # feature name -> value, without the label
Parameters: TypeAlias = Mapping[str, Any]  # as MLParameterKey names them; empty = the model's defaults


@dataclass(frozen=True)
class Scenario:
    """One owner, who calls every picture of a kind by one label, and the pictures the models are judged on.

    ``owner_rows`` are the photos the owner takes, one after another, in an order that each seed shuffles.
    ``held_out_rows`` show the same kind and are never learnt. ``test_rows``, with ``test_labels`` and ``test_kinds`` of
    the same length, are the base model's own test pictures: what must not be forgotten.
    """

    kind: str  # what the owner's pictures show
    label: str  # what the owner says they are: one of the model's labels
    owner_rows: tuple[Row, ...]
    held_out_rows: tuple[Row, ...]
    test_rows: tuple[Row, ...]
    test_labels: tuple[str, ...]
    test_kinds: tuple[str, ...]
    photos: tuple[int, ...] = (1, 2, 3, 5, 10)  # numbers of photos to learn from, rising
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    new_label: str | None = None  # a label the models do not know; None: not tried
    paired: tuple[Row, ...] = ()  # with their labels: with each photo the next of these is learnt too, over and over
    network_parameters: Parameters = field(default_factory=dict)
    knn_parameters: Parameters = field(default_factory=dict)
    words: Words = OF_PHOTOS  # what the advice calls a row

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise DataError(f"owner of {self.kind!r}: {problem}")

    @property
    def most_photos(self) -> int:
        return self.photos[-1]


def _problem(scenario: Scenario) -> str | None:
    photos = scenario.photos
    if not photos or list(photos) != sorted(set(photos)) or photos[0] < 1:
        return f"photos is {list(photos)}, expected rising numbers from 1 up, each once; sort them"
    if not scenario.seeds:
        return "no seeds, expected at least one; give seeds such as (0, 1, 2)"
    if len(scenario.owner_rows) < photos[-1]:
        return (
            f"{len(scenario.owner_rows)} pictures to learn from, expected at least {photos[-1]} (the most of photos); "
            "add pictures or lower photos"
        )
    if not scenario.held_out_rows:
        return "no held-out pictures, expected at least one; add pictures of this kind"
    sizes = (len(scenario.test_rows), len(scenario.test_labels), len(scenario.test_kinds))
    if sizes[0] < 1 or len(set(sizes)) != 1:
        return (
            f"{sizes[0]} test pictures with {sizes[1]} labels and {sizes[2]} kinds, "
            "expected as many of each, at least one; "
            "give every test picture its label and kind"
        )
    return None
