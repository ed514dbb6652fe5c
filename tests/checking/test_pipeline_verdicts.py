"""What Apple's validator (its public sources, compiled) says of pipelines with odd members and odd orders."""

from collections.abc import Iterator

from coreml_updatable.checking import check
from coreml_updatable.spec.messages import Model, Model_pb2
from tests.broken_models import valid
from tests.broken_models.other_models import KINDS, other_model

LAST = {"network": valid.classifier, "k-NN": valid.nearest_neighbors, "regressor": valid.regressor}
COUNT = 867
# A bit for each of ``models``.
ACCEPTED = int(
    "61080423842810896d6d04a200800096d6d04a5b5b412e10a04225b5b41296d6d04a008800096d6d04b842810896d6d04bff"
    "ffffe80030a825b5b41296d6d04a000884096d6d04a000c2a0e10a0422000c2a080022102000c2a096d6d04b842810880020"
    "0125b5b412db6db6d",
    16,
)


def pipeline(kind: str, updatable: bool, *members: Model) -> Model:
    """Its interface has every input and output of ``members`` once; what else is described is of the last one."""
    result = Model_pb2.Model(specificationVersion=8, isUpdatable=updatable)
    result.description.CopyFrom(members[-1].description)
    for member in members[:-1]:
        for mine, its in (
            (result.description.input, member.description.input),
            (result.description.output, member.description.output),
        ):
            there = {feature.name for feature in mine}
            mine.extend(feature for feature in its if feature.name not in there)
    inner = result.pipeline if kind == "pipeline" else getattr(result, kind).pipeline
    inner.models.extend(members)
    return result


def models() -> Iterator[tuple[str, Model]]:
    for kind in ("pipeline", "pipelineClassifier", "pipelineRegressor"):
        for name, build in LAST.items():
            for updatable in (True, False):
                yield f"{kind} of a {name}, {updatable}", pipeline(kind, updatable, build())
            yield f"{kind} of a {name} within another", pipeline(kind, True, pipeline(kind, True, build()))
    last = valid.nearest_neighbors()
    for first in KINDS:
        yield f"{first} before a k-NN", pipeline("pipeline", True, other_model(first), last)
        yield f"{first} behind a k-NN", pipeline("pipeline", True, last, other_model(first))
        for second in KINDS:
            yield f"{first} before {second}", pipeline("pipeline", False, other_model(first), other_model(second))


def test_verdicts() -> None:
    wrong, index = [], -1
    for index, (name, model) in enumerate(models()):
        sound = all(problem.severity != "error" for problem in check(model))
        if sound != bool(ACCEPTED >> index & 1):
            wrong.append(name)
    assert index + 1 == COUNT
    assert wrong == []
