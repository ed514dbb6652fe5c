"""Choose a model's update parameters for a population of owners: tried on some owners, judged on others.

Tuning and test owners share no picture. Optuna proposes settings (its TPE sampler, Bergstra et al. 2011); a setting is
as good as its median personal accuracy, if 95% of the owners forget less than the bound.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from coreml_updatable.data.inputs import Fit, Int64Array
from coreml_updatable.errors import BuildError, DataError
from coreml_updatable.personalization.blocks import run_block
from coreml_updatable.personalization.contenders import (
    StageProgress,
    Values,
    changed,
    changed_head,
    herded_samples,
    silent,
)
from coreml_updatable.personalization.gathering import ROUNDING, Gathered, difference
from coreml_updatable.personalization.laboratory import Entrant, Lab, last_point
from coreml_updatable.personalization.measures import BASE, FORGETTING, PERSONAL
from coreml_updatable.personalization.population import Population
from coreml_updatable.personalization.preparing import BLOCK, Settings, entered_models, expect_data, prepare
from coreml_updatable.personalization.replay_sets import chosen
from coreml_updatable.personalization.results import Interval
from coreml_updatable.personalization.search_space import as_proposal, beside, defaults_of, proposed
from coreml_updatable.runtime import RunnableModel
from coreml_updatable.updating.task import LinearLayer

OWNERS = 128  # that each setting is tried on


@dataclass(frozen=True)
class TuneSettings:
    """``forgetting``: the most base accuracy that 95% of the owners may lose, a share. ``shots``: of each kind."""

    forgetting: float = 0.02
    budget: int = 200
    owners: int = OWNERS
    test_owners: int = 500
    shots: int = 10
    replay: bool = False  # may a replay set be chosen
    fit: Fit | None = None


@dataclass(frozen=True)
class Trial:
    """A setting on some owners: ``personal`` is the median, ``forgetting`` what 95% of the owners stay below."""

    values: Values
    personal: float
    mean: float
    forgetting: float

    def is_allowed(self, bound: float) -> bool:
        return self.forgetting <= bound + ROUNDING


@dataclass(frozen=True)
class TuneResult:
    """``before`` and ``after``: the defaults and the chosen values on the test owners; ``gain`` is paired by owner.

    ``tried``: every setting, in order, on the tuning owners; ``best`` is the chosen one there. ``around``: what the
    same owners say of values beside the chosen ones, so that a reader sees how sharp they are.
    """

    schema: int
    name: str
    forgetting: float
    shots: int
    trials: int
    defaults: Values
    chosen: Values
    before: Trial
    after: Trial
    gain: Interval
    forgetting_gain: Interval
    tried: tuple[Trial, ...]
    best: Trial
    around: tuple[Trial, ...]
    tuning_owners: int
    test_owners: int
    tuning_pictures: int
    test_pictures: int
    conclusion: str

    def as_json(self) -> dict[str, Any]:
        """As `tune --json` prints it."""
        return asdict(self)


@dataclass(frozen=True)
class Tuned:
    """``model``: with the chosen values as defaults, and the ranges that an app may choose from."""

    model: RunnableModel
    result: TuneResult


@dataclass(frozen=True)
class Chosen:
    """``head``: the last layer as it was tuned, of a network; ``samples``: numbers of those that a k-NN keeps, where it
    does not keep all."""

    result: TuneResult
    head: LinearLayer | None
    samples: Int64Array | None


def tune(
    model: RunnableModel,
    name: str,
    data: Path,
    population: Population,
    settings: TuneSettings,
    on_progress: StageProgress = silent,
) -> Chosen:
    """Return the values that serve the owners best, and what they gain over the model's own on the test owners.

    Raises BuildError without Optuna, DataError where the data is too little for two halves.
    """
    _optuna()
    _expect(settings)
    asked = Settings(owners=settings.owners, shots=(0, settings.shots), references=False, workers=1, fit=settings.fit)
    for half in (0, 1):
        expect_data([(name, model)], data, population, replace(asked, half=half))
    entered = entered_models([(name, model)], data, population, asked, on_progress)
    tuning, testing = (
        prepare([(name, model)], data, population, replace(asked, half=half), silent, entered).lab for half in (0, 1)
    )
    return searched(tuning, testing, name, settings, on_progress)


def searched(
    tuning: Lab, testing: Lab, name: str, settings: TuneSettings, on_progress: StageProgress = silent
) -> Chosen:
    """The same of the first contender of two laboratories that share no row."""
    optuna, own = _optuna(), replace(tuning, protocols=("at_once",))
    base = own.contenders[0]
    if base.engine == "task":
        raise DataError(
            f"{name}: is trained by UpdateTask alone, one owner after another, which is too slow to try settings; "
            "compare variants of it"
        )
    defaults = defaults_of(base)
    output: list[Trial] = []

    def objective(trial: Any) -> float:
        values = proposed(trial, base, settings.replay)
        result = tried(own, values, settings.owners)
        output.append(result)
        on_progress(min(0.95, len(output) / settings.budget), f"{len(output)} of {settings.budget} settings")
        return _merit(result, settings.forgetting)

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=tuning.world.population.seed)
    )
    study.enqueue_trial(as_proposal(defaults, settings.replay))
    study.optimize(objective, n_trials=settings.budget)
    best = max(output, key=lambda item: _merit(item, settings.forgetting))
    result = _evaluated(testing, own, name, defaults, best, output, settings)
    on_progress(1.0, f"{len(output)} settings on {settings.owners} owners, the best on {settings.test_owners} others")
    samples = best.values.get("baseSamples", defaults.get("baseSamples"))
    return Chosen(
        result,
        None if base.layer is None else changed_head(base, best.values),
        None if samples == defaults.get("baseSamples") else herded_samples(base, int(best.values["baseSamples"])),
    )


def tried(lab: Lab, values: Values, owners: int) -> Trial:
    """One setting on the first ``owners`` owners of the laboratory."""
    changed_lab, point = _with(lab, values), last_point(lab)
    sizes = {first: min(BLOCK, owners - first) for first in range(0, owners, BLOCK)}
    blocks = [run_block(changed_lab, first, count).values[0, point] for first, count in sizes.items()]
    personal, lost = (np.concatenate([block[measure] for block in blocks]) for measure in (PERSONAL, FORGETTING))
    p95 = float(np.nanpercentile(lost, 95)) if np.isfinite(lost).any() else 0.0
    return Trial(dict(values), float(np.nanmedian(personal)), float(np.nanmean(personal)), p95)


def _with(lab: Lab, values: Values) -> Lab:
    one = changed(lab.contenders[0], values)
    if values.get("replay"):
        one = replace(one, replay=chosen(lab.embeddings[0][0], lab.world, int(values["replay"])))
    return replace(lab, contenders=(one,), memory={})


def _merit(trial: Trial, bound: float) -> float:
    """The median, and among equal medians the mean; below 0 for a setting that is not allowed, by how much."""
    return trial.personal + 0.01 * trial.mean if trial.is_allowed(bound) else -(trial.forgetting - bound)


def _evaluated(
    testing: Lab, tuning: Lab, name: str, defaults: Values, best: Trial, result: list[Trial], settings: TuneSettings
) -> TuneResult:
    lab = replace(testing, protocols=("at_once",))
    pair = tuple(_with(lab, values).contenders[0] for values in (defaults, best.values))
    both = replace(
        lab,
        contenders=pair,
        embeddings=lab.embeddings * 2,
        frozen=lab.frozen * 2,
        entrants=(Entrant("defaults", 0), Entrant("tuned", 1)),
        memory={},
    )
    gathered = Gathered(both, settings.test_owners)
    for first in range(0, settings.test_owners, BLOCK):
        gathered.add(run_block(both, first, min(BLOCK, settings.test_owners - first)))
    apart = difference(gathered, 0, 1)
    trials = [_of(gathered, entrant, values) for entrant, values in enumerate((defaults, best.values))]
    return TuneResult(
        schema=2,
        name=name,
        forgetting=settings.forgetting,
        shots=settings.shots,
        trials=len(result),
        defaults=defaults,
        chosen=best.values,
        before=trials[0],
        after=trials[1],
        gain=apart.personal_accuracy,
        forgetting_gain=apart.forgetting,
        tried=tuple(result),
        best=best,
        around=tuple(tried(tuning, values, settings.owners) for values in beside(best.values)),
        tuning_owners=settings.owners,
        test_owners=gathered.owners,
        tuning_pictures=_pictures(tuning),
        test_pictures=_pictures(testing),
        conclusion=_conclusion(name, trials, apart.personal_accuracy, best, settings),
    )


def _pictures(lab: Lab) -> int:
    return sum(map(len, lab.world.split.owners.values())) + len(lab.world.split.test)


def _of(gathered: Gathered, entrant: int, values: Values) -> Trial:
    point = last_point(gathered.lab)
    personal, lost = (gathered.values(entrant, point, measure) for measure in (PERSONAL, FORGETTING))
    measured = np.isfinite(gathered.values(entrant, point, BASE)).any()
    p95 = float(np.nanpercentile(lost, 95)) if measured else 0.0
    return Trial(dict(values), float(np.nanmedian(personal)), float(np.nanmean(personal)), p95)


def _conclusion(name: str, trials: list[Trial], gain: Interval, best: Trial, settings: TuneSettings) -> str:
    before, after = trials
    on = f"on {settings.test_owners} owners that share no picture with the tuning"
    moved = f"{100 * gain.mean:+.1f} points ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    lost = f"95% of them forget less than {100 * max(0.0, after.forgetting):.1f} points"
    if best.is_allowed(settings.forgetting) and not after.is_allowed(settings.forgetting):
        lost += f", more than the {100 * settings.forgetting:g} that the tuning owners keep to"
    if not best.is_allowed(settings.forgetting):
        return (
            f"No setting keeps forgetting below {100 * settings.forgetting:g} points for 95% of the owners; the one "
            f"that forgets least has a median personal accuracy of {100 * after.personal:.1f}% {on}, and {lost}."
        )
    if dict(best.values) == dict(before.values):
        return (
            f"No setting that was tried is better than the defaults of {name}: with them, the median personal accuracy "
            f"is {100 * after.personal:.1f}% {on}, and {lost}."
        )
    if gain.low <= 0 <= gain.high:
        fits = before.is_allowed(settings.forgetting)
        why = (
            "already as good"
            if fits
            else (f"as accurate, but 95% of its owners forget up to {100 * before.forgetting:.1f} points")
        )
        return f"The defaults of {name} are {why}: the chosen values gain {moved} of personal accuracy {on}; {lost}."
    if gain.mean < 0:
        moved = f"{-100 * gain.mean:.1f} points ({-100 * gain.high:.1f} to {-100 * gain.low:.1f})"
    worse = "gain" if gain.mean > 0 else "cost"
    medians = f"the median goes from {100 * before.personal:.1f}% to {100 * after.personal:.1f}%"
    used = f"(defaults: {100 * max(0.0, before.forgetting):.1f} points)"
    return f"The chosen values {worse} {moved} of personal accuracy {on}: {medians}, and {lost} {used}."


def _expect(settings: TuneSettings) -> None:
    if not 0 <= settings.forgetting <= 1:
        raise DataError(f"tune: forgetting is {100 * settings.forgetting:g} points, expected 0 to 100; correct it")
    asked = {"budget": settings.budget, "owners": settings.owners, "shots": settings.shots}
    for what, value in {**asked, "test_owners": settings.test_owners}.items():
        if not 1 <= value <= 1_000_000:
            raise DataError(f"tune: {what} is {value}, expected 1 to 1,000,000; choose another number")


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise BuildError("tune: needs Optuna; install the extra: pip install 'coreml-updatable[tune]'") from None
    return optuna
