"""UpdateTask: MLUpdateTask on any machine, with the same terms.

A k-NN classifier learns by storing the rows as samples with their labels, including new ones.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from coreml_updatable import bounds
from coreml_updatable.errors import DataError, ModelError, quoted
from coreml_updatable.runtime import FrozenRow, Row, RunnableModel, load, reference
from coreml_updatable.runtime.neighbors.classifier import Label, NearestNeighborsModel
from coreml_updatable.runtime.pipeline import LAST, PipelineModel
from coreml_updatable.spec.io import write_model
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of
from coreml_updatable.typed import typed, typed_class
from coreml_updatable.updating.assumptions import Assumptions, trained_under
from coreml_updatable.updating.fixed_features import MEMORY, KeptFeatures
from coreml_updatable.updating.loss import target
from coreml_updatable.updating.parameters import Parameters, Value, of_network, unset_of_network

if TYPE_CHECKING:
    from coreml_updatable.updating.owners import OwnersHead

MAX_LABEL = 2**63


def with_rows(
    model: NearestNeighborsModel,
    samples: NDArray[np.float32],
    rows: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, Any],
) -> NearestNeighborsModel:
    """Return the model with ``samples`` [n, D] added; ``rows`` contain their labels.

    ``numberOfNeighbors`` applies to predictions; the file keeps its default.
    """
    name = str(model.description.predictedFeatureName)
    labels = [_label(target(row, name, index), model.string_labels, name, index) for index, row in enumerate(rows)]
    return model.updated(samples, labels, int(parameters["numberOfNeighbors"]))


def _label(value: Any, string: bool, name: str, index: int) -> Label:
    if string and isinstance(value, str):
        return str(value)
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not string and whole and -MAX_LABEL <= value < MAX_LABEL:
        return int(value)
    expected = "text" if string else "integers of 64 bits"
    raise DataError(f"row {index}: '{name}' is {quoted(value)}, expected {expected}, like the labels of the model")


EPOCHS_WEIGHED = 100  # the work of more is not allowed without --max-memory
AT_A_TIME = 64  # rows held before the frozen part has run on them
Handler: TypeAlias = Callable[["UpdateContext"], None]


@dataclass(frozen=True)
class UpdateContext:
    """The state at an event or at the end. ``event``: trainingBegin, miniBatchEnd, epochEnd, or completed.

    ``metrics``: lossValue, epochIndex, miniBatchIndex (counted from 0), as far as the event has them.
    """

    event: str
    metrics: Mapping[str, float]
    parameters: Mapping[str, Value]
    task: "UpdateTask"
    _model: Callable[[], RunnableModel] = field(repr=False)

    @property
    def model(self) -> RunnableModel:
        """Return the current model; it shares the frozen part with the original one."""
        return self._model()

    def write(self, path: Path | str) -> None:
        """Write the model: the original with other updatable weights or more samples, and no other changes."""
        write_model(self.model.message, Path(path))


@typed_class
class UpdateTask:
    """Train a model on rows, as MLUpdateTask does. A new task is suspended; ``resume`` runs it to the end.

    ``rows``: any iterable of rows with the features of the training inputs; FrozenRows skip the frozen part.
    ``parameters``: values by MLParameterKey. ``on_event(context)`` is called at trainingBegin, miniBatchEnd and
    epochEnd; it may call ``cancel``, or ``resume`` with other parameters. ``assumptions``: what Apple leaves open about
    training and predicting; None means those of the loaded model, or the defaults. ``memory``: the most bytes of
    features from the frozen part to hold in memory; the rest goes to a temporary file.

    Raises ModelError or DataError if a device would refuse, even if the device could not say why.
    """

    def __init__(
        self,
        model: RunnableModel | Path | str | Model,
        rows: Iterable[Row],
        parameters: Mapping[str, Value] | None = None,
        on_event: Handler | None = None,
        assumptions: Assumptions | None = None,
        memory: int = MEMORY,
    ) -> None:
        self._model = load(model, assumptions=assumptions)
        if not self._model.is_updatable:
            raise ModelError("model: is not updatable; mark it first")
        self._rows = rows
        self._on_event = on_event
        self._memory = memory
        self._assumptions = trained_under(self._model.assumptions)
        self._last, scope = _updatable_member(self._model)
        self._parameters = Parameters(_messages(self._last), scope, _unset(self._last))
        self._parameters.set(parameters or {})
        self._current: Callable[[], RunnableModel] = lambda: self._model
        self.state = "suspended"  # running, cancelling, completed, failed

    @typed
    def resume(self, parameters: Mapping[str, Value] | None = None) -> UpdateContext:
        """Run the update and return when it is complete; in a handler, only change the parameters.

        A cancelled task stays "cancelling": its context has the partly trained model, which a device would not provide.
        """
        self._parameters.set(parameters or {})
        self._parameters.expect_sensible()
        if self.state == "running":
            return self._context("resumed", {})
        if self.state != "suspended":
            raise ModelError(f"task: is {self.state}, but only a new task can be resumed; create another one")
        self.state = "running"
        try:
            metrics = self._run()
        except BaseException:
            self.state = "failed"
            raise
        if self.state == "running":
            self.state = "completed"
        return self._context("completed" if self.state == "completed" else "cancelled", metrics)

    @property
    def parameters(self) -> Mapping[str, Value]:
        """Return the current values by MLParameterKey."""
        return dict(self._parameters.values)

    def cancel(self) -> None:
        """Stop at the next event."""
        if self.state in ("suspended", "running"):
            self.state = "cancelling"

    def _run(self) -> Mapping[str, float]:
        expected = len(self._rows) if isinstance(self._rows, Sized) else AT_A_TIME
        with KeptFeatures(_names(self._last), self._memory, expected) as kept:
            _keep(self._model, self._rows, kept)
            return self._remember(kept) if isinstance(self._last, NearestNeighborsModel) else self._train(kept)

    def _remember(self, kept: KeptFeatures) -> Mapping[str, float]:
        self._tell("trainingBegin", {})
        if self.state == "running":
            (samples,) = kept.arrays().values()
            learned = with_rows(cast(Any, self._last), samples, kept.others, self._parameters.values)
            self._current = lambda: _whole(self._model, learned)
        return {}

    def _train(self, kept: KeptFeatures) -> Mapping[str, float]:
        from coreml_updatable.updating.network import NetworkLearner
        from coreml_updatable.updating.training import train

        learner = NetworkLearner(cast(Any, self._last), kept, self._assumptions)
        self._current = lambda: _whole(self._model, learner.model())
        last: dict[str, float] = {}

        def tell(event: str, metrics: dict[str, float]) -> bool:
            last.update(metrics)
            return self._tell(event, metrics)

        try:
            if self._tell("trainingBegin", {}):
                epochs = min(int(self._parameters.values["epochs"]), EPOCHS_WEIGHED)
                rows = max(1, len(kept.others) * epochs // 10)  # a head does less than a tenth of a whole model
                with bounds.bounded("update", rows, learner.size):
                    train(learner, len(kept.others), self._parameters.values, self._assumptions, tell)
        finally:
            learner.close()  # contexts may outlive the task, and with them the learner
        final = _whole(self._model, learner.model())
        self._current = lambda: final
        return last

    def _tell(self, event: str, metrics: Mapping[str, float]) -> bool:
        if self._on_event is not None:
            self._on_event(self._context(event, dict(metrics)))
        return self.state == "running"

    def _context(self, event: str, metrics: Mapping[str, float]) -> UpdateContext:
        return UpdateContext(event, metrics, dict(self._parameters.values), self, self._current)


def _updatable_member(model: RunnableModel) -> tuple[RunnableModel, str | None]:
    """Return the member that learns, and its scope in a pipeline."""
    if not isinstance(model, PipelineModel):
        return model, None
    flags = [bool(member.message.isUpdatable) for member in model.members]
    if any(flags[:-1]) or not flags[-1]:
        raise ModelError(
            "model: expected the last model of an updatable pipeline, and only that, to be updatable; build it again"
        )
    inner, scope = _updatable_member(model.members[-1])
    number = f"model{len(flags) - 1}"
    return inner, f"{number}.{scope}" if scope else number


def _messages(model: RunnableModel) -> dict[str, Any]:
    message = model.base
    if isinstance(model, NearestNeighborsModel):
        return {"numberOfNeighbors": message.kNearestNeighborsClassifier.numberOfNeighbors}
    return of_network(network_of(message).updateParams)


def _unset(model: RunnableModel) -> set[str]:
    if isinstance(model, NearestNeighborsModel):
        return set()
    return unset_of_network(network_of(model.base).updateParams)


def _names(model: RunnableModel) -> list[str]:
    """Return the blobs of a frozen row that learning reads."""
    if isinstance(model, NearestNeighborsModel):
        return [str(feature.name) for feature in model.description.input]
    from coreml_updatable.updating.network import blobs_to_keep

    return blobs_to_keep(cast(Any, model))


def _keep(model: RunnableModel, rows: Iterable[Row], kept: KeptFeatures) -> None:
    """Run the frozen part, of a pipeline all its members', once a row. Whole rows are held a few at a time."""
    incoming = iter(rows)
    while block := list(islice(incoming, AT_A_TIME)):
        with reference():  # what is learned from them is written into a model
            frozen = model.frozen(block, range(len(kept.others), len(kept.others) + len(block)))
        for row in frozen:
            kept.add(_inner(row))
    if not kept.others:
        raise DataError("update: found no rows; give at least one")


def _inner(row: FrozenRow) -> FrozenRow:
    while LAST in row.values and isinstance(row.values[LAST], FrozenRow):
        row = row.values[LAST].with_features(**row.features)
    return row


def _whole(model: RunnableModel, learned: RunnableModel) -> RunnableModel:
    """Return the original model with its learning member replaced."""
    if isinstance(model, PipelineModel):
        return model.updated(_whole(model.members[-1], learned))
    return learned


@dataclass(frozen=True)
class LinearLayer:
    """The one trained layer of a network whose logits it gives: ``weights`` [K, D], ``bias`` [K] (0 without one).

    ``trained``: which of "weights" and "bias" are trained; ``optimizer``: the format's field.
    """

    weights: NDArray[Any]
    bias: NDArray[Any]
    trained: tuple[str, ...]
    optimizer: str  # sgdOptimizer or adamOptimizer

    def logits(self, embeddings: NDArray[Any]) -> NDArray[Any]:
        """[n, K] of embeddings [n, D]."""
        return np.asarray(embeddings @ self.weights.T + self.bias)

    def products(self, rows: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
        """[..., n, m]: how much a step on each of ``others`` [..., m, D] moves the logits of ``rows`` [..., n, D]."""
        result = rows @ np.swapaxes(others, -1, -2) if "weights" in self.trained else 0.0
        ones = np.ones((*rows.shape[:-1], others.shape[-2]), rows.dtype)
        return np.asarray(result + ones if "bias" in self.trained else result * ones)


@dataclass(frozen=True)
class LearningPart:
    """The trainable part of a model. ``layer`` is None for a k-NN, or unless only a single linear layer is trained."""

    member: RunnableModel
    layer: LinearLayer | None
    labels: tuple[str | int, ...]  # that a network learns, in the order of its outputs
    blob: str = ""  # what the layer reads
    owners: "OwnersHead | None" = None  # of a network that trains several layers by cross entropy

    def vectors(self, rows: Sequence[FrozenRow]) -> NDArray[np.float32]:
        """[n, D]: what the layer, or the search of a k-NN, reads of rows that the whole model froze; where several
        layers are trained, all that they read, one after another."""
        names = _names(self.member) if self.layer is None else [self.blob]
        inside = [_inner(row).values for row in rows]
        flat = [np.concatenate([np.ravel(values[name]) for name in names]) for values in inside]
        return np.stack(flat).astype(np.float32, copy=False)


def learning_part(model: RunnableModel, row: Row) -> LearningPart:
    """Return the part of an updatable model that an update changes; ``row`` can be any row and provides the shapes."""
    member, _ = _updatable_member(model)
    if isinstance(member, NearestNeighborsModel):
        return LearningPart(member, None, ())
    from coreml_updatable.updating.loss import loss_of
    from coreml_updatable.updating.network import GraphHead, NetworkLearner
    from coreml_updatable.updating.owners import OwnersHead

    loss = loss_of(member.base)
    if not loss.labels:
        return LearningPart(member, None, ())
    with KeptFeatures(_names(member)) as kept:
        frozen = row if isinstance(row, FrozenRow) else model.frozen([row])[0]
        kept.add(_inner(frozen).with_features(**{loss.target: loss.labels[0]}))
        learner = NetworkLearner(cast(Any, member), kept, trained_under(model.assumptions))
        linear, head, names = learner.linear(), learner.head, _names(member)
        owners = None
        if isinstance(head, GraphHead) and head.axis is not None:
            shapes = [tuple(np.asarray(_inner(frozen).values[name]).shape) for name in names]
            owners = OwnersHead(head, head.axis, learner.optimizer, names, shapes)
        learner.close()
    if linear is None:
        return LearningPart(member, None, tuple(loss.labels), owners=owners)
    weights, bias, trained, blob = linear
    layer = LinearLayer(weights, bias, trained, learner.optimizer)
    return LearningPart(member, layer, tuple(loss.labels), blob, owners)
