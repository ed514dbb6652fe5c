"""From the numbers of a device to the variants it has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coreml_updatable.updating.probes.outcomes import Outcome, choices, distance, outcomes, tolerance
from coreml_updatable.updating.probes.probe import Probe, digested


@dataclass(frozen=True)
class Verdict:
    """``variant``: what the device has, or None. ``sentence`` says why, in words."""

    option: str
    variant: str | None
    sentence: str
    decisive: bool = True


def verdicts(probes: Sequence[Probe], results: Mapping[str, list[float]]) -> list[Verdict]:
    """One for each probe. An option that is settled narrows what the probes after it may show."""
    settled: dict[str, str] = {}
    made = []
    for probe in probes:
        verdict = _verdict(probe, results.get(probe.option), settled)
        if verdict.variant is not None:
            settled[probe.option] = verdict.variant
        made.append(verdict)
    return made


def _verdict(probe: Probe, numbers: list[float] | None, settled: Mapping[str, str]) -> Verdict:
    if numbers is None:
        return Verdict(probe.option, None, f"{probe.option}: no result; run this probe too", probe.decisive)
    expected = outcomes(probe)
    values, slack = digested(probe, numbers), tolerance(expected)
    near = [outcome for outcome in expected if distance(values, outcome.values) <= slack]
    fitting = [outcome for outcome in near if _agrees(outcome, settled)]
    variants = [outcome.variants[probe.option] for outcome in fitting]
    found = [variant for variant in choices()[probe.option] if variant in variants]
    if near and not found:
        sentence = f"{probe.option}: {_text(values)} fits only {_needs(near[0])}, which other probes rule out"
        return Verdict(probe.option, None, sentence, probe.decisive)
    if not found:
        return Verdict(probe.option, None, _none_fits(probe, values, expected), probe.decisive)
    if len(found) > 1:
        names = " and ".join(f"'{variant}'" for variant in found)
        sentence = f"{probe.option}: {names} come to the same here; '{found[0]}' is kept"
        return Verdict(probe.option, found[0], sentence, probe.decisive)
    return Verdict(probe.option, found[0], f"{probe.option}: '{found[0]}' ({_text(values)})", probe.decisive)


def _needs(outcome: Outcome) -> str:
    return ", ".join(f"{option} '{variant}'" for option, variant in outcome.variants.items())


def _agrees(outcome: Outcome, settled: Mapping[str, str]) -> bool:
    return all(settled.get(option, variant) == variant for option, variant in outcome.variants.items())


def _none_fits(probe: Probe, values: list[float], expected: Sequence[Outcome]) -> str:
    known = "; ".join(f"{', '.join(outcome.variants.values())}: {_text(outcome.values)}" for outcome in expected)
    return f"{probe.option}: {_text(values)} fits none of the variants ({known})"


def _text(values: Sequence[float]) -> str:
    shown = ", ".join(f"{value:.4g}" for value in values[:8])
    return f"{shown}, ..." if len(values) > 8 else shown
