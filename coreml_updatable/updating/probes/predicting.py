"""The probes of how a network predicts. Nothing is learnt."""

from coreml_updatable.updating.probes.networks import softmax_alone
from coreml_updatable.updating.probes.probe import Probe, Read


def predicting_probes() -> list[Probe]:
    return [_softmax_at_rank_3()]


def _softmax_at_rank_3() -> Probe:
    return Probe(
        option="softmax_at_rank_3",
        says="Four scores as [2, 1, 2]: the last axis pairs the first with the second, axis -3 with the third.",
        model=softmax_alone([2, 1, 2]),
        query={"x": [0.0, 1.0, 3.0, 6.0]},
        read=Read("output", "probabilities"),
    )
