"""What a model brings into a comparison: the part of it that learns."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from coreml_updatable.data.inputs import Float32Array, Int64Array
from coreml_updatable.errors import ModelError
from coreml_updatable.personalization.replay_sets import in_turn
from coreml_updatable.personalization.shared_neighbors import Votes
from coreml_updatable.runtime import RunnableModel
from coreml_updatable.runtime.neighbors.classifier import NearestNeighborsModel
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.reserved_labels import offset_of, reserved_labels
from coreml_updatable.updating import UpdateTask
from coreml_updatable.updating.assumptions import Assumptions, trained_under
from coreml_updatable.updating.task import LearningPart, LinearLayer

Engine: TypeAlias = Literal["span", "adam", "graph", "neighbors", "task"]
Values: TypeAlias = Mapping[str, Any]  # settings by MLParameterKey, and NOT_PARAMETERS
StageProgress: TypeAlias = Callable[[float, str], None]


def silent(fraction: float, detail: str) -> None:
    """Tell nobody."""
    del fraction, detail


@dataclass(frozen=True)
class Contender:
    """A model as the engine trains it. ``engine``: how; "graph": several layers, of all owners together; "task": one
    UpdateTask after another, in the model itself."""

    name: str
    engine: Engine
    labels: tuple[str, ...]  # of its outputs; of a k-NN those of its samples, in their order
    reserved: tuple[str, ...]
    parameters: Mapping[str, Any]
    assumptions: Assumptions
    layer: LinearLayer | None = None
    samples: Float32Array | None = None
    sample_labels: tuple[str, ...] = ()
    votes: Votes | None = None
    default: str = ""  # what a k-NN without samples answers
    replay: Int64Array | None = None  # rows of the data that every update is mixed with
    file: bytes = b""  # of the model, where a task trains it

    @property
    def is_knn(self) -> bool:
        return self.votes is not None

    @property
    def is_empty(self) -> bool:
        """Whether it is a k-NN without samples, which knows nothing of the base."""
        return self.samples is not None and not len(self.samples)


def contender(model: RunnableModel, name: str, part: LearningPart) -> Contender:
    """Return what of a model an update changes; ModelError where it learns no labels."""
    values = dict(UpdateTask(model, []).parameters)
    assumptions = trained_under(model.assumptions)
    member = part.member
    if isinstance(member, NearestNeighborsModel):
        kept = tuple(str(label) for label in member.sample_labels)
        classifier = member.base.kNearestNeighborsClassifier
        default = classifier.WhichOneof("DefaultClassLabel")
        uniform = classifier.WhichOneof("WeightingScheme") != "inverseDistanceWeighting"
        return Contender(
            name,
            "neighbors",
            tuple(dict.fromkeys(kept)),
            (),
            values,
            assumptions,
            samples=member.samples,
            sample_labels=kept,
            votes=Votes(uniform, member.assumptions),
            default="" if default is None else str(getattr(classifier, default)),
        )
    reserved = tuple(str(label) for label in reserved_labels(model.message))
    labels = tuple(str(label) for label in part.labels)
    if not labels:
        raise ModelError(f"{name}: is not a classifier that learns labels; compare classifiers")
    if part.layer is None:
        engine: Engine = "task" if part.owners is None else "graph"
        return Contender(name, engine, labels, reserved, values, assumptions, file=model_bytes(model.message))
    engine = "span" if part.layer.optimizer == "sgdOptimizer" else "adam"
    return Contender(name, engine, labels, reserved, values, assumptions, part.layer)


NOT_PARAMETERS = ("optimizer", "weighting", "replay", "headScale", "baseSamples", "reservedShare")
ADAM = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}


def changed(item: Contender, values: Values) -> Contender:
    """The contender under other values: parameters by MLParameterKey, and NOT_PARAMETERS."""
    given = {key: value for key, value in values.items() if key not in NOT_PARAMETERS}
    if item.votes is not None:
        votes = replace(item.votes, uniform=values["weighting"] == "uniform")
        result = replace(item, parameters={**item.parameters, **given}, votes=votes)
        return (
            _with_samples(result, herded_samples(item, int(values["baseSamples"])))
            if "baseSamples" in values
            else result
        )
    if item.layer is None:  # several layers, which keep their optimizer
        return replace(item, parameters={**item.parameters, **given})
    adam = values["optimizer"] == "adam"
    layer = replace(changed_head(item, values), optimizer="adamOptimizer" if adam else "sgdOptimizer")
    parameters = {**item.parameters, **(ADAM if adam else {"momentum": 0.0}), **given}
    return replace(item, engine="adam" if adam else "span", layer=layer, parameters=parameters)


def changed_head(item: Contender, values: Values) -> LinearLayer:
    """The last layer with all logits times ``headScale``, and reserved labels that take ``reservedShare`` at most."""
    assert item.layer is not None
    scale = np.float32(values.get("headScale", 1.0))
    layer = replace(item.layer, weights=item.layer.weights * scale, bias=item.layer.bias * scale)
    if "reservedShare" not in values or values["reservedShare"] == reserved_share(item):
        return layer
    reserved = np.array([label in item.reserved for label in item.labels])
    bias = layer.bias.copy()
    bias[reserved] = bias[~reserved].mean() - offset_of(values["reservedShare"], reserved.sum(), (~reserved).sum())
    return replace(layer, bias=bias)


def reserved_share(item: Contender) -> float | None:
    """The most that the reserved labels of a network take of an answer, as marking has set their biases."""
    if not item.reserved or item.layer is None:
        return None
    reserved = np.array([label in item.reserved for label in item.labels])
    below = float(item.layer.bias[~reserved].mean() - item.layer.bias[reserved].mean())
    return float(reserved.sum() / (~reserved).sum() * np.exp(-below))


def herded_samples(item: Contender, per_label: int) -> Int64Array:
    """Numbers of the base samples that stay, those that stand best for their label, in their order."""
    assert item.samples is not None
    return np.sort(in_turn(item.samples, item.sample_labels, per_label, "herding"))


def _with_samples(item: Contender, kept: Int64Array) -> Contender:
    assert item.samples is not None
    labels = tuple(item.sample_labels[row] for row in kept)
    return replace(item, samples=item.samples[kept], sample_labels=labels, labels=tuple(dict.fromkeys(labels)))


def most_samples(item: Contender) -> int:
    """Of a label of a k-NN."""
    return max(Counter(item.sample_labels).values(), default=0)
