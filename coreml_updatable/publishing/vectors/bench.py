"""Runs of a model for its vectors: an update, the mistakes that an app may make of it, and rows that show them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from coreml_updatable.data.inputs import Float32Array, UInt8Array
from coreml_updatable.publishing.vectors.differences import difference, losses_off
from coreml_updatable.publishing.vectors.document import (
    AFTER,
    BEFORE,
    Array,
    Exercise,
    Losses,
    Outcome,
    Photo,
    Picture,
    Row,
    Update,
)
from coreml_updatable.publishing.vectors.replay import remembers, updated
from coreml_updatable.publishing.vectors.values import answer, digest, short
from coreml_updatable.runtime import FrozenRow, RunnableModel, load
from coreml_updatable.runtime.assumptions import PredictionAssumptions, choices_of
from coreml_updatable.spec.parameters import Parameter
from coreml_updatable.updating.assumptions import SETTLED
from coreml_updatable.updating.probes.outcomes import assuming, choices

# Wide enough for a device that rounds otherwise: noise of 0.5% on every feature that the frozen part gives moves the
# samples' probabilities by at most 0.0033 before the update and 0.0055 after it. The update itself moves them by 0.4.
TOLERANCES = {BEFORE: 0.01, AFTER: 0.02}
LOSS_TOLERANCE, CHANGE_TOLERANCE = 0.02, 0.04  # a rate that is off by 10% changes the change by up to 10%
NOISE = 0.005  # share of a feature, of the rounding that decides no answer here
TOGETHER, EACH_COUNTS = "one mini-batch an epoch", "each example counts"
RATES = (1.0, 3.0, 10.0, 0.3, 0.1)  # of the default learning rate, to be tried until every mistake is noticed
ASKED = 8  # rows chosen for an exercise, at most
MARGIN = 2.0  # tolerances that a mistake should be off by
ALIKE = 0.1  # tolerances within which two answers are one outcome
ANOTHER_ORDER = "another order"

InputArray: TypeAlias = UInt8Array | Float32Array
ParameterValues: TypeAlias = dict[str, bool | int | float]


@dataclass(frozen=True)
class TrialUpdate:
    """One update: ``rows`` are numbers of rows to learn from, in order, with their labels."""

    parameters: ParameterValues
    rows: tuple[tuple[int, str], ...]


def _mistakes(trial: TrialUpdate, known: Mapping[str, Parameter]) -> Iterator[tuple[str, TrialUpdate]]:
    """What an app, or a device, may do otherwise, as far as the model's own parameters allow it; each has a name."""
    parameters, rows = trial.parameters, trial.rows
    rate, momentum = float(parameters.get("learningRate", 0)), float(parameters.get("momentum", 0))
    others: list[tuple[str, str, bool | int | float]] = [
        ("an epoch less", "epochs", int(parameters.get("epochs", 0)) - 1),
        ("a rate 10% higher", "learningRate", rate * 1.1),
        ("a rate 10% lower", "learningRate", rate * 0.9),
        ("another momentum", "momentum", momentum + 0.1 if momentum < 0.8 else momentum - 0.1),
        ("another beta1", "beta1", float(parameters.get("beta1", 0)) * 0.9),
    ]
    for name, parameter, value in others:
        if parameter in parameters and (parameter != "epochs" or value) and _allows(known[parameter], value):
            yield name, replace(trial, parameters={**parameters, parameter: value})
    if len(rows) > 1:
        if "miniBatchSize" in parameters:
            yield ANOTHER_ORDER, replace(trial, rows=rows[::-1])
        for index in range(len(rows)):
            yield f"without row {index}", replace(trial, rows=rows[:index] + rows[index + 1 :])


def off(exercise: "_Exercise", result: "_Found") -> float:
    """Tolerances that a mistake is off by, from the outcome that it is nearest to."""
    return min(_distance(exercise.name, outcome.found, result, exercise.tolerance) for outcome in exercise.outcomes)


def _distance(name: str, item: "_Found", other: "_Found", tolerance: float = TOLERANCES[AFTER]) -> float:
    """The largest difference, in tolerances; infinite where the events differ in number."""
    offs = [difference(a, b) / tolerance for a, b in zip(item.answers, other.answers, strict=True)]
    for event, values in (item.losses or {}).items():
        given = (other.losses or {}).get(event, ())
        if len(given) != len(values):
            return float("inf")
        offs += losses_off(values, given, LOSS_TOLERANCE, _change_tolerance(name))
    return max(offs, default=0.0)


def _change_tolerance(name: str) -> float | None:
    """A loss falls steadily where all rows are one mini-batch."""
    return CHANGE_TOLERANCE if name == TOGETHER else None


def unnoticed_mistakes(bench: "Bench", exercises: "Sequence[_Exercise]") -> list[str]:
    """The mistakes that no exercise notices."""
    names: dict[str, bool] = {}
    for exercise in exercises:
        for name, trial in _mistakes(exercise.trial, bench.known) if exercise.trial else ():
            noticed = names.get(name, False) or off(exercise, bench.run(exercise.rows, trial)) > 1
            names[name] = noticed
    return [name for name, noticed in names.items() if not noticed]


@dataclass(frozen=True)
class _Found:
    answers: tuple[Row, ...]
    losses: Losses | None


@dataclass(frozen=True)
class _Rows:
    """Rows to predict, and rows to learn from, before and after the fixed layers, which run once a row."""

    raw: tuple[InputArray, ...]
    asked: Sequence[Any]
    learned: Sequence[Any]
    frozen_asked: Sequence[Any]
    frozen_learned: Sequence[Any]

    def only(self, chosen: Sequence[int]) -> "_Rows":
        return replace(
            self,
            raw=tuple(self.raw[item] for item in chosen),
            asked=[self.asked[item] for item in chosen],
            frozen_asked=[self.frozen_asked[item] for item in chosen],
        )


@dataclass(frozen=True)
class _Outcome:
    assumptions: dict[str, str]
    found: _Found


@dataclass(frozen=True)
class _Exercise:
    name: str
    tolerance: float
    trial: TrialUpdate | None
    rows: _Rows
    outcomes: tuple[_Outcome, ...]
    values: tuple[Picture | Photo | Array, ...] = ()

    @property
    def raw(self) -> tuple[InputArray, ...]:
        return self.rows.raw

    def document(self, feature: str, label: str, shots: Sequence[Picture | Array]) -> Exercise:
        update = None
        if self.trial is not None:
            rows: tuple[Row, ...] = tuple({feature: shots[index], label: said} for index, said in self.trial.rows)
            update = Update(parameters=self.trial.parameters, rows=rows)
        return Exercise(
            name=self.name,
            tolerance=self.tolerance,
            change_tolerance=_change_tolerance(self.name),
            update=update,
            asked=tuple({feature: value} for value in self.values),
            outcomes=tuple(
                Outcome(assumptions=outcome.assumptions, answers=outcome.found.answers, losses=outcome.found.losses)
                for outcome in self.outcomes
            ),
        )


@dataclass(frozen=True)
class Bench:
    """A model to run trials on."""

    model: RunnableModel
    feature: str
    label: str
    known: Mapping[str, Parameter]  # by name, the parameters of an update
    kept: dict[str, Any] = field(default_factory=dict)  # by content, rows behind the fixed layers

    def rows(self, asked: Sequence[InputArray], learned: Sequence[InputArray]) -> _Rows:
        whole_asked = [{self.feature: short(item)} for item in asked]
        whole_learned = [{self.feature: short(item)} for item in learned]
        keys = [digest(f"{item.shape}".encode() + item.tobytes()) for item in (*asked, *learned)]
        new = {key: row for key, row in zip(keys, (*whole_asked, *whole_learned), strict=True) if key not in self.kept}
        self.kept.update(zip(new, self.model.frozen(list(new.values())), strict=True))
        frozen = [self.kept[key] for key in keys]
        return _Rows(tuple(asked), whole_asked, whole_learned, frozen[: len(asked)], frozen[len(asked) :])

    def run(self, rows: _Rows, trial: TrialUpdate | None, model: RunnableModel | None = None) -> _Found:
        model = model or self.model
        same = model.part == self.model.part  # an assumption may change the fixed layers, too
        asked, losses = list(rows.frozen_asked if same else rows.asked), None
        if trial is not None:
            given = [self._to_learn(rows, index, said, same) for index, said in trial.rows]
            model, losses = updated(model, given, trial.parameters)
        return _Found(tuple(answer(item) for item in model.predict(asked)), losses)

    def _to_learn(self, rows: _Rows, index: int, said: str, frozen: bool) -> Any:
        if frozen:
            return rows.frozen_learned[index].with_features(**{self.label: said})
        return {**rows.learned[index], self.label: said}

    def exercise(self, name: str, rows: _Rows, trial: TrialUpdate | None) -> _Exercise:
        """With the outcome under every combination of open assumptions that has one of its own."""
        tolerance = TOLERANCES[BEFORE if trial is None else AFTER]
        outcomes = [_Outcome({}, self.run(rows, trial))]

        def under(chosen: dict[str, str]) -> _Found:
            # Not kept: a k-NN under other assumptions holds the weights of its extractor once more.
            return self.run(rows, trial, load(self.model, assumptions=assuming(chosen)))

        def is_new(output: _Found) -> bool:
            return all(_distance(name, item.found, output, tolerance) > ALIKE for item in outcomes)

        # From each outcome one choice further: some choices matter only together with others.
        known = [(name, choice) for name in choices() if self._concerns(name, trial) for choice in _possible(name)]
        tried: set[tuple[tuple[str, str], ...]] = {()}
        for outcome in outcomes:  # which grows meanwhile
            for assumption, choice in known:
                chosen = outcome.assumptions | {assumption: choice}
                key = tuple(sorted(chosen.items()))
                if assumption not in outcome.assumptions and key not in tried:
                    tried.add(key)
                    if is_new(result := under(chosen)):
                        outcomes.append(_Outcome(chosen, result))
        return _Exercise(name, tolerance, trial, rows, tuple(outcomes))

    def _concerns(self, assumption: str, trial: TrialUpdate | None) -> bool:
        """Return False where the assumption is about something that is not done, which saves most of the time."""
        voting = {"inverse_of", "zero_distance", "tied_labels", "tied_samples", "probabilities", "listed"}
        if remembers(self.model):
            return assumption in voting
        if trial is None:
            return assumption not in voting and assumption in choices_of(PredictionAssumptions)
        shuffling = (
            {"first_epoch", "shuffled", "no_seed", "generator"} if not trial.parameters.get("shuffle") else set()
        )
        adam = {"adam_bias", "adam_eps"} if "beta1" not in trial.parameters else set()
        return assumption not in voting | shuffling | adam

    def further(self, pool: _Rows, parameters: ParameterValues, labels: Sequence[str]) -> _Exercise | None:
        """An exercise whose rows, labels and rate are chosen so that every mistake shows; None with nothing to learn.

        A network learns all rows together, so that no order plays a part. A k-NN is asked about rows whose neighbors
        are the learned ones.
        """
        steady = self._steady(pool)
        best: tuple[float, str, TrialUpdate, _Rows] | None = None
        for name, trial in self._trials(parameters, labels):
            rows = pool.only(self._telling(pool, trial, steady))
            expected = self.run(rows, trial)
            mistakes = [one for said, one in _mistakes(trial, self.known) if said != ANOTHER_ORDER]
            worst = min((_distance(name, expected, self.run(rows, mistake)) for mistake in mistakes), default=0.0)
            if best is None or worst > best[0]:
                best = worst, name, trial, rows
            if worst >= MARGIN:
                break
        return None if best is None else self.exercise(best[1], best[3], best[2])

    def _trials(self, parameters: ParameterValues, labels: Sequence[str]) -> Iterator[tuple[str, TrialUpdate]]:
        if "miniBatchSize" not in parameters:
            others = [str(label) for label in self.model.labels or ()]
            for said in _labelings(labels, others):
                yield EACH_COUNTS, TrialUpdate(parameters, tuple(enumerate(said)))
            return
        known = self.known
        # As many rows as a mini-batch holds: what becomes of an incomplete one is an assumption.
        count = max((size for size in range(1, len(labels) + 1) if _allows(known["miniBatchSize"], size)), default=0)
        size = count or int(parameters["miniBatchSize"])
        rows = tuple(enumerate(labels))[: count or None]
        for factor in RATES:
            rate = float(parameters["learningRate"]) * factor
            if _allows(known["learningRate"], rate * 1.1) and _allows(known["learningRate"], rate * 0.9):
                yield TOGETHER, TrialUpdate({**parameters, "miniBatchSize": size, "learningRate": rate}, rows)

    def _telling(self, pool: _Rows, trial: TrialUpdate, steady: Sequence[int]) -> list[int]:
        """Rows of the pool that show most of the mistakes: for each mistake the one that it changes most."""
        expected, chosen = self.run(pool, trial), dict[int, None]()
        for _, mistake in _mistakes(trial, self.known):
            result = self.run(pool, mistake)
            offs = {item: difference(expected.answers[item], result.answers[item]) for item in steady}
            if not any(offs[item] > MARGIN * TOLERANCES[AFTER] for item in chosen):
                chosen[max(offs, key=lambda entry: offs[entry])] = None
        return list(chosen)[:ASKED] or [steady[0]]

    def _steady(self, pool: _Rows) -> list[int]:
        """Rows that rounding does not decide on; all, if it decides on all."""
        random = np.random.default_rng(0)
        plain = [answer(item) for item in self.model.predict(list(pool.frozen_asked))]
        steady = set(range(len(plain)))
        for _ in range(3):
            shaken = [answer(item) for item in self.model.predict([_shaken(row, random) for row in pool.frozen_asked])]
            steady -= {item for item in steady if difference(plain[item], shaken[item]) > TOLERANCES[BEFORE]}
        return sorted(steady) or list(range(len(plain)))


def _possible(assumption: str) -> list[str]:
    """The choices besides the default, as far as nothing has settled them."""
    known = choices()[assumption]
    return [choice for choice in known[1:] if choice in SETTLED.get(assumption, known)]


def _labelings(labels: Sequence[str], others: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Of the rows that a k-NN learns: as the owner calls them, then with every other choice of two labels."""
    yield tuple(labels)
    pair = list(dict.fromkeys([*labels, *others]))[:2]
    if len(pair) == 2:
        yield from product(pair, repeat=len(labels))


def _allows(parameter: Parameter, value: float) -> bool:
    if parameter.allowed:
        return value in parameter.allowed
    return parameter.range is None or parameter.range[0] <= value <= parameter.range[1]


def _shaken(row: Any, random: np.random.Generator) -> Any:
    """A row behind the fixed layers as a device might have rounded it."""
    match row:
        case FrozenRow():
            return replace(row, values={name: _shaken(value, random) for name, value in row.values.items()})
        case np.ndarray() if row.dtype.kind == "f":
            return (row * (1 + NOISE * random.standard_normal(row.shape))).astype(row.dtype)
    return row
