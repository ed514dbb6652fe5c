"""Choose a model's update parameters for a population of owners: tried on some owners, judged on others.

Tuning and test owners share no picture. Optuna proposes settings (its TPE sampler, Bergstra et al. 2011); a setting is
as good as its median personal accuracy, if 95% of the owners forget less than the bound.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from coreml_updatable.data.inputs import Fit, Int64Array
from coreml_updatable.errors import BuildError, DataError
from coreml_updatable.personalization.blocks import run_block
from coreml_updatable.personalization.contenders import Contender, Told, silent
from coreml_updatable.personalization.gathering import ROUNDING, Gathered, difference
from coreml_updatable.personalization.laboratory import Entrant, Lab, last_point
from coreml_updatable.personalization.measures import BASE, FORGETTING, PERSONAL
from coreml_updatable.personalization.population import Population
from coreml_updatable.personalization.preparing import BLOCK, Settings, entered_models, expect_data, prepare
from coreml_updatable.personalization.replay_sets import chosen, in_turn
from coreml_updatable.personalization.results import Interval
from coreml_updatable.runtime import RunnableModel
from coreml_updatable.spec.reserved_labels import offset_of
from coreml_updatable.updating.task import LinearLayer

Values: TypeAlias = Mapping[str, Any]
BATCHES = (1, 2, 4, 8, 16, 32)
REPLAYS = (0, 2, 4, 8, 16)
ADAM = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
OWNERS = 128  # that each setting is tried on
FACTORS = (0.25, 0.5, 2.0, 4.0)
STEPPED = ("learningRate", "epochs", "miniBatchSize", "numberOfNeighbors", "headScale", "baseSamples", "reservedShare")
WHOLE = ("epochs", "miniBatchSize", "numberOfNeighbors", "baseSamples")
SHARES = (1e-7, 0.1)  # of an answer, for reserved labels; marking allows no more


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
    told: Told = silent,
) -> Chosen:
    """Return the values that serve the owners best, and what they gain over the model's own on the test owners.

    Raises BuildError without Optuna, DataError where the data is too little for two halves.
    """
    _optuna()
    _expect(settings)
    asked = Settings(owners=settings.owners, shots=(0, settings.shots), references=False, workers=1, fit=settings.fit)
    for half in (0, 1):
        expect_data([(name, model)], data, population, replace(asked, half=half))
    entered = entered_models([(name, model)], data, population, asked, told)
    tuning, testing = (
        prepare([(name, model)], data, population, replace(asked, half=half), silent, entered).lab for half in (0, 1)
    )
    return searched(tuning, testing, name, settings, told)


def searched(tuning: Lab, testing: Lab, name: str, settings: TuneSettings, told: Told = silent) -> Chosen:
    """The same of the first contender of two laboratories that share no row."""
    optuna, own = _optuna(), replace(tuning, protocols=("at_once",))
    base = own.contenders[0]
    if base.engine == "task":
        raise DataError(
            f"{name}: is trained by UpdateTask alone, one owner after another, which is too slow to try settings; "
            "compare variants of it"
        )
    defaults = _defaults(base)
    found: list[Trial] = []

    def objective(trial: Any) -> float:
        values = _proposed(trial, base, settings)
        result = tried(own, values, settings.owners)
        found.append(result)
        told(min(0.95, len(found) / settings.budget), f"{len(found)} of {settings.budget} settings")
        return _merit(result, settings.forgetting)

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=tuning.world.population.seed)
    )
    study.enqueue_trial(_as_proposal(defaults, settings))
    study.optimize(objective, n_trials=settings.budget)
    best = max(found, key=lambda one: _merit(one, settings.forgetting))
    result = _judged(testing, own, name, defaults, best, found, settings)
    told(1.0, f"{len(found)} settings on {settings.owners} owners, the best on {settings.test_owners} others")
    samples = best.values.get("baseSamples", defaults.get("baseSamples"))
    return Chosen(
        result,
        None if base.layer is None else changed_head(base, best.values),
        None if samples == defaults.get("baseSamples") else kept_samples(base, int(best.values["baseSamples"])),
    )


def tried(lab: Lab, values: Values, owners: int) -> Trial:
    """One setting on the first ``owners`` owners of the laboratory."""
    changed_lab, point = _with(lab, values), last_point(lab)
    sizes = {first: min(BLOCK, owners - first) for first in range(0, owners, BLOCK)}
    blocks = [run_block(changed_lab, first, count).values[0, point] for first, count in sizes.items()]
    personal, lost = (np.concatenate([block[measure] for block in blocks]) for measure in (PERSONAL, FORGETTING))
    p95 = float(np.nanpercentile(lost, 95)) if np.isfinite(lost).any() else 0.0
    return Trial(dict(values), float(np.nanmedian(personal)), float(np.nanmean(personal)), p95)


NOT_PARAMETERS = ("optimizer", "weighting", "replay", "headScale", "baseSamples", "reservedShare")


def changed(one: Contender, values: Values) -> Contender:
    """The contender under other values: parameters by MLParameterKey, and NOT_PARAMETERS."""
    given = {key: value for key, value in values.items() if key not in NOT_PARAMETERS}
    if one.votes is not None:
        votes = replace(one.votes, uniform=values["weighting"] == "uniform")
        found = replace(one, parameters={**one.parameters, **given}, votes=votes)
        return _with_samples(found, kept_samples(one, int(values["baseSamples"]))) if "baseSamples" in values else found
    if one.layer is None:  # several layers, which keep their optimizer
        return replace(one, parameters={**one.parameters, **given})
    adam = values["optimizer"] == "adam"
    layer = replace(changed_head(one, values), optimizer="adamOptimizer" if adam else "sgdOptimizer")
    parameters = {**one.parameters, **(ADAM if adam else {"momentum": 0.0}), **given}
    return replace(one, engine="adam" if adam else "span", layer=layer, parameters=parameters)


def changed_head(one: Contender, values: Values) -> LinearLayer:
    """The last layer with all logits times ``headScale``, and reserved labels that take ``reservedShare`` at most."""
    assert one.layer is not None
    scale = np.float32(values.get("headScale", 1.0))
    layer = replace(one.layer, weights=one.layer.weights * scale, bias=one.layer.bias * scale)
    if "reservedShare" not in values or values["reservedShare"] == reserved_share(one):
        return layer
    reserved = np.array([label in one.reserved for label in one.labels])
    bias = layer.bias.copy()
    bias[reserved] = bias[~reserved].mean() - offset_of(values["reservedShare"], reserved.sum(), (~reserved).sum())
    return replace(layer, bias=bias)


def reserved_share(one: Contender) -> float | None:
    """The most that the reserved labels of a network take of an answer, as marking has set their biases."""
    if not one.reserved or one.layer is None:
        return None
    reserved = np.array([label in one.reserved for label in one.labels])
    below = float(one.layer.bias[~reserved].mean() - one.layer.bias[reserved].mean())
    return float(reserved.sum() / (~reserved).sum() * np.exp(-below))


def kept_samples(one: Contender, per_label: int) -> Int64Array:
    """Numbers of the base samples that stay, those that stand best for their label, in their order."""
    assert one.samples is not None
    return np.sort(in_turn(one.samples, one.sample_labels, per_label, "herding"))


def _with_samples(one: Contender, kept: Int64Array) -> Contender:
    assert one.samples is not None
    labels = tuple(one.sample_labels[row] for row in kept)
    return replace(one, samples=one.samples[kept], sample_labels=labels, labels=tuple(dict.fromkeys(labels)))


def _most_samples(one: Contender) -> int:
    """Of a label of a k-NN."""
    return max(Counter(one.sample_labels).values(), default=0)


def _with(lab: Lab, values: Values) -> Lab:
    one = changed(lab.contenders[0], values)
    if values.get("replay"):
        one = replace(one, replay=chosen(lab.embeddings[0][0], lab.world, int(values["replay"])))
    return replace(lab, contenders=(one,), memory={})


def _merit(one: Trial, bound: float) -> float:
    """The median, and among equal medians the mean; below 0 for a setting that is not allowed, by how much."""
    return one.personal + 0.01 * one.mean if one.is_allowed(bound) else -(one.forgetting - bound)


def _defaults(one: Contender) -> dict[str, Any]:
    p = one.parameters
    if one.votes is not None:
        weighting = "uniform" if one.votes.uniform else "inverse-distance"
        found: dict[str, Any] = {"numberOfNeighbors": int(p["numberOfNeighbors"]), "weighting": weighting}
        return {**found, **({"baseSamples": _most_samples(one)} if _most_samples(one) > 1 else {})}
    found = {key: p[key] for key in ("learningRate", "epochs", "miniBatchSize")}
    found = {"optimizer": "adam", **found} if "beta1" in p else {"optimizer": "sgd", **found, "momentum": p["momentum"]}
    share = reserved_share(one)
    scale = {} if one.layer is None else {"headScale": 1.0}
    return {**found, **scale, **({} if share is None else {"reservedShare": share})}


def _as_proposal(values: Values, settings: TuneSettings) -> dict[str, Any]:
    """The defaults in the names of the search; what lies outside its ranges is proposed as the nearest within."""
    if "numberOfNeighbors" in values:
        return {**values, "numberOfNeighbors": min(15, int(values["numberOfNeighbors"]))}
    given: dict[str, Any] = {
        "learningRate": min(1.0, max(1e-4, float(values["learningRate"]))),
        "epochs": min(60, max(1, int(values["epochs"]))),
        "miniBatchSize": min(BATCHES, key=lambda size: abs(size - int(values["miniBatchSize"]))),
    }
    if "headScale" in values:
        given |= {"headScale": 1.0, "optimizer": values["optimizer"]}
    if values["optimizer"] == "sgd":
        given["momentum"] = min(0.95, float(values["momentum"]))
    if "reservedShare" in values:
        given["reservedShare"] = min(SHARES[1], max(SHARES[0], float(values["reservedShare"])))
    return {**given, **({"replay": 0} if settings.replay else {})}


def _proposed(trial: Any, one: Contender, settings: TuneSettings) -> dict[str, Any]:
    if one.votes is not None:
        values = {
            "numberOfNeighbors": trial.suggest_int("numberOfNeighbors", 1, 15),
            "weighting": trial.suggest_categorical("weighting", ["inverse-distance", "uniform"]),
        }
        if _most_samples(one) > 1:
            values["baseSamples"] = trial.suggest_int("baseSamples", 1, _most_samples(one), log=True)
        return values
    own = "adam" if "beta1" in one.parameters else "sgd"
    values = {
        "optimizer": trial.suggest_categorical("optimizer", ["sgd", "adam"]) if one.layer is not None else own,
        "learningRate": trial.suggest_float("learningRate", 1e-4, 1.0, log=True),
        "epochs": trial.suggest_int("epochs", 1, 60, log=True),
        "miniBatchSize": trial.suggest_categorical("miniBatchSize", list(BATCHES)),
    }
    if one.layer is not None:
        values["headScale"] = trial.suggest_float("headScale", 0.25, 4.0, log=True)
    if values["optimizer"] == "sgd":
        values["momentum"] = trial.suggest_float("momentum", 0.0, 0.95)
    if reserved_share(one) is not None:
        values["reservedShare"] = trial.suggest_float("reservedShare", *SHARES, log=True)
    if settings.replay:
        values["replay"] = trial.suggest_categorical("replay", list(REPLAYS))
    return values


def _judged(
    testing: Lab,
    tuning: Lab,
    name: str,
    defaults: Values,
    best: Trial,
    found: list[Trial],
    settings: TuneSettings,
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
        trials=len(found),
        defaults=defaults,
        chosen=best.values,
        before=trials[0],
        after=trials[1],
        gain=apart.personal_accuracy,
        forgetting_gain=apart.forgetting,
        tried=tuple(found),
        best=best,
        around=tuple(tried(tuning, values, settings.owners) for values in _beside(best.values)),
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


def _beside(values: Values) -> list[dict[str, Any]]:
    """The chosen values with one of them at a quarter, half, twice and four times."""
    made = []
    for key in STEPPED:
        for factor in FACTORS if key in values else ():
            value = values[key] * factor
            moved = max(1, round(value)) if key in WHOLE else float(value)
            moved = min(moved, SHARES[1]) if key == "reservedShare" else moved
            if moved != values[key] and {**values, key: moved} not in made:
                made.append({**values, key: moved})
    return made


def _conclusion(name: str, trials: list[Trial], gain: Interval, best: Trial, settings: TuneSettings) -> str:
    before, after = trials
    on = f"on {settings.test_owners} owners that share no picture with the tuning"
    moved = f"{100 * gain.mean:+.1f} points ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    lost = f"95% of them forget less than {100 * max(0.0, after.forgetting):.1f} points"
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
    used = f"(defaults: {100 * max(0.0, before.forgetting):.1f})"
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
