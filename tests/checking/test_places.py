"""Every place that a problem names is there: the layer of that number and name, the member, the feature."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.protobuf.message import Message

from coreml_updatable.checking import check
from coreml_updatable.spec.messages import Model
from tests.broken_models.breakers import BREAKERS

CASES = [pytest.param(build, id=f"{rule}-{build.__name__}") for rule, row in BREAKERS.items() for build in row]
LISTED = re.compile(r"(\w+)\[(\d+)\](?: '([^']*)')?")
FEATURE = re.compile(r"\b(input|output|trainingInput|state) '([^']*)'")


def within(message: Any) -> Iterator[Any]:
    """``message`` and every message in it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        for inner in value if field.is_repeated else [value]:
            yield from within(inner)


def listed(model: Message, field: str, number: int, name: str | None) -> bool:
    """Whether some message of the model has a list ``field``, with a member of this number that is called ``name``."""
    for message in within(model):
        if field not in message.DESCRIPTOR.fields_by_name or not message.DESCRIPTOR.fields_by_name[field].is_repeated:
            continue
        members = getattr(message, field)
        if number < len(members) and (name is None or name in (getattr(members[number], "name", ""), *_names(message))):
            return True
    return False


def _names(message: Any) -> list[str]:
    return list(message.names) if "names" in message.DESCRIPTOR.fields_by_name else []


@pytest.mark.parametrize("build", CASES)
def test_a_place_is_one_of_the_model(build: Callable[[], Model]) -> None:
    model = build()
    features = {
        (field, str(feature.name))
        for message in within(model)
        if message.DESCRIPTOR.name == "ModelDescription"
        for field in ("input", "output", "trainingInput", "state")
        for feature in getattr(message, field)
    }
    for problem in check(model):
        where = problem.where
        for field, number, name in LISTED.findall(where):
            if field == "floatSamples":
                samples = model.kNearestNeighborsClassifier.nearestNeighborsIndex.floatSamples
                assert int(number) < len(samples)
            elif field == "sparseSupportVectors":
                assert field in str(model)
            else:
                stated = name if f"[{number}] '" in where else None
                assert listed(model, field, int(number), stated), where
        for field, name in FEATURE.findall(where):
            assert (field, name) in features or f'"{name}"' in str(model), where  # or a field says so
