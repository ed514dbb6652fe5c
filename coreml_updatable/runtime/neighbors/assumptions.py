"""What is open about predicting: named choices, each with a default and its reason."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class PredictionVariants:
    """How neighbors vote, and how a softmax works at rank 3. Apple documents the first nowhere.

    inverse_of: what inverse-distance voting divides by. Default "squared distance": the format knows only the squared
        Euclidean distance and calls it the distance.
    zero_distance: a sample equal to the query. Default "decides": only such samples vote, one vote each, which is the
        limit of 1 / distance; "epsilon" adds 1e-7 to every distance.
    tied_labels: labels with equally many votes. Default "nearest", the label of the nearest sample among them, for it
        has the better evidence; "first", the label that came first among the samples.
    tied_samples: samples at equal distance at the last place. Default "earliest", as a scan of the file finds them; or
        "latest".
    probabilities: default "share", each label's votes divided by all, for probabilities sum to 1; "votes" gives the
        votes themselves.
    listed: default "all", every label among the samples, as a network lists all; "neighbors", only those that got
        votes.
    softmax_at_rank_3: the axis of a ``softmax`` layer whose input has rank 3. Default "last axis", which two reports
        say Apple's systems take (coremltools #1714 and pull request #2856); "axis -3" is what the format says. Both
        agree on axis -3 for other ranks.
    """

    inverse_of: Literal["squared distance", "distance"] = "squared distance"
    zero_distance: Literal["decides", "epsilon"] = "decides"
    tied_labels: Literal["nearest", "first"] = "nearest"
    tied_samples: Literal["earliest", "latest"] = "earliest"
    probabilities: Literal["share", "votes"] = "share"
    listed: Literal["all", "neighbors"] = "all"
    softmax_at_rank_3: Literal["last axis", "axis -3"] = "last axis"
