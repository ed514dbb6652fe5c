"""A summary, and a difference, of any message that can be parsed: plain JSON, printable lines, nothing else happens."""

import json
from collections.abc import Callable
from random import Random
from typing import TypeAlias

import pytest

from coreml_updatable.checking import check
from coreml_updatable.cli.commands.diff import _lines
from coreml_updatable.cli.commands.inspect import page
from coreml_updatable.errors import ModelError
from coreml_updatable.spec.diff.models import difference, sentence
from coreml_updatable.spec.io import parse_model
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.summary import summarize
from tests.broken_models import valid
from tests.runtime.mutations import any_layer, damaged_bytes, damaged_fields, layer_kinds

Build: TypeAlias = Callable[[], Model]
CASES = 60


def looked_at(model: Model, other: Model) -> None:
    summary = summarize(model)
    text = json.dumps(summary.to_json(), allow_nan=False)
    assert text.isascii()
    lines = list(page("model", summary, check(model)))
    assert all(line.isprintable() for line in lines)
    result = difference(other, model)
    assert json.dumps(result.to_json(), allow_nan=False)
    assert sentence(result)
    list(_lines(result))
    assert difference(model, model).same


@pytest.mark.parametrize("build", valid.ALL, ids=lambda build: build.__name__)
def test_damaged_fields(build: Build) -> None:
    for seed in range(CASES):
        looked_at(damaged_fields(build(), Random(seed)), build())


@pytest.mark.parametrize("build", valid.ALL, ids=lambda build: build.__name__)
def test_damaged_bytes(build: Build) -> None:
    content, other = build().SerializeToString(), valid.pipeline().SerializeToString()
    parsed = 0
    for seed in range(CASES):
        try:
            model = parse_model(damaged_bytes(content, other, Random(seed)), "a file")
        except ModelError:
            continue
        parsed += 1
        looked_at(model, build())
    assert parsed >= CASES // 20


def test_layers_of_every_kind_with_arbitrary_fields() -> None:
    before = any_layer("innerProduct", Random(0))
    for index, kind in enumerate(layer_kinds()):
        for seed in range(3):
            looked_at(any_layer(kind, Random(1000 * seed + index)), before)
