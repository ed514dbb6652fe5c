"""A sibling trained by its own engine beside ``UpdateTask``: the same rows, order, mini-batches and steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import BuildError
from coreml_updatable.runtime import Row
from coreml_updatable.runtime.network import NetworkModel
from coreml_updatable.siblings.learner import SiblingSource
from coreml_updatable.updating import UpdateTask
from coreml_updatable.updating.network import trained_parameters
from coreml_updatable.updating.training import Order

WEIGHTS = {"sgdOptimizer": 1e-5, "adamOptimizer": 1e-4}  # of the largest change of a weight
MADE_UP = 10  # times as much on rows of noise: their logits are far larger than those of real rows, and with them the
# rounding of single precision in a softmax
ANSWERS = 1e-4
Arrays: TypeAlias = Mapping[str, NDArray[Any]]
Train: TypeAlias = Callable[[Path, Path], object]  # reads the rows of one .npz file, writes another


@dataclass(frozen=True)
class TrainingAgreement:
    """``weights``: the largest difference of a trained weight, as a share of the largest change. ``answers``: the
    largest difference of an answer after training. ``bound``: of ``weights``."""

    rows: int
    steps: int
    weights: float
    answers: float
    bound: float

    def expect(self, what: str) -> "TrainingAgreement":
        """This; BuildError where an engine trains otherwise."""
        if not (self.weights <= self.bound and self.answers <= ANSWERS):
            raise BuildError(
                f"{what}: after {self.steps} steps its weights differ from the update's by {self.weights:.1e} of the "
                f"largest change (at most {self.bound:g}) and its answers by {self.answers:.1e} (at most {ANSWERS:g}), "
                "so it is not written"
            )
        return self


def compared(
    source: SiblingSource,
    rows: Sequence[Row],
    train: Train,
    parameters: Mapping[str, Any] | None = None,
    *,
    made_up: bool = False,
) -> TrainingAgreement:
    """Train both on ``rows``, which hold what they should give, and compare weights and answers."""
    task = UpdateTask(source.model, rows, parameters)
    after: Any = task.resume().model
    expected = weights_of(after)
    before = weights_of(source.model)
    with TemporaryDirectory(prefix="coreml_updatable.") as name:
        given, trained = Path(name) / "rows.npz", Path(name) / "trained.npz"
        write_rows(given, source, rows, parameters or {})
        train(given, trained)
        with np.load(trained, allow_pickle=False) as held:
            actual = {file: held[file] for file in held.files}
    change = max(float(np.abs(expected[weight] - before[weight]).max()) for weight in source.weights)
    if not change > 0:
        raise BuildError("siblings: the rows change no weight, so nothing can be compared; check the learning rate")
    difference = max(float(np.abs(actual[weight] - expected[weight]).max()) for weight in source.weights)
    with_labels = [answers_of(source, answer) for answer in after.predict(list(rows))]
    answers = max(
        float(np.abs(actual[f"answer.{item}"][index].ravel() - answer[item].ravel()).max())
        for index, answer in enumerate(with_labels)
        for item in answer
    )
    steps = len(actual["losses"])
    bound = WEIGHTS[source.optimizer] * (MADE_UP if made_up else 1)
    return TrainingAgreement(len(rows), steps, difference / change, answers, bound)


def weights_of(model: NetworkModel) -> Arrays:
    """The trained weights by their siblings' names."""
    return {f"{name}.{path}": value.detach().numpy() for (name, path), value in trained_parameters(model).items()}


def write_rows(path: Path, source: SiblingSource, rows: Sequence[Row], parameters: Mapping[str, Any]) -> None:
    """The inputs, the targets, and the order in which an update goes through them."""
    values = {**source.parameters, **parameters}
    seed = int(values["seed"]) if "seed" in values else None
    order = Order(len(rows), seed, bool(values["shuffle"]), source.assumptions)
    size = int(values["miniBatchSize"])
    batches = [batch for epoch in range(int(values["epochs"])) for batch in order.epoch(epoch, size)]
    inputs: dict[str, Any] = {f"input.{name}": value for name, value in source.arrays(rows).items()}
    np.savez(
        path,
        targets=source.targets(rows),
        order=np.concatenate(batches),
        ends=np.cumsum([len(batch) for batch in batches]),
        **inputs,
    )


def answers_of(source: SiblingSource, answer: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """A prediction's outputs as arrays; probabilities in the order of the labels."""
    result = {}
    for name in source.outputs:
        if name not in answer:  # probabilities that the model does not name
            continue
        value = answer[name]
        if isinstance(value, Mapping):
            value = [value[label] for label in source.labels]
        result[name] = np.asarray(value, np.float32)
    return result
