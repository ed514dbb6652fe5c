"""What changed in meaning between two models; how their bytes are laid out does not count."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.feature_changes import description_changes, label_changes
from coreml_updatable.spec.field_changes import Change, field_changes
from coreml_updatable.spec.layer_changes import LayerChanges, layer_changes
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import class_labels, holds_program, is_network, is_pipeline, network_of, pipeline_of
from coreml_updatable.spec.parameters import Parameter, describe_parameter, network_parameters, parameter
from coreml_updatable.spec.sample_changes import SampleChanges, sample_changes

_NEIGHBORS = "kNearestNeighborsClassifier"
_OF_NETWORKS = ("layers", "updateParams", "stringClassLabels", "int64ClassLabels")
_OF_NEIGHBORS = ("nearestNeighborsIndex", "numberOfNeighbors", "stringClassLabels", "int64ClassLabels")
_OF_UPDATES = ("optimizer", "epochs", "shuffle", "seed")  # shown as parameters, and the optimizer's kind


@dataclass(frozen=True)
class Difference:
    """``settings``: everything else of the model itself: its kind and version, shape mappings, loss, optimizer, index.

    ``parameters``, ``labels``, ``description`` and ``settings`` hold values before and after; ``members`` the
    differences of a pipeline's models, those that are in one pipeline only under ``settings``.
    """

    parameters: tuple[Change, ...] = ()
    labels: tuple[Change, ...] = ()
    description: tuple[Change, ...] = ()
    settings: tuple[Change, ...] = ()
    layers: LayerChanges = field(default_factory=LayerChanges)
    samples: SampleChanges | None = None
    members: tuple[tuple[str, "Difference"], ...] = ()

    @property
    def same(self) -> bool:
        """Whether both models mean the same; weights may be stored otherwise if every value is the same."""
        own = (self.parameters, self.labels, self.description, self.settings, self.layers.added, self.layers.removed)
        return (
            not any(own)
            and not self.layers.reordered
            and self.samples is None
            and all(
                not layer.settings and all(w.kind == "stored" for w in layer.weights) for layer in self.layers.changed
            )
            and all(member.same for _, member in self.members)
        )

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists, strings and numbers."""
        return asdict(self)


Members: TypeAlias = tuple[tuple[str, Difference], ...]


def difference(before: Model, after: Model) -> Difference:
    """Compare two models. Features, layers and members are matched by name, weights by value.

    ModelError where both hold ML programs: their weights lie in files of their own, which are not read.
    """
    if holds_program(before) and holds_program(after):
        raise ModelError(
            "diff: both models hold ML programs, expected networks; convert with convert_to='neuralnetwork'"
        )
    if before.SerializeToString(deterministic=True) == after.SerializeToString(deterministic=True):
        return Difference()
    kind, kind_after = str(before.WhichOneof("Type") or ""), str(after.WhichOneof("Type") or "")
    description, outer = tuple(description_changes(before, after)), list(_outer(before, after, kind, kind_after))
    if is_network(before) and is_network(after):
        return _networks(before, after, description, outer)
    if is_pipeline(before) and is_pipeline(after):
        surplus, members = _members(before, after)
        return Difference(description=description, settings=(*outer, *surplus), members=members)
    if kind != kind_after or not kind:
        return Difference(description=description, settings=tuple(outer))
    one, other = getattr(before, kind), getattr(after, kind)
    if kind != _NEIGHBORS:
        return Difference(description=description, settings=(*outer, *field_changes(one, other)))
    index = (one.nearestNeighborsIndex, other.nearestNeighborsIndex)
    outer += [*field_changes(one, other, skip=_OF_NEIGHBORS), *field_changes(*index, skip=("floatSamples",))]
    neighbors = [(parameter("numberOfNeighbors", message.numberOfNeighbors),) for message in (one, other)]
    return Difference(
        parameters=tuple(_parameters(*neighbors)),
        description=description,
        settings=tuple(outer),
        samples=sample_changes(one, other),
    )


def _outer(before: Model, after: Model, kind: str, kind_after: str) -> Iterator[Change]:
    if kind != kind_after:
        yield Change("kind", kind, kind_after)
    yield from field_changes(before, after, skip=(kind, kind_after, "description"))


def _networks(before: Model, after: Model, description: tuple[Change, ...], settings: list[Change]) -> Difference:
    one, other = network_of(before), network_of(after)
    in_one_only = {each.name for each in one.DESCRIPTOR.fields} - {each.name for each in other.DESCRIPTOR.fields}
    settings += field_changes(one, other, skip={*_OF_NETWORKS, *in_one_only})
    optimizers = [str(each.updateParams.optimizer.WhichOneof("OptimizerType") or "") for each in (one, other)]
    if optimizers[0] != optimizers[1]:
        settings.append(Change("optimizer", *optimizers))
    settings += field_changes(one.updateParams, other.updateParams, skip=_OF_UPDATES)
    return Difference(
        parameters=tuple(_parameters(network_parameters(one), network_parameters(other))),
        labels=tuple(label_changes(class_labels(before), class_labels(after))),
        description=description,
        settings=tuple(settings),
        layers=layer_changes(one, other),
    )


def _parameters(before: Sequence[Parameter], after: Sequence[Parameter]) -> Iterator[Change]:
    old, new = ({each.name: describe_parameter(each) for each in parameters} for parameters in (before, after))
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield Change(name, old.get(name, ""), new.get(name, ""))


def _members(before: Model, after: Model) -> tuple[list[Change], Members]:
    """Models of two pipelines: by position where there are as many, else by name."""
    old, new = pipeline_of(before), pipeline_of(after)
    if len(old.models) == len(new.models):
        pairs = [(number, number) for number in range(len(old.models))]
        return list(field_changes(old, new, skip=("models",))), tuple(_pairs(before, after, pairs))
    names = [list(_names(model)) for model in (before, after)]
    shared = [name for name in dict.fromkeys(names[0]) if name in names[1]]
    surplus = [Change(f"model {name}", "present", "") for name in names[0] if name not in shared]
    surplus += [Change(f"model {name}", "", "present") for name in names[1] if name not in shared]
    pairs = [(names[0].index(name), names[1].index(name)) for name in shared]
    counts = Change("models (count)", str(len(old.models)), str(len(new.models)))
    return [counts, *surplus], tuple(_pairs(before, after, pairs))


def _pairs(before: Model, after: Model, pairs: list[tuple[int, int]]) -> Iterator[tuple[str, Difference]]:
    names = list(_names(before))
    for one, other in pairs:
        yield names[one], difference(pipeline_of(before).models[one], pipeline_of(after).models[other])


def _names(model: Model) -> Iterator[str]:
    pipeline = pipeline_of(model)
    for number in range(len(pipeline.models)):
        yield str(pipeline.names[number]) if number < len(pipeline.names) else f"model{number}"
