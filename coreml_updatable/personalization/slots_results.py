"""What an owner's new kinds came to: frozen dataclasses of plain numbers. Shares run from 0 to 1, times are ms."""

from collections.abc import Mapping
from dataclasses import dataclass

from coreml_updatable.personalization.results import Answer, Spread
from coreml_updatable.personalization.summary import LEARNT


@dataclass(frozen=True)
class SlotsPoint:
    """A model after one update with ``photos`` photos of each new kind (0: the base model); all orders together."""

    photos: int
    right: Spread  # share of the held-out pictures of all new kinds that get their own slot's label
    right_by_kind: Mapping[str, float]  # means
    held_out_answers: Mapping[str, float]  # label -> share of those pictures that get it; means
    kept: Spread  # share of the base's test pictures that get the base's label
    called_new: float  # share of the base's test pictures that are called by a new kind's label; a mean
    update_ms: float  # of the task, the extractor's outputs being at hand; a mean
    growth_bytes: float  # of the file; a mean


@dataclass(frozen=True)
class SlotsOutcome:
    """One model; the answers are to held-out pictures, after all photos of the first order."""

    points: tuple[SlotsPoint, ...]
    before: tuple[Answer, ...]
    after: tuple[Answer, ...]

    def photos_needed(self) -> int | None:
        """The least number of photos of each kind with which 90% are right on average; None: more than were tried."""
        return next((point.photos for point in self.points if point.right.mean >= LEARNT), None)


@dataclass(frozen=True)
class SlotsComparison:
    """The network and its k-NN, taught the same new kinds."""

    kinds: Mapping[str, str]  # new kind -> the label of its slot
    slots: int  # in all, those that stay open too
    photos: tuple[int, ...]  # of each kind
    seeds: tuple[int, ...]
    held_out_labels: tuple[str, ...]
    test_pictures: int
    network: SlotsOutcome
    knn: SlotsOutcome
