"""What the format leaves open about k-nearest neighbours: named choices, each with a default and its reason."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class NeighborVariants:
    """How neighbours vote. Apple documents none of this.

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
    """

    inverse_of: Literal["squared distance", "distance"] = "squared distance"
    zero_distance: Literal["decides", "epsilon"] = "decides"
    tied_labels: Literal["nearest", "first"] = "nearest"
    tied_samples: Literal["earliest", "latest"] = "earliest"
    probabilities: Literal["share", "votes"] = "share"
    listed: Literal["all", "neighbors"] = "all"
