"""What the experiment found: frozen dataclasses of plain numbers, texts and tuples.

Shares and confidences run from 0 to 1, times are milliseconds, sizes bytes. The two ways an app may learn n photos:

``at_once``     one MLUpdateTask with all n photos, always on the base model: an app that keeps its owner's photos.
``one_by_one``  n MLUpdateTasks of one photo, each on the model the one before wrote: an app with a "Retrain" button.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Way = Literal["at_once", "one_by_one"]


@dataclass(frozen=True)
class Answer:
    """What a model says of a picture: its label, and the probability it gives that label."""

    label: str
    confidence: float


@dataclass(frozen=True)
class Measurement:
    """A model after it has learnt ``photos`` photos (0: the base model)."""

    photos: int
    held_out_accuracy: float  # on pictures of the owner's kind that were never shown, by the owner's label
    held_out_answers: Mapping[str, float]  # label -> share of those pictures that get it
    test_accuracy: float  # on the base's test pictures, by the base's labels
    test_accuracy_by_kind: Mapping[str, float]
    forgotten: float  # share of the test pictures that the base called rightly and this model does not
    first_label: str  # what it calls the owner's first picture
    first_confidence: float  # the probability it gives that picture's answer *of the base*
    update_ms: float  # of the last task, the extractor's outputs being at hand; 0 for the base
    growth_bytes: int  # of the file, against the base's


@dataclass(frozen=True)
class Step:
    """One photo, learnt on its own: predict first, then reveal the label, then learn."""

    photo: int  # index of the picture among the owner's
    right_before_reveal: bool  # whether the model said the owner's label before it was told
    confidence_before_reveal: float  # the probability it gave the owner's label then
    after: Measurement


@dataclass(frozen=True)
class SeedResult:
    """One order of the owner's photos."""

    seed: int
    order: tuple[int, ...]  # indices of the owner's pictures
    before: Measurement
    at_once: tuple[Measurement, ...]  # one for each of the scenario's numbers of photos
    one_by_one: tuple[Step, ...]  # one for each photo
    flipped_after: int | None  # photos, one by one, until the first picture got the owner's label; None: never


@dataclass(frozen=True)
class Reset:
    """The base model after all updates: is it still what it was?"""

    pictures: int
    bytes_equal: bool  # the base's file, before and after all updates
    labels_equal: bool  # of the base, loaded again from its bytes and asked again
    max_probability_difference: float


@dataclass(frozen=True)
class NewLabelPoint:
    """A model that learnt ``photos`` photos under a label it did not know (spread over the seeds: means)."""

    photos: int
    held_out_accuracy: float  # share of held-out pictures that get the new label
    test_accuracy: float
    test_called_new: float  # share of the base's test pictures that wrongly get the new label
    growth_bytes: float


@dataclass(frozen=True)
class NewLabel:
    """The third label on the fly. ``refusal`` is the runtime's own sentence where a model cannot learn it."""

    label: str
    refusal: str | None
    points: tuple[NewLabelPoint, ...]


@dataclass(frozen=True)
class Spread:
    """Over the seeds."""

    mean: float
    minimum: float
    maximum: float


@dataclass(frozen=True)
class SummaryPoint:
    """All seeds, after ``photos`` photos."""

    photos: int
    held_out_accuracy: Spread
    held_out_answers: Mapping[str, float]  # means
    test_accuracy: Spread
    test_accuracy_by_kind: Mapping[str, Spread]
    forgotten: Spread
    first_confidence: Spread
    first_flipped: float  # share of the seeds whose first picture got the owner's label
    update_ms: Spread
    growth_bytes: Spread
    right_before_reveal: float | None  # share of the seeds; only one by one, from the first photo on


@dataclass(frozen=True)
class Summary:
    """Both ways, from the base (0 photos) on. Medians over the seeds; None where the median seed never got there."""

    at_once: tuple[SummaryPoint, ...]
    one_by_one: tuple[SummaryPoint, ...]
    median_flip: float | None  # photos, one by one, until the first picture got the owner's label
    median_learnt: float | None  # photos, one by one, until at least 90% of the held-out pictures were right
    median_learnt_at_once: float | None  # the same for one task with all photos, among the numbers tried


@dataclass(frozen=True)
class Shown:
    """Answers to single pictures, for a page to show: before, and after all photos of the first seed at once."""

    held_out_before: tuple[Answer, ...]
    held_out_after: tuple[Answer, ...]
    test_before: tuple[Answer, ...]
    test_after: tuple[Answer, ...]


@dataclass(frozen=True)
class Outcome:
    """Everything about one model."""

    seeds: tuple[SeedResult, ...]
    summary: Summary
    shown: Shown
    reset: Reset
    new_label: NewLabel | None
    extractor_ms: float  # a picture, through the frozen layers
    file_bytes: int  # of the base model


@dataclass(frozen=True)
class Comparison:
    """The network and its k-NN with the same owner."""

    kind: str
    label: str
    photos: tuple[int, ...]
    seeds: tuple[int, ...]
    owner_pictures: int
    held_out_pictures: int
    test_pictures: int
    test_kinds: Mapping[str, str]  # kind -> its label
    network_parameters: Mapping[str, float]  # those given; empty = the model's defaults
    knn_parameters: Mapping[str, float]
    network: Outcome
    knn: Outcome
    advice: str
