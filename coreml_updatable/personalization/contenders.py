"""What a model brings into a comparison: the part of it that learns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from coreml_updatable.data.inputs import Float32Array, Int64Array
from coreml_updatable.errors import ModelError
from coreml_updatable.personalization.shared_neighbors import Votes
from coreml_updatable.runtime import RunnableModel
from coreml_updatable.runtime.neighbors.classifier import NearestNeighborsModel
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.reserved_labels import reserved_labels
from coreml_updatable.updating import UpdateTask
from coreml_updatable.updating.assumptions import Assumptions, trained_under
from coreml_updatable.updating.task import LearningPart, LinearLayer

Engine: TypeAlias = Literal["span", "adam", "graph", "neighbors", "task"]
Told: TypeAlias = Callable[[float, str], None]


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
