"""Names given while marking: features, labels, and layers that are misspelt."""

import numpy as np
import pytest

from coreml_updatable.building.unchanged import unchanged
from coreml_updatable.checking import check
from coreml_updatable.errors import ModelError
from coreml_updatable.marking import mark
from coreml_updatable.runtime import load
from coreml_updatable.spec.network import class_labels
from coreml_updatable.spec.writing import model_bytes
from tests.broken_models import valid
from tests.marking.networks import LABELS, converted
from tests.marking.test_mark import SETTINGS

WORDS = {"input": "picture", "label": "meal", "probabilities": "chances"}


@pytest.mark.parametrize("name", ["pooled linear, logits", "two layers", "convolutional head, flat"])
def test_named_features_break_no_rule_keep_the_answers_and_stay(name: str) -> None:
    before = converted(name)
    once = mark(before, SETTINGS, labels=LABELS, **WORDS)  # type: ignore[arg-type]
    assert check(once) == []
    assert [str(feature.name) for feature in once.description.trainingInput] == ["picture", "meal"]
    assert unchanged(before, once) < 1e-5
    again = mark(once, SETTINGS, labels=LABELS, **WORDS)  # type: ignore[arg-type]
    assert model_bytes(again) == model_bytes(mark(once, SETTINGS)) == model_bytes(once)


def test_a_classifier_is_renamed_without_giving_its_labels() -> None:
    before = valid.classifier()
    made = mark(before, SETTINGS, **WORDS)  # type: ignore[arg-type]
    assert check(made) == []
    row = np.random.default_rng(0).normal(size=(3, 8, 8))
    old, new = load(before).predict({"image": row}), load(made).predict({"picture": row})
    assert (new["meal"], new["chances"]) == (old["label"], old["probabilities"])


def test_labels_are_renamed_and_may_change_their_kind() -> None:
    strings = mark(converted("two layers"), SETTINGS, labels=("x", "y", "z"))
    numbers = mark(strings, SETTINGS, labels=(4, 5, 6))
    assert class_labels(numbers) == (4, 5, 6)
    assert check(numbers) == []
    row = {"image": np.linspace(-1, 1, 5, dtype=np.float32)[None]}
    old, new = load(strings).predict(row), load(numbers).predict(row)
    assert list(new["labelProbability"].values()) == list(old["labelProbability"].values())
    assert new["label"] == {"x": 4, "y": 5, "z": 6}[old["label"]]
    assert model_bytes(mark(numbers, SETTINGS, labels=("x", "y", "z"))) == model_bytes(strings)


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"label": "meal"}, "'meal' can name no output, the model answers no label; give its labels too"),
        ({"labels": LABELS, "label": "image"}, "features: 'image' is to name two of them, that name is taken"),
        ({"labels": LABELS, "label": "one", "probabilities": "one"}, "features: 'one' is to name two of them"),
        ({"labels": LABELS, "label": ""}, "features: an output is to be called '', expected a name"),
        ({"labels": LABELS, "probabilities": ""}, "features: an output is to be called '', expected a name"),
        ({"input": ""}, "'image' can not become '', that name is empty"),
        ({"layers": ["fc3"]}, r"no layer 'fc3'; expected names out of fc1, fc2, .*; did you mean 'fc2'\?"),
        ({"layers": ["nowhere"]}, "no layer 'nowhere'; expected names out of fc1, fc2, relu, .*softmax$"),
    ],
)
def test_impossible_names_are_refused_in_a_sentence(wishes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        mark(converted("two layers"), SETTINGS, **wishes)  # type: ignore[arg-type]


def test_a_network_with_two_inputs_is_not_guessed_at() -> None:
    model = valid.classifier()
    model.description.input.add(name="other").type.CopyFrom(model.description.input[0].type)
    with pytest.raises(ModelError, match=r"the model has 2 inputs \(image, other\), expected one to rename"):
        mark(model, SETTINGS, input="picture")


def test_a_classifier_does_not_take_one_name_for_two() -> None:
    with pytest.raises(ModelError, match="features: 'one' is to name two of them"):
        mark(valid.classifier(), SETTINGS, label="one", probabilities="one")
