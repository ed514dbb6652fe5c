"""Assumptions about predictions where Apple's documentation is silent, each with choices, a default and a reason.

docs/probes.md says what is known about each of them, and how to find out what a device does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal, cast, get_args, get_type_hints

from coreml_updatable.errors import UserError, quoted
from coreml_updatable.text import did_you_mean


@dataclass(frozen=True, kw_only=True)
class PredictionAssumptions:
    """How neighbors vote, how a softmax works at rank 3, and which label a support vector classifier answers.

    UserError for a choice that there is not.

    inverse_of: what inverse-distance voting divides by. Default "squared distance": the format knows only the squared
        Euclidean distance and calls it the distance.
    zero_distance: a sample equal to the query. Default "decides": only such samples vote, one vote each, which is the
        limit of 1 / distance; "epsilon" adds 1e-7 to every distance.
    tied_labels: labels with equally many votes. Default "nearest", the label of the nearest sample among them, because
        it has the better evidence; "first", the label that came first among the samples.
    tied_samples: samples at equal distance at the last place. Default "earliest", as a scan of the file finds them; or
        "latest".
    probabilities: default "share", each label's votes divided by all, because probabilities sum to 1; "votes" gives the
        votes themselves.
    listed: default "all", every label among the samples, as a network lists all; "neighbors", only those that got
        votes.
    softmax_at_rank_3: the axis of a ``softmax`` layer whose input has rank 3. Default "last axis", which two reports
        say Apple's systems take (coremltools #1714 and pull request #2856); "axis -3" is what the format says. Both
        agree on axis -3 for other ranks.
    support_vector_label: of a support vector classifier with probabilities. Default "votes", the class that wins most
        pairs, as scikit-learn's ``predict`` answers; "probabilities", the most likely class, as LIBSVM's
        ``svm_predict_probability`` answers. Without probabilities the votes decide.
    """

    inverse_of: Literal["squared distance", "distance"] = "squared distance"
    zero_distance: Literal["decides", "epsilon"] = "decides"
    tied_labels: Literal["nearest", "first"] = "nearest"
    tied_samples: Literal["earliest", "latest"] = "earliest"
    probabilities: Literal["share", "votes"] = "share"
    listed: Literal["all", "neighbors"] = "all"
    softmax_at_rank_3: Literal["last axis", "axis -3"] = "last axis"
    support_vector_label: Literal["votes", "probabilities"] = "votes"

    def __post_init__(self) -> None:
        for name in choices_of(type(self)):
            fault = fault_of(type(self), name, getattr(self, name))
            if fault:
                raise UserError(f"assumptions: {fault}")

    def predict_alike(self, other: "PredictionAssumptions", about: Iterable[str]) -> bool:
        """Return whether both give the same predictions of what only the assumptions ``about`` are about."""
        return all(getattr(self, name) == getattr(other, name) for name in about)


OF_NETWORKS, OF_STEPS = frozenset({"softmax_at_rank_3"}), frozenset({"support_vector_label"})
OF_NEIGHBORS = frozenset(field.name for field in fields(PredictionAssumptions)) - OF_NETWORKS - OF_STEPS
_hints = cache(get_type_hints)


def choices_of(kind: type[PredictionAssumptions]) -> Mapping[str, tuple[str, ...]]:
    """Return the choices of every assumption; the default comes first."""
    hints, defaults = _hints(cast(Any, kind)), {assumption.name: str(assumption.default) for assumption in fields(kind)}
    return {
        name: (default, *(choice for choice in get_args(hints[name]) if choice != default))
        for name, default in defaults.items()
    }


def fault_of(kind: type[PredictionAssumptions], name: str, choice: object) -> str:
    """Return what is wrong with a choice, and which choices there are; "" if it is valid."""
    known = choices_of(kind)
    if name not in known:
        instead = did_you_mean(name, known) or f"the assumptions are {', '.join(known)}"
        return f"unknown assumption '{name}'; {instead}"
    if not isinstance(choice, str) or choice not in known[name]:
        allowed = ", ".join(f"'{item}'" for item in known[name])
        return f"{name} is {quoted(choice)}, expected one of {allowed}"
    return ""
