"""Derive the choices that a device makes from its results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coreml_updatable.updating.probes.outcomes import Expectation, choices, distance, outcomes, tolerance
from coreml_updatable.updating.probes.probe import Probe, digested


@dataclass(frozen=True)
class Verdict:
    """A verdict. ``choice``: what the device does, or None. ``sentence`` says why."""

    assumption: str
    choice: str | None
    sentence: str
    decisive: bool = True


def verdicts(probes: Sequence[Probe], results: Mapping[str, list[float]]) -> list[Verdict]:
    """Return a verdict for each probe. An assumption that is settled narrows what later probes can show."""
    settled: dict[str, str] = {}
    result = []
    for probe in probes:
        verdict = _verdict(probe, results.get(probe.assumption), settled)
        if verdict.choice is not None:
            settled[probe.assumption] = verdict.choice
        result.append(verdict)
    return result


def _verdict(probe: Probe, numbers: list[float] | None, settled: Mapping[str, str]) -> Verdict:
    if numbers is None:
        return Verdict(probe.assumption, None, f"{probe.assumption}: no result; run this probe too", probe.decisive)
    expected = outcomes(probe)
    values, slack = digested(probe, numbers), tolerance(expected)
    near = [outcome for outcome in expected if distance(values, outcome.values) <= slack]
    fitting = [outcome for outcome in near if _agrees(outcome, settled)]
    fit = {outcome.choices[probe.assumption] for outcome in fitting}
    actual = [choice for choice in choices()[probe.assumption] if choice in fit]
    if near and not actual:
        sentence = f"{probe.assumption}: {_text(values)} fits only {_needs(near[0])}, which other probes rule out"
        return Verdict(probe.assumption, None, sentence, probe.decisive)
    if not actual:
        return Verdict(probe.assumption, None, _none_fits(probe, values, expected), probe.decisive)
    if len(actual) > 1:
        names = " and ".join(f"'{choice}'" for choice in actual)
        sentence = f"{probe.assumption}: {names} are the same here; keeping '{actual[0]}'"
        return Verdict(probe.assumption, actual[0], sentence, probe.decisive)
    return Verdict(probe.assumption, actual[0], f"{probe.assumption}: '{actual[0]}' ({_text(values)})", probe.decisive)


def _needs(outcome: Expectation) -> str:
    return ", ".join(f"{assumption} '{choice}'" for assumption, choice in outcome.choices.items())


def _agrees(outcome: Expectation, settled: Mapping[str, str]) -> bool:
    return all(settled.get(assumption, choice) == choice for assumption, choice in outcome.choices.items())


def _none_fits(probe: Probe, values: list[float], expected: Sequence[Expectation]) -> str:
    known = "; ".join(f"{', '.join(outcome.choices.values())}: {_text(outcome.values)}" for outcome in expected)
    return f"{probe.assumption}: {_text(values)} fits no choice ({known})"


def _text(values: Sequence[float]) -> str:
    shown = ", ".join(f"{value:.4g}" for value in values[:8])
    return f"{shown}, ..." if len(values) > 8 else shown
