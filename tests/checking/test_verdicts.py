"""What Apple's validator says of every sound model with one field changed: unset, at its boundary, flipped, doubled.

verdicts.json holds, for a model, the number of its edits (``tests.checking.edits``) and a bit for each: whether the
validator (its public sources, compiled) rejects it. Random models that it accepts are in text form; of "layers" only
the layer changes. "once" has one edit a model, "twice" two, drawn.
The third number has a bit for each edit that is left out: the validator ends with an assertion there, or it takes a
version below 1 for one.
"""

import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest
from google.protobuf import text_format

from coreml_updatable.checking import check
from coreml_updatable.spec.messages import Model, Model_pb2
from tests.broken_models import valid
from tests.broken_models.other_models import KINDS, other_model
from tests.checking.edits import Path as EditPath
from tests.checking.edits import edited, edited_twice
from tests.runtime.sound_models import sound_models

NOTED: dict[str, dict[str, dict[str, str]]] = json.loads(Path(__file__).with_name("verdicts.json").read_text())
MODELS: dict[str, Callable[[], Model]] = {
    **{build.__name__: build for build in valid.ALL},
    **{kind: partial(other_model, kind) for kind in KINDS},
}


def agree(models: Iterable[Model], noted: str) -> None:
    """The verdict on each of ``models`` is the noted one, where there is one."""
    count, rejected, left_out = noted.split(":")
    bits, without = int(rejected, 16), int(left_out, 16)
    wrong, index = {}, -1
    for index, model in enumerate(models):
        errors = [str(problem) for problem in check(model) if problem.severity == "error"]
        if bool(errors) != bool(bits >> index & 1) and not without >> index & 1:
            wrong[index] = errors
    assert index + 1 == int(count), "these are other edits than those that the validator was asked about"
    assert wrong == {}


def both(model: Model, noted: dict[str, str], within: EditPath = ()) -> None:
    agree(edited(model, within), noted["once"])
    agree(edited_twice(model, int(noted["twice"].partition(":")[0]), within), noted["twice"])


@pytest.mark.parametrize("name", MODELS)
def test_of_a_model(name: str) -> None:
    both(MODELS[name](), NOTED["models"][name])


@pytest.mark.parametrize("number", NOTED["networks"])
def test_of_a_network_of_many_layers(number: str) -> None:
    both(sound_models()[int(number)], NOTED["networks"][number])


@pytest.mark.parametrize("name", NOTED["others"])
def test_of_another_kind_of_model(name: str) -> None:
    noted = NOTED["others"][name]
    both(text_format.Parse(noted["model"], Model_pb2.Model()), noted)


@pytest.mark.parametrize("name", NOTED["layers"])
def test_of_a_layer(name: str) -> None:
    noted = NOTED["layers"][name]
    both(text_format.Parse(noted["model"], Model_pb2.Model()), noted, (("neuralNetwork", None), ("layers", 0)))
