"""Each probe tells its own variants apart, whatever the other options are."""

from dataclasses import fields
from itertools import combinations
from typing import get_args, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coreml_updatable.runtime.neighbors.assumptions import PredictionVariants
from coreml_updatable.updating.assumptions import Variants
from coreml_updatable.updating.probes import Probe, all_probes, verdicts
from coreml_updatable.updating.probes.outcomes import choices, distance, outcomes, run, tolerance, variants_from
from coreml_updatable.updating.probes.probe import digested

PROBES = {probe.option: probe for probe in all_probes()}
OPTIONS = {
    option.name: get_args(get_type_hints(kind)[option.name])
    for kind in (Variants, PredictionVariants)
    for option in fields(kind)
}
# Where these hold, the variants named are one formula: no model can tell them apart.
EQUAL = {
    ("adam_eps", "uncorrected", frozenset({"outside", "scaled"})),
    ("epoch_loss", "drop", frozenset({"mean over rows", "mean over batches"})),
}
MARGIN = 0.06


def test_every_option_has_its_probe() -> None:
    assert set(PROBES) == set(OPTIONS)
    assert len(PROBES) == len(all_probes())


@pytest.mark.parametrize("option", OPTIONS)
def test_every_pair_of_variants_is_far_apart(option: str) -> None:
    found = outcomes(PROBES[option])
    assert {outcome.variants[option] for outcome in found} == set(OPTIONS[option])
    for one, other in combinations(found, 2):
        shared = [one.variants[name] for name in PROBES[option].given]
        if shared != [other.variants[name] for name in PROBES[option].given]:
            continue
        pair = frozenset({one.variants[option], other.variants[option]})
        if (option, *shared, pair) in EQUAL:
            assert distance(one.values, other.values) < 1e-6
        else:
            assert distance(one.values, other.values) > MARGIN
    assert tolerance(found) <= MARGIN / 3


@pytest.mark.parametrize("option", OPTIONS)
def test_no_other_option_disturbs_the_reading(option: str) -> None:
    probe = PROBES[option]
    undisturbed = digested(probe, run(probe, Variants(), PredictionVariants()))
    for other, variants in OPTIONS.items():
        for variant in variants if other not in (option, *probe.given) else ():
            values = digested(probe, run(probe, *variants_from({other: variant})))
            assert distance(values, undisturbed) < 1e-5, (other, variant)


DEVICES = st.fixed_dictionaries({option: st.sampled_from(variants) for option, variants in OPTIONS.items()})


@given(DEVICES)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_device_is_recognized(device: dict[str, str]) -> None:
    results = {option: run(probe, *variants_from(device)) for option, probe in PROBES.items()}
    for verdict in verdicts(list(PROBES.values()), results):
        given_here = [device[name] for name in PROBES[verdict.option].given]
        same = [pair for option, where, pair in EQUAL if (option, [where]) == (verdict.option, given_here)]
        expected = {device[verdict.option]}
        for pair in same:
            expected |= pair if device[verdict.option] in pair else set()
        assert verdict.variant in expected, verdict.sentence


def test_choices_start_with_the_default() -> None:
    assert {option: variants[0] for option, variants in choices().items()} == {
        option.name: option.default for kind in (Variants, PredictionVariants) for option in fields(kind)
    }


def _answer(option: str, *numbers: float) -> tuple[str | None, str]:
    (verdict,) = verdicts([PROBES[option]], {option: list(numbers)})
    return verdict.variant, verdict.sentence


def test_a_result_that_fits_no_variant_is_named() -> None:
    assert _answer("squared_error", 0.25, 0.25, 0.25, 0.25) == (
        None,
        "squared_error: 0.25, 0.25, 0.25, 0.25 fits none of the variants (mean: 0.5, 0.5, 0.5, 0.5; "
        "half: 1, 1, 1, 1; sum: 2, 2, 2, 2)",
    )


@pytest.mark.parametrize("numbers", [(), (0.5,), (float("nan"), float("nan"))])
def test_results_of_another_length_or_not_a_number_fit_none(numbers: tuple[float, ...]) -> None:
    variant, sentence = _answer("gradient", *numbers)
    assert variant is None
    assert "fits none of the variants" in sentence


def test_too_few_losses_are_not_in_order() -> None:
    for numbers in ((), (0.1,), (0.1, 0.2), (float("nan"),) * 8):
        assert _answer("first_epoch", *numbers)[0] is None


def test_a_zero_vote_can_not_be_divided_by() -> None:
    assert _answer("inverse_of", 0.0, 1.0)[0] is None


def test_a_probe_without_a_result_is_named() -> None:
    (verdict,) = verdicts([PROBES["gradient"]], {})
    assert verdict.variant is None
    assert verdict.sentence == "gradient: no result; run this probe too"


def test_results_that_contradict_each_other_are_named() -> None:
    probes: list[Probe] = [PROBES["adam_bias"], PROBES["adam_eps"]]
    bias, eps = verdicts(probes, {"adam_bias": [0.2, -0.2], "adam_eps": [20 / 3, -20 / 3]})
    assert bias.variant == "uncorrected"
    assert eps.variant is None
    assert eps.sentence == (
        "adam_eps: 6.667, -6.667 fits only adam_bias 'corrected', adam_eps 'outside', which other probes rule out"
    )


def test_variants_that_come_to_the_same_keep_the_first() -> None:
    rows = verdicts([PROBES["adam_bias"], PROBES["adam_eps"]], {"adam_bias": [0.2, -0.2], "adam_eps": [1.0, -1.0]})
    assert rows[1].variant == "outside"
    assert rows[1].sentence == "adam_eps: 'outside' and 'scaled' come to the same here; 'outside' is kept"
