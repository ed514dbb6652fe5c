"""Compare the meaning of two models; return values, and one sentence such as `only the head changed (fc)`.

How their bytes are laid out does not count.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.diff.layers import (
    FieldChange,
    LayerChange,
    LayerChanges,
    field_changes,
    layer_changes,
    shortened,
)
from coreml_updatable.spec.features import describe_type
from coreml_updatable.spec.messages import FeatureDescription, KNearestNeighborsClassifier, Model
from coreml_updatable.spec.network import class_labels, holds_program, is_network, is_pipeline, network_of, pipeline_of
from coreml_updatable.spec.parameters import Parameter, describe_parameter, network_parameters, parameter
from coreml_updatable.spec.samples import sample_labels
from coreml_updatable.spec.storage import float_bytes

_SIDES = {"input": "input", "output": "output", "trainingInput": "training input", "state": "state"}
_SHOWN_LABELS = 8


def description_changes(before: Model, after: Model) -> Iterator[FieldChange]:
    """Features by name, then everything else that ``ModelDescription`` holds."""
    for name, side in _SIDES.items():
        yield from _features(getattr(before.description, name), getattr(after.description, name), side)
    yield from field_changes(before.description, after.description, skip=_SIDES)


def label_changes(before: Sequence[str | int], after: Sequence[str | int]) -> Iterator[FieldChange]:
    """Labels added and removed; else their order, which decides what an output means."""
    old, new = set(before), set(after)
    removed, added = [label for label in before if label not in new], [label for label in after if label not in old]
    if removed or added:
        yield FieldChange("labels", _shown(removed), _shown(added))
    if [label for label in before if label in new] != [label for label in after if label in old]:
        yield FieldChange("order of labels", _shown(before), _shown(after))


def _shown(labels: Sequence[str | int]) -> str:
    more = f", … ({len(labels)} in all)" if len(labels) > _SHOWN_LABELS else ""
    return shortened(", ".join(str(label) for label in labels[:_SHOWN_LABELS])) + more


def _features(
    before: Sequence[FeatureDescription], after: Sequence[FeatureDescription], side: str
) -> Iterator[FieldChange]:
    old, new = ({str(feature.name): feature for feature in features} for features in (before, after))
    for name in dict.fromkeys([*old, *new]):
        what = f"{side} {shortened(name)}"
        if name not in new:
            yield FieldChange(what, describe_type(old[name]), "")
        elif name not in old:
            yield FieldChange(what, "", describe_type(new[name]))
        else:
            yield from _feature(what, old[name], new[name])


def _feature(what: str, before: FeatureDescription, after: FeatureDescription) -> Iterator[FieldChange]:
    old, new = describe_type(before), describe_type(after)
    if old != new:
        yield FieldChange(what, old, new)
        yield from field_changes(before, after, skip=("name", "type"), prefix=f"{what}: ")
    else:
        yield from field_changes(before, after, skip=("name",), prefix=f"{what}: ")


@dataclass(frozen=True)
class SampleChange:
    label: str | int
    added: int
    removed: int


@dataclass(frozen=True)
class SampleChanges:
    """``reordered``: the same samples, in another order (it decides between neighbors at equal distances)."""

    before: int
    after: int
    labels: tuple[SampleChange, ...]
    reordered: bool


def sample_changes(before: KNearestNeighborsClassifier, after: KNearestNeighborsClassifier) -> SampleChanges | None:
    """Samples are the same when all their values and their labels are; None when nothing differs."""
    old, new = _samples(before), _samples(after)
    if old == new:
        return None
    had, has = Counter(old), Counter(new)
    added = Counter(label for label, _ in (has - had).elements())
    removed = Counter(label for label, _ in (had - has).elements())
    labels = tuple(SampleChange(label, added[label], removed[label]) for label in dict.fromkeys([*added, *removed]))
    return SampleChanges(len(old), len(new), labels, not labels)


def _samples(classifier: KNearestNeighborsClassifier) -> list[tuple[str | int, bytes]]:
    """Label and bytes of each sample; a sample without a label, or a label without a sample, counts as one too."""
    rows = [bytes(float_bytes(sample)) for sample in classifier.nearestNeighborsIndex.floatSamples]
    labels: list[str | int] = list(sample_labels(classifier))
    length = max(len(rows), len(labels))
    labels += [""] * (length - len(labels))
    return list(zip(labels, rows + [b""] * (length - len(rows)), strict=True))


_NEIGHBORS = "kNearestNeighborsClassifier"
_OF_NETWORKS = ("layers", "updateParams", "stringClassLabels", "int64ClassLabels")
_OF_NEIGHBORS = ("nearestNeighborsIndex", "numberOfNeighbors", "stringClassLabels", "int64ClassLabels")
_OF_UPDATES = ("optimizer", "epochs", "shuffle", "seed")  # shown as parameters, and the optimizer's kind


@dataclass(frozen=True)
class ModelDifference:
    """``settings``: everything else of the model itself: its kind and version, shape mappings, loss, optimizer, index.

    ``parameters``, ``labels``, ``description`` and ``settings`` hold values before and after; ``members`` the
    differences of a pipeline's models, those that are in one pipeline only under ``settings``.
    """

    parameters: tuple[FieldChange, ...] = ()
    labels: tuple[FieldChange, ...] = ()
    description: tuple[FieldChange, ...] = ()
    settings: tuple[FieldChange, ...] = ()
    layers: LayerChanges = field(default_factory=LayerChanges)
    samples: SampleChanges | None = None
    members: tuple[tuple[str, "ModelDifference"], ...] = ()

    @property
    def same(self) -> bool:
        """Return whether both models mean the same; equal weights may be stored differently."""
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


Members: TypeAlias = tuple[tuple[str, ModelDifference], ...]


def difference(before: Model, after: Model) -> ModelDifference:
    """Compare two models. Features, layers and members are matched by name, weights by value.

    ModelError where both hold ML programs: their weights lie in files of their own, which are not read.
    """
    if holds_program(before) and holds_program(after):
        raise ModelError(
            "diff: both models are ML programs, expected networks; convert with convert_to='neuralnetwork'"
        )
    if before.SerializeToString(deterministic=True) == after.SerializeToString(deterministic=True):
        return ModelDifference()
    kind, kind_after = str(before.WhichOneof("Type") or ""), str(after.WhichOneof("Type") or "")
    description, outer = tuple(description_changes(before, after)), list(_outer(before, after, kind, kind_after))
    if is_network(before) and is_network(after):
        return _networks(before, after, description, outer)
    if is_pipeline(before) and is_pipeline(after):
        surplus, members = _members(before, after)
        return ModelDifference(description=description, settings=(*outer, *surplus), members=members)
    if kind != kind_after or not kind:
        return ModelDifference(description=description, settings=tuple(outer))
    one, other = getattr(before, kind), getattr(after, kind)
    if kind != _NEIGHBORS:
        return ModelDifference(description=description, settings=(*outer, *field_changes(one, other)))
    index = (one.nearestNeighborsIndex, other.nearestNeighborsIndex)
    outer += [*field_changes(one, other, skip=_OF_NEIGHBORS), *field_changes(*index, skip=("floatSamples",))]
    neighbors = [(parameter("numberOfNeighbors", message.numberOfNeighbors),) for message in (one, other)]
    return ModelDifference(
        parameters=tuple(_parameters(*neighbors)),
        description=description,
        settings=tuple(outer),
        samples=sample_changes(one, other),
    )


def _outer(before: Model, after: Model, kind: str, kind_after: str) -> Iterator[FieldChange]:
    if kind != kind_after:
        yield FieldChange("kind", kind, kind_after)
    yield from field_changes(before, after, skip=(kind, kind_after, "description"))


def _networks(
    before: Model, after: Model, description: tuple[FieldChange, ...], settings: list[FieldChange]
) -> ModelDifference:
    one, other = network_of(before), network_of(after)
    in_one_only = {each.name for each in one.DESCRIPTOR.fields} - {each.name for each in other.DESCRIPTOR.fields}
    settings += field_changes(one, other, skip={*_OF_NETWORKS, *in_one_only})
    optimizers = [str(each.updateParams.optimizer.WhichOneof("OptimizerType") or "") for each in (one, other)]
    if optimizers[0] != optimizers[1]:
        settings.append(FieldChange("optimizer", *optimizers))
    settings += field_changes(one.updateParams, other.updateParams, skip=_OF_UPDATES)
    return ModelDifference(
        parameters=tuple(_parameters(network_parameters(one), network_parameters(other))),
        labels=tuple(label_changes(class_labels(before), class_labels(after))),
        description=description,
        settings=tuple(settings),
        layers=layer_changes(one, other),
    )


def _parameters(before: Sequence[Parameter], after: Sequence[Parameter]) -> Iterator[FieldChange]:
    old, new = ({each.name: describe_parameter(each) for each in parameters} for parameters in (before, after))
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield FieldChange(name, old.get(name, ""), new.get(name, ""))


def _members(before: Model, after: Model) -> tuple[list[FieldChange], Members]:
    """Models of two pipelines: by position where there are as many, else by name."""
    old, new = pipeline_of(before), pipeline_of(after)
    if len(old.models) == len(new.models):
        pairs = [(index, index) for index in range(len(old.models))]
        return list(field_changes(old, new, skip=("models",))), tuple(_pairs(before, after, pairs))
    names = [list(_names(model)) for model in (before, after)]
    shared = [name for name in dict.fromkeys(names[0]) if name in names[1]]
    surplus = [FieldChange(f"model {name}", "present", "") for name in names[0] if name not in shared]
    surplus += [FieldChange(f"model {name}", "", "present") for name in names[1] if name not in shared]
    pairs = [(names[0].index(name), names[1].index(name)) for name in shared]
    counts = FieldChange("models (count)", str(len(old.models)), str(len(new.models)))
    return [counts, *surplus], tuple(_pairs(before, after, pairs))


def _pairs(before: Model, after: Model, pairs: list[tuple[int, int]]) -> Iterator[tuple[str, ModelDifference]]:
    names = list(_names(before))
    for one, other in pairs:
        yield names[one], difference(pipeline_of(before).models[one], pipeline_of(after).models[other])


def _names(model: Model) -> Iterator[str]:
    pipeline = pipeline_of(model)
    for index in range(len(pipeline.models)):
        yield str(pipeline.names[index]) if index < len(pipeline.names) else f"model{index}"


_SHOWN_NAMES = 5


def sentence(difference: ModelDifference) -> str:
    """Summarize the changes in a few words; for pipelines, name the model that changed."""
    if difference.same:
        return f"no difference in meaning{_stored_otherwise(difference)}"
    result = list(_parts(difference, ""))
    if len(result) == 1:
        return f"only {result[0]} changed"
    return f"{', '.join(result[:-1])} and {result[-1]} changed"


def _parts(difference: ModelDifference, where: str) -> Iterator[str]:
    kinds = [change for change in difference.settings if change.what == "kind"]
    if kinds:
        yield f"the type of the model{where}"
    if len(difference.settings) > len(kinds):
        yield f"settings{where}"
    if difference.description:
        yield f"the description{where}"
    if difference.labels:
        yield f"the labels{where}"
    if difference.parameters:
        yield f"the parameters of the update{where}"
    yield from _layers(difference, where)
    if difference.samples is not None:
        yield f"the samples of the nearest neighbors{where}"
    for name, member in difference.members:
        yield from _parts(member, f" of '{name}'")


def _layers(difference: ModelDifference, where: str) -> Iterator[str]:
    layers = difference.layers
    if layers.added or layers.removed or layers.reordered:
        yield f"the layers{where}"
    settings = [layer.name for layer in layers.changed if layer.settings]
    if settings:
        yield f"settings of the layers {_listed(settings)}{where}"
    trained = [layer for layer in layers.changed if any(w.kind not in ("stored", "rounded") for w in layer.weights)]
    if trained and all(layer.updatable for layer in trained):
        yield f"the head ({_listed([layer.name for layer in trained])}){where}"
    elif trained:
        yield f"the weights of {_listed([layer.name for layer in trained])}{where}"
    rounded = [layer.name for layer in layers.changed if any(w.kind == "rounded" for w in layer.weights)]
    if rounded:
        yield f"the storage of the weights of {_listed(rounded)}{where} (with rounded values)"


def _stored_otherwise(difference: ModelDifference) -> str:
    count = sum(1 for layer in _all_changed(difference) if layer.weights)
    return f"; the weights of {count} layers are stored differently, with the same values" if count else ""


def _all_changed(difference: ModelDifference) -> Iterator[LayerChange]:
    yield from difference.layers.changed
    for _, member in difference.members:
        yield from _all_changed(member)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN_NAMES])
    return f"{shown} and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else shown
