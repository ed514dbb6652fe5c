"""Names given while marking: features, labels, and layers that are misspelt."""

import re

import numpy as np
import pytest

from coreml_updatable.checking import check
from coreml_updatable.converting.equivalence import unchanged
from coreml_updatable.errors import ModelError
from coreml_updatable.marking import mark
from coreml_updatable.marking.names import layer_numbers
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.network import class_labels, network_of
from tests.broken_models import valid
from tests.marking import layered
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
    result = mark(before, SETTINGS, **WORDS)  # type: ignore[arg-type]
    assert check(result) == []
    row = np.random.default_rng(0).normal(size=(3, 8, 8))
    old, new = load(before).predict({"image": row}), load(result).predict({"picture": row})
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
        ({"label": "meal"}, "'meal' cannot name an output, because the model has no label; give its labels"),
        ({"labels": LABELS, "label": "image"}, "features: 'image' is given for two features"),
        ({"labels": LABELS, "label": "one", "probabilities": "one"}, "features: 'one' is given for two features"),
        ({"labels": LABELS, "label": ""}, "features: the name of an output is empty"),
        ({"labels": LABELS, "probabilities": ""}, "features: the name of an output is empty"),
        ({"input": ""}, "'image' cannot become '', because that name is empty"),
        ({"layers": ["fc3"]}, r"no layer 'fc3'; expected names from fc1, fc2, .*; did you mean 'fc2'\?"),
        (
            {"layers": ["nowhere"]},
            "names from fc1, fc2, relu, .*softmax, or, by their names in the file, .*linear_1$",
        ),
    ],
)
def test_impossible_names_are_refused_in_a_sentence(wishes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        mark(converted("two layers"), SETTINGS, **wishes)  # type: ignore[arg-type]


def test_a_misspelt_layer_is_told_the_names_of_its_file_too() -> None:
    model = valid.classifier()
    for index, layer in enumerate(model.neuralNetworkClassifier.layers):
        layer.name = f"input.{index}"  # as tracers call them
    theirs = ", ".join(f"input.{position}" for position in range(len(model.neuralNetworkClassifier.layers)))
    result = [str(layer.name) for layer in network_of(mark(model, SETTINGS)).layers]
    ours = ", ".join(sorted(result))
    sentence = (
        f"no layer 'input.33'; expected names from {ours}, or, by their names in the file, {theirs}; did you mean '"
    )
    with pytest.raises(ModelError, match=re.escape(sentence)):
        mark(model, SETTINGS, layers=["input.33"])
    head = next(position for position, name in enumerate(result) if name.startswith("fc"))
    kept = mark(model, SETTINGS, layers=[f"input.{head}"])
    assert [str(layer.name) for layer in network_of(kept).layers if layer.isUpdatable] == [f"input.{head}"]


def test_a_name_that_the_file_has_is_not_denied() -> None:
    model = valid.classifier()
    layers = model.neuralNetworkClassifier.layers
    layers[0].name = layers[1].name = "x"
    layers[2].name = ""
    with pytest.raises(ModelError, match="layers: 2 layers of the file are named 'x'; expected names from ") as caught:
        mark(model, SETTINGS, layers=["x"])
    assert ", ," not in str(caught.value)
    folded = layered.classifier(layered.bias, layered.scale, layered.linear)
    names = [str(layer.name) for layer in network_of(folded).layers]
    kept = [str(layer.name) for layer in network_of(mark(folded, SETTINGS)).layers]
    gone = next(name for name in names if name not in kept)
    with pytest.raises(ModelError, match=f"the repair folded the layer '{gone}' into another layer or removed it"):
        mark(folded, SETTINGS, layers=[gone])


def test_of_many_layers_twenty_are_told() -> None:
    network = network_of(mark(converted("two layers"), SETTINGS))
    count = len(network.layers)
    for index in range(30):
        network.layers.add(name=f"more{index:02}")
    sentence = rf"from fc1, fc2, more00, .*, more17 and {count + 10} more; did you mean 'more29'\?$"
    with pytest.raises(ModelError, match=sentence):
        layer_numbers(network, ["fc1", "more290"])


def test_a_network_with_two_inputs_is_not_guessed_at() -> None:
    model = valid.classifier()
    model.description.input.add(name="other").type.CopyFrom(model.description.input[0].type)
    with pytest.raises(ModelError, match=r"the model has 2 inputs \(image, other\), expected 1"):
        mark(model, SETTINGS, input="picture")


def test_a_classifier_does_not_take_one_name_for_two() -> None:
    with pytest.raises(ModelError, match="features: 'one' is given for two features"):
        mark(valid.classifier(), SETTINGS, label="one", probabilities="one")
