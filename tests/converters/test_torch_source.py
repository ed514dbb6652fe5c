"""The converter's own fields: one sentence for the first that is wrong."""

from importlib import import_module
from typing import Any

import pytest

from coreml_updatable.errors import SourceError

read_source = import_module("coreml_updatable.converters.torch.source").read_source

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"factroy": "model.py:f"}, "unknown field `source.factroy` of the torch converter; did you mean `factory`?"),
    (
        {"factory": "model.py:f", "training": {"epoch": 3}},
        "unknown field `source.training.epoch` of the torch converter; did you mean `epochs`?",
    ),
    ({"factory": "model.py:f", "zzz": 1}, "unknown field `source.zzz` of the torch converter; the fields are "),
    ({}, "source has neither of factory and architecture, expected one of them"),
    ({"factory": "m.py:f", "architecture": "timm:x"}, "source has both of factory and architecture"),
    ({"factory": "model:f"}, "source.factory is 'model:f', expected \"file.py:function\"; correct it"),
    (
        {"architecture": "keras:x"},
        'source.architecture is \'keras:x\', expected "efficientnet_lite0", "torchvision:NAME" or "timm:NAME"',
    ),
    ({"factory": "model.py:f", "std": [0.2, 0.0]}, "source.std.1 is 0.0: input should be greater than 0; correct it"),
    ({"factory": "model.py:f", "mean": [float("nan")]}, "source.mean.0 is nan: input should be a finite number"),
    ({"factory": "model.py:f", "training": {"epochs": "3"}}, "source.training.epochs is '3': input should be a valid"),
    ({"factory": "model.py:f", "training": {"epochs": 0}}, "source.training.epochs is 0: input should be greater"),
    ({"factory": "model.py:f", "training": {"augment": "all"}}, "source.training.augment is 'all': input should be"),
]


@pytest.mark.parametrize(("fields", "sentence"), WRONG)
def test_wrong_fields(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_source(fields)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_whole_numbers_stand_for_real_ones() -> None:
    source = read_source({"factory": "model.py:f", "mean": [0], "std": [1], "training": {"weight_decay": 0}})
    assert source.mean == (0.0,)
    assert source.training.weight_decay == 0
