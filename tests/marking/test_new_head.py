"""A new head: PyTorch's bounds, the wished outputs, the same extractor, the same bytes each time."""

from typing import Any

import numpy as np
import pytest

from coreml_updatable.checking import check
from coreml_updatable.converting.trial_rows import trial_rows
from coreml_updatable.errors import ModelError
from coreml_updatable.marking import extractor, mark
from coreml_updatable.marking.settings import UpdateSettings
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.network import class_labels, network_of
from coreml_updatable.spec.reserved_labels import reserved_labels
from coreml_updatable.spec.weights import packed_floats
from tests.broken_models import valid
from tests.marking.networks import LABELS, NETWORKS, converted
from tests.marking.test_lstm import recurrent_classifier
from tests.marking.test_mark import SETTINGS

MEALS = ("salad", "soup", "burger", "fries", "pizza")


@pytest.mark.parametrize("name", NETWORKS)
def test_other_labels_on_the_same_extractor(name: str) -> None:
    kept = mark(converted(name), SETTINGS, labels=LABELS)
    result = mark(converted(name), SETTINGS, labels=MEALS, head="new")
    assert check(result) == []
    assert class_labels(result) == MEALS
    assert model_bytes(mark(result, SETTINGS, labels=MEALS, head="new")) == model_bytes(result)
    assert model_bytes(mark(result, SETTINGS, labels=MEALS)) == model_bytes(result)
    assert model_bytes(mark(kept, SETTINGS, labels=MEALS, head="new")) == model_bytes(result)
    if name != "two linear layers in a row":  # there the extractor ends before the first of them
        assert model_bytes(extractor(result)) == model_bytes(extractor(kept))


def test_a_new_head_answers_its_labels() -> None:
    result = mark(converted("two layers"), SETTINGS, labels=MEALS, head="new")
    answer = load(result).predict(trial_rows(result, 1)[0])
    assert set(answer["labelProbability"]) == set(MEALS)


def test_weights_are_within_the_bounds_of_pytorch_and_fill_them() -> None:
    result = mark(valid.classifier(), SETTINGS, head="new", last=2)
    for name, kind, reads in (("conv", "convolution", 27), ("fc", "innerProduct", 144)):
        params = getattr(valid.layer(result, name), kind)
        for values in (packed_floats(params.weights), packed_floats(params.bias)):
            assert np.abs(values).max() <= 1 / np.sqrt(reads)
        weights = packed_floats(params.weights)
        assert np.abs(weights).max() > 0.9 / np.sqrt(reads)
        assert weights.std() == pytest.approx(1 / np.sqrt(3 * reads), rel=0.15)  # of a uniform distribution


def test_a_recurrent_layer_begins_anew_as_pytorch_begins_it() -> None:
    before = recurrent_classifier()
    result = mark(before, SETTINGS, last=2, head="new", labels=MEALS)
    assert {problem.rule for problem in check(result)} == {"L2048"}  # its states are outputs
    old, new = (valid.layer(model, "lstm").uniDirectionalLSTM.weightParams for model in (before, result))
    for field, weights in new.ListFields():
        if field.message_type is None:
            continue
        values = packed_floats(weights)
        assert values.shape == packed_floats(getattr(old, field.name)).shape
        assert 0.2 < np.abs(values).max() <= 1 / np.sqrt(4)
    assert model_bytes(mark(result, SETTINGS, last=2, head="new", labels=MEALS)) == model_bytes(result)


def test_only_the_trained_layers_begin_anew() -> None:
    result = mark(converted("two layers"), SETTINGS, labels=LABELS, head="new", layers=["fc1"])
    kept = mark(converted("two layers"), SETTINGS, labels=LABELS, layers=["fc1"])
    assert valid.layer(result, "fc2") == valid.layer(kept, "fc2")
    assert valid.layer(result, "fc1") != valid.layer(kept, "fc1")


def test_another_seed_another_head() -> None:
    def seeded(seed: int | None) -> bytes:
        settings = UpdateSettings(SETTINGS.optimizer, SETTINGS.epochs, seed=seed)
        result = mark(converted("one layer"), settings, labels=LABELS, head="new")
        return bytes(packed_floats(next(x for x in network_of(result).layers if x.isUpdatable).innerProduct.weights))

    assert seeded(1) == seeded(1)
    assert len({seeded(seed) for seed in (None, 1, 2, -1)}) == 4
    assert seeded(None) == seeded(0)


def test_labels_and_slots_of_a_new_head() -> None:
    seven = mark(converted("one layer"), SETTINGS, labels=LABELS, reserved=7)
    again = mark(seven, SETTINGS, head="new")
    assert class_labels(again) == class_labels(seven)
    assert reserved_labels(again) == reserved_labels(seven)
    shares = load(again).predict(trial_rows(again, 1)[0])["labelProbability"]
    assert sum(shares[label] for label in reserved_labels(again)) < 1e-7
    fewer = mark(seven, SETTINGS, head="new", labels=("x", "y"), reserved=1)
    assert class_labels(fewer) == ("x", "y", "user0")
    assert reserved_labels(mark(seven, SETTINGS, head="new", labels=LABELS)) == ()
    plain = mark(converted("one layer"), SETTINGS, head="new")
    assert class_labels(plain) == ()
    assert check(plain) == []


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"head": "fresh"}, "head: found 'fresh', expected 'keep' or 'new'"),
        ({"labels": MEALS}, "labels: found 5 for a network with 3 outputs"),
        ({"labels": MEALS, "head": "new", "layers": ["fc1"]}, "'fc2': gets new outputs"),
        ({"labels": ("a",), "head": "new"}, "labels: found .*, expected at least two"),
    ],
)
def test_heads_that_cannot_be_are_refused_in_a_sentence(wishes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        mark(converted("two layers"), SETTINGS, **wishes)
