"""Rules for pipelines; every member is also checked by the rules for its own type."""

from collections.abc import Iterator

from coreml_updatable.checking.graph import duplicates
from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.features import equal_types
from coreml_updatable.spec.messages import FeatureDescription, Model
from coreml_updatable.spec.network import pipeline_of


def member_place(model: Model, index: int) -> str:
    names = pipeline_of(model).names
    return f"models[{index}] '{names[index]}'" if index < len(names) else f"models[{index}]"


def some_member(model: Model) -> Iterator[Finding]:
    """A pipeline contains at least one model."""
    if not pipeline_of(model).models:
        yield Finding("pipeline", "holds no model", "at least one")


def members_fed(model: Model) -> Iterator[Finding]:
    """Every input of a member is an input of the pipeline or an output of an earlier member, with the same type."""
    known = {str(feature.name): feature for feature in model.description.input}
    for index, member in enumerate(pipeline_of(model).models):
        for feature in member.description.input:
            yield from _same(f"{member_place(model, index)}: input '{feature.name}'", feature, known)
        known.update({str(feature.name): feature for feature in member.description.output})


def outputs_made(model: Model) -> Iterator[Finding]:
    """Every output of the pipeline is one of its inputs or an output of a member, with the same type."""
    members = pipeline_of(model).models
    if not members:
        return
    known = {str(feature.name): feature for feature in model.description.input}
    for member in members:
        known.update({str(feature.name): feature for feature in member.description.output})
    for feature in model.description.output:
        yield from _same(f"output '{feature.name}'", feature, known)


def last_updatable(model: Model) -> Iterator[Finding]:
    """The last member of an updatable pipeline is updatable."""
    members = pipeline_of(model).models
    if model.isUpdatable and members and not members[-1].isUpdatable:
        where = member_place(model, len(members) - 1)
        yield Finding(where, "is not updatable", "the last member of an updatable pipeline to be updatable")


def only_last_updatable(model: Model) -> Iterator[Finding]:
    """No other member of an updatable pipeline is updatable."""
    if model.isUpdatable:
        for index, member in enumerate(pipeline_of(model).models[:-1]):
            if member.isUpdatable:
                yield Finding(member_place(model, index), "is updatable", "only the last member to be updatable")


def none_updatable(model: Model) -> Iterator[Finding]:
    """No member of a pipeline that is not updatable is updatable."""
    if not model.isUpdatable:
        for index, member in enumerate(pipeline_of(model).models):
            if member.isUpdatable:
                yield Finding(member_place(model, index), "is updatable, but the pipeline is not", "both or neither")


def member_names(model: Model) -> Iterator[Finding]:
    """If members are named, each has a unique name."""
    pipeline = pipeline_of(model)
    names = [str(name) for name in pipeline.names]
    if names and len(names) != len(pipeline.models):
        yield Finding(
            "names",
            f"{len(names)} for {len(pipeline.models)} models",
            "one name per member",
            "name every member or none",
        )
    for name in duplicates(names):
        yield Finding("names", f"{names.count(name)} members are named '{name}'", "each name once", "rename them")


def _same(where: str, feature: FeatureDescription, known: dict[str, FeatureDescription]) -> Iterator[Finding]:
    origin = known.get(str(feature.name))
    if origin is None:
        yield Finding(where, "has no source", "an input or an earlier output with that name", "rename it")
    elif not equal_types(origin, feature):
        yield Finding(where, "has a different type than its source", "the same type", "copy the description")
