"""The parameters of an update: the model's defaults and what an app sets instead, checked against the model's bounds.

Keys are those of MLParameterKey. In a pipeline, a key may be scoped to the updatable member: ``model1.learningRate``.
"""

import math
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

import numpy as np

from coreml_updatable.errors import ModelError, quoted
from coreml_updatable.spec.parameters import MAX_EPOCHS
from coreml_updatable.text import did_you_mean

Value: TypeAlias = float | int | bool
WHOLE = {"epochs", "miniBatchSize", "seed", "numberOfNeighbors"}
AT_LEAST_ONE = {"epochs", "miniBatchSize", "numberOfNeighbors"}
BELOW_ONE = {"beta1", "beta2"}
AT_MOST_ONE = {"momentum"}
NOT_NEGATIVE = {"learningRate", "momentum", "eps"}
REFUSED = {
    "weights": "an update does not apply weights given as parameters; write them into the model",
    "biases": "an update does not apply biases given as parameters; write them into the model",
    "linkedModelFileName": "linked models cannot be updated here; put the model itself in the pipeline",
    "linkedModelSearchPath": "linked models cannot be updated here; put the model itself in the pipeline",
}


class Parameters:
    """The model's parameter messages by key, and the current values.

    ``unset``: keys that the model leaves open; they have no value until an app sets one.
    """

    def __init__(self, messages: Mapping[str, Any], scope: str | None, unset: Collection[str] = ()) -> None:
        self._messages = dict(messages)
        self._scope = scope
        self.values: dict[str, Value] = {}
        self._given: set[str] = set()  # by the app
        for key, message in messages.items():
            if key not in unset:
                self.values[key] = _checked(key, message.defaultValue, message, "the model's default")

    def expect_sensible(self) -> None:
        """ModelError where the values in force can train nothing: a step against the gradient, steps that grow without
        end, or a model's own default of more epochs than anybody waits for. An app may ask for as many itself."""
        for key, value in self.values.items():
            where = f"parameter '{key}'" if key in self._given else "the model's default"
            if key in NOT_NEGATIVE and value < 0:
                raise ModelError(f"{where}: {key} is {value:g}, expected 0 or more; set another value")
            if key in AT_MOST_ONE and value > 1:
                raise ModelError(f"{where}: {key} is {value:g}, expected at most 1; set another value")
            if key == "epochs" and key not in self._given and value > MAX_EPOCHS:
                raise ModelError(
                    f"{where}: epochs is {value}, expected at most {MAX_EPOCHS}; if you need more, set the parameter "
                    "epochs (or --epochs)"
                )

    def set(self, given: Mapping[str, Value]) -> None:
        """Set the app's values; ModelError for a key or a value that the model does not allow."""
        checked = dict(self._checked(*item) for item in given.items())
        self.values.update(checked)
        self._given |= checked.keys()

    def _checked(self, scoped: str, value: Any) -> tuple[str, Value]:
        scope, _, key = scoped.rpartition(".")
        if key in REFUSED:
            raise ModelError(f"parameter '{scoped}': {REFUSED[key]}")
        if scope and scope != self._scope:
            known = f"the scope '{self._scope}'" if self._scope else "no scopes, because it is not a pipeline"
            raise ModelError(f"parameter '{scoped}': the model has {known}; write '{_scoped(self._scope, key)}'")
        if key not in self._messages:
            known = f"the parameters are {', '.join(sorted(self._messages))}"
            raise ModelError(f"Unknown parameter '{scoped}'; {did_you_mean(key, self._messages) or known}")
        return key, _checked(key, value, self._messages[key], f"parameter '{scoped}'")


def of_network(update: Any) -> dict[str, Any]:
    """Return the parameter messages of ``NetworkUpdateParameters`` by key."""
    kind = update.optimizer.WhichOneof("OptimizerType")
    if kind is None:
        raise ModelError("model: has no optimizer; mark it again with SGD or Adam")
    optimizer = getattr(update.optimizer, kind)
    names = ["learningRate", "miniBatchSize"]
    names += ["momentum"] if kind == "sgdOptimizer" else ["beta1", "beta2", "eps"]
    messages = {name: getattr(optimizer, name) for name in names}
    return {**messages, "epochs": update.epochs, "shuffle": update.shuffle, "seed": update.seed}


def unset_of_network(update: Any) -> set[str]:
    """Return the optional keys that ``NetworkUpdateParameters`` leaves open: a missing seed is not the seed 0."""
    return set() if update.HasField("seed") else {"seed"}


def _checked(key: str, given: Any, message: Any, where: str) -> Value:
    value = given.item() if isinstance(given, np.generic) else given
    if key == "shuffle":
        if value not in (True, False):
            raise ModelError(f"{where}: {key} is {quoted(value)}, expected true or false")
        return bool(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ModelError(f"{where}: {key} is {quoted(value)}, expected a number")
    if key in WHOLE and value != int(value):
        raise ModelError(f"{where}: {key} is {quoted(value)}, expected an integer")
    allowed = message.WhichOneof("AllowedValues")
    if allowed == "set" and int(value) not in message.set.values:
        choices = ", ".join(str(choice) for choice in message.set.values)
        raise ModelError(f"{where}: {key} is {value}, expected one of {choices}")
    if allowed == "range" and not message.range.minValue <= value <= message.range.maxValue:
        ends = f"{message.range.minValue:g} to {message.range.maxValue:g}"
        raise ModelError(f"{where}: {key} is {value}, expected a value from {ends}")
    if key in BELOW_ONE and not 0 <= value < 1:
        raise ModelError(
            f"{where}: {key} is {value}, expected 0 or more and less than 1, because Adam divides by 1 - {key}"
        )
    if key in AT_LEAST_ONE and value < 1:
        raise ModelError(f"{where}: {key} is {value}, expected at least 1")
    return int(value) if key in WHOLE else float(value)


def _scoped(scope: str | None, key: str) -> str:
    return f"{scope}.{key}" if scope else key
