"""Each probe tells its own choices apart, whatever the other assumptions are."""

from dataclasses import fields
from itertools import combinations
from typing import get_args, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coreml_updatable.updating.assumptions import Assumptions
from coreml_updatable.updating.probes import Probe, all_probes, verdicts
from coreml_updatable.updating.probes.outcomes import assuming, choices, distance, outcomes, run, tolerance
from coreml_updatable.updating.probes.probe import digested

PROBES = {probe.assumption: probe for probe in all_probes()}
KNOWN = {field.name: get_args(get_type_hints(Assumptions)[field.name]) for field in fields(Assumptions)}
# Where these hold, the choices named are one formula: no model can tell them apart.
EQUAL = {
    ("adam_eps", "uncorrected", frozenset({"outside", "scaled"})),
    ("epoch_loss", "drop", frozenset({"mean over rows", "mean over batches"})),
}
MARGIN = 0.06


def test_every_assumption_has_its_probe() -> None:
    assert set(PROBES) == set(KNOWN)
    assert len(PROBES) == len(all_probes())


@pytest.mark.parametrize("assumption", KNOWN)
def test_every_pair_of_choices_is_far_apart(assumption: str) -> None:
    result = outcomes(PROBES[assumption])
    assert {outcome.choices[assumption] for outcome in result} == set(KNOWN[assumption])
    for one, other in combinations(result, 2):
        shared = [one.choices[name] for name in PROBES[assumption].given]
        if shared != [other.choices[name] for name in PROBES[assumption].given]:
            continue
        pair = frozenset({one.choices[assumption], other.choices[assumption]})
        if (assumption, *shared, pair) in EQUAL:
            assert distance(one.values, other.values) < 1e-6
        else:
            assert distance(one.values, other.values) > MARGIN
    assert tolerance(result) <= MARGIN / 3


@pytest.mark.parametrize("assumption", KNOWN)
def test_no_other_assumption_disturbs_the_reading(assumption: str) -> None:
    probe = PROBES[assumption]
    undisturbed = digested(probe, run(probe, Assumptions()))
    for other, known in KNOWN.items():
        for choice in known if other not in (assumption, *probe.given) else ():
            values = digested(probe, run(probe, assuming({other: choice})))
            assert distance(values, undisturbed) < 1e-5, (other, choice)


DEVICES = st.fixed_dictionaries({assumption: st.sampled_from(known) for assumption, known in KNOWN.items()})


@given(DEVICES)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_device_is_recognized(device: dict[str, str]) -> None:
    results = {assumption: run(probe, assuming(device)) for assumption, probe in PROBES.items()}
    for verdict in verdicts(list(PROBES.values()), results):
        given_here = [device[name] for name in PROBES[verdict.assumption].given]
        same = [pair for assumption, where, pair in EQUAL if (assumption, [where]) == (verdict.assumption, given_here)]
        expected = {device[verdict.assumption]}
        for pair in same:
            expected |= pair if device[verdict.assumption] in pair else set()
        assert verdict.choice in expected, verdict.sentence


def test_choices_start_with_the_default() -> None:
    assert {name: known[0] for name, known in choices().items()} == {
        field.name: field.default for field in fields(Assumptions)
    }


def _answer(assumption: str, *numbers: float) -> tuple[str | None, str]:
    (verdict,) = verdicts([PROBES[assumption]], {assumption: list(numbers)})
    return verdict.choice, verdict.sentence


def test_a_result_that_fits_no_choice_is_named() -> None:
    assert _answer("squared_error", 0.25, 0.25, 0.25, 0.25) == (
        None,
        "squared_error: 0.25, 0.25, 0.25, 0.25 fits no choice (mean: 0.5, 0.5, 0.5, 0.5; "
        "half: 1, 1, 1, 1; sum: 2, 2, 2, 2)",
    )


@pytest.mark.parametrize("numbers", [(), (0.5,), (float("nan"), float("nan"))])
def test_results_of_another_length_or_not_a_number_fit_none(numbers: tuple[float, ...]) -> None:
    choice, sentence = _answer("gradient", *numbers)
    assert choice is None
    assert "fits no choice" in sentence


def test_too_few_losses_are_not_in_order() -> None:
    for numbers in ((), (0.1,), (0.1, 0.2), (float("nan"),) * 8):
        assert _answer("first_epoch", *numbers)[0] is None


def test_a_zero_vote_cannot_be_divided_by() -> None:
    assert _answer("inverse_of", 0.0, 1.0)[0] is None


def test_a_probe_without_a_result_is_named() -> None:
    (verdict,) = verdicts([PROBES["gradient"]], {})
    assert verdict.choice is None
    assert verdict.sentence == "gradient: no result; run this probe too"


def test_results_that_contradict_each_other_are_named() -> None:
    probes: list[Probe] = [PROBES["adam_bias"], PROBES["adam_eps"]]
    bias, eps = verdicts(probes, {"adam_bias": [0.2, -0.2], "adam_eps": [20 / 3, -20 / 3]})
    assert bias.choice == "uncorrected"
    assert eps.choice is None
    assert eps.sentence == (
        "adam_eps: 6.667, -6.667 fits only adam_bias 'corrected', adam_eps 'outside', which other probes rule out"
    )


def test_choices_that_come_to_the_same_keep_the_first() -> None:
    rows = verdicts([PROBES["adam_bias"], PROBES["adam_eps"]], {"adam_bias": [0.2, -0.2], "adam_eps": [1.0, -1.0]})
    assert rows[1].choice == "outside"
    assert rows[1].sentence == "adam_eps: 'outside' and 'scaled' are the same here; keeping 'outside'"
