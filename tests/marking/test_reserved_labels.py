"""Spare outputs: unseen until trained, learned by the simulated update, written down in the metadata."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coreml_updatable.checking import check
from coreml_updatable.converting.equivalence import unchanged
from coreml_updatable.converting.trial_rows import trial_rows
from coreml_updatable.errors import BuildError, ModelError
from coreml_updatable.marking import mark
from coreml_updatable.marking.head import write_weights
from coreml_updatable.marking.outputs import HIDDEN
from coreml_updatable.marking.settings import SGD, DoubleParameter, Int64Parameter, UpdateSettings
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import class_labels
from coreml_updatable.spec.reserved_labels import COUNT_KEY, LABELS_KEY, reserved_labels
from coreml_updatable.spec.summary import summarize
from coreml_updatable.updating import UpdateTask
from tests.broken_models import valid
from tests.marking.linear_models import glm, of_words
from tests.marking.networks import LABELS, NETWORKS, converted
from tests.marking.test_mark import SETTINGS

SPARE = tuple(f"user{index}" for index in range(7))
ROUNDING = 1 + 1e-5  # of 32-bit weights and exponentials


@pytest.mark.parametrize("name", NETWORKS)
def test_no_answer_changes_and_no_rule_breaks(name: str) -> None:
    without = mark(converted(name), SETTINGS, labels=LABELS)
    result = mark(converted(name), SETTINGS, labels=LABELS, reserved=7)
    assert check(result) == []
    assert class_labels(result) == LABELS + SPARE
    assert model_bytes(result) == model_bytes(mark(without, SETTINGS, reserved=7))
    rows = trial_rows(result, 3)
    for old, new in zip(load(without).predict(rows), load(result).predict(rows), strict=True):
        assert new["label"] == old["label"]
        for label in LABELS:
            assert abs(new["labelProbability"][label] - old["labelProbability"][label]) <= 1e-7
        assert sum(new["labelProbability"][label] for label in SPARE) <= HIDDEN * ROUNDING


def linear(weights: Any, bias: Any) -> Model:
    model = converted("one layer")
    (layer,) = [each for each in model.neuralNetwork.layers if each.HasField("innerProduct")]
    write_weights(layer, np.asarray(weights, np.float32), bias, 3)
    return model


@settings(max_examples=30)
@given(
    scale=st.floats(0.001, 30),
    reserved=st.integers(1, 100),
    biased=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_bound_holds_for_any_weights_and_any_input(scale: float, reserved: int, biased: bool, seed: int) -> None:
    generator = np.random.default_rng(seed)
    bias = generator.normal(0, scale, 3).astype(np.float32) if biased else None
    result = mark(linear(generator.normal(0, scale, (3, 5)), bias), SETTINGS, labels=LABELS, reserved=reserved)
    said = load(result).predict({"image": generator.normal(0, 10, (1, 5))})
    probabilities = list(said["labelProbability"].values())
    rounding = 1 + 1e-5 * (1 + 100 * scale)  # 32-bit logits of this size are off by that
    assert sum(probabilities[3:]) <= HIDDEN * rounding
    assert said["label"] in LABELS


def test_the_bound_is_met_where_all_logits_are_equal() -> None:
    result = mark(linear(np.ones((3, 5)), np.zeros(3, np.float32)), SETTINGS, labels=LABELS, reserved=4)
    said = load(result).predict({"image": np.ones((1, 5))})["labelProbability"]
    share = sum(said[f"user{index}"] for index in range(4))
    assert share == pytest.approx(HIDDEN, rel=1e-5)


def clusters(label_of: dict[int, str], seed: int, count: int) -> list[dict[str, Any]]:
    """Rows around four far points; each with the label of its point."""
    generator = np.random.default_rng(seed)
    corners = 4 * np.eye(5)[:4]
    return [
        {"image": (corners[kind] + generator.normal(0, 0.3, 5))[None].astype(np.float32), "label": label}
        for _ in range(count)
        for kind, label in label_of.items()
    ]


def right(model: Any, rows: list[dict[str, Any]]) -> float:
    answers = model.predict([{"image": row["image"]} for row in rows])
    return float(np.mean([answer["label"] == row["label"] for answer, row in zip(answers, rows, strict=True)]))


@pytest.mark.parametrize(("share", "reserved"), [(0.1, 2), (0.01, 7), (1e-3, 1000)])
def test_a_larger_share_changes_no_label_and_learns_from_less(share: float, reserved: int) -> None:
    generator = np.random.default_rng(0)
    plain = linear(generator.normal(size=(3, 5)), generator.normal(size=3).astype(np.float32))
    result = mark(plain, SETTINGS, labels=LABELS, reserved=reserved, reserved_share=share)
    assert unchanged(plain, result, share) < 1e-6
    rows = trial_rows(result, 30)
    without = load(mark(plain, SETTINGS, labels=LABELS)).predict(rows)
    assert [answer["label"] for answer in load(result).predict(rows)] == [answer["label"] for answer in without]
    with pytest.raises(
        BuildError, match=f"reserved labels have a probability of .*, expected at most {share / 1000:.2g}"
    ):
        unchanged(plain, result, share / 1000)
    row = {**rows[0], "label": "user0"}
    losses = [
        float(UpdateTask(model, [row], parameters={"epochs": 1, "miniBatchSize": 1}).resume().metrics["lossValue"])
        for model in (result, mark(plain, SETTINGS, labels=LABELS, reserved=reserved))
    ]
    assert losses[0] < losses[1] - 5  # nearer to its goal


def test_at_its_largest_share_among_many_classes_a_reserved_label_is_still_not_answered() -> None:
    many = [f"label {index}" for index in range(1000)]
    result = mark(linear(np.zeros((3, 5)), None), SETTINGS, labels=many, head="new")
    zero = mark(result, SETTINGS, reserved=1, reserved_share=0.1)
    said = load(zero).predict({"image": np.zeros((1, 5))})
    assert said["label"] != "user0"


@pytest.mark.parametrize("slot", ["user0", "user5"])
def test_a_trained_slot_answers_for_its_class_and_the_old_classes_stay(slot: str) -> None:
    learning = UpdateSettings(
        SGD(DoubleParameter(0.1), Int64Parameter(1), DoubleParameter(0.0)), Int64Parameter(10), seed=1
    )
    head = np.eye(5)[:3] * 2  # knows the first three points
    before = mark(linear(head, np.zeros(3, np.float32)), learning, labels=LABELS, reserved=7)
    known, new = clusters({0: "a", 1: "b", 2: "c"}, 1, 30), clusters({3: slot}, 2, 30)
    assert (right(load(before), known), right(load(before), new)) == (1.0, 0.0)
    task = UpdateTask(before, clusters({3: slot}, 3, 5))
    after = task.resume().model
    assert right(after, new) == 1.0
    assert right(after, known) == 1.0
    others = set(SPARE) - {slot}
    for answer in after.predict([{"image": row["image"]} for row in known + new]):
        assert sum(answer["labelProbability"][label] for label in others) < 1e-4


def test_the_contract_stands_in_the_metadata_and_inspect_shows_it() -> None:
    result = mark(converted("one layer"), SETTINGS, labels=LABELS, reserved=3)
    defined = dict(summarize(result).user_defined)
    assert (defined[COUNT_KEY], defined[LABELS_KEY]) == ("3", "user0,user1,user2")
    assert reserved_labels(result) == SPARE[:3]
    assert reserved_labels(mark(converted("one layer"), SETTINGS, labels=LABELS)) == ()


def test_more_can_be_added_and_none_taken_out() -> None:
    three = mark(converted("one layer"), SETTINGS, labels=LABELS, reserved=3)
    assert model_bytes(mark(three, SETTINGS, reserved=3)) == model_bytes(three) == model_bytes(mark(three, SETTINGS))
    assert model_bytes(mark(three, SETTINGS, labels=LABELS)) == model_bytes(three)
    five = mark(three, SETTINGS, reserved=5)
    assert reserved_labels(five) == SPARE[:5]
    rows = trial_rows(five, 10)
    for answer in load(five).predict(rows):
        assert sum(answer["labelProbability"][label] for label in SPARE[:5]) <= 2 * HIDDEN
    with pytest.raises(ModelError, match="reserved: found 2, expected 3 to 1000, because the model already has"):
        mark(three, SETTINGS, reserved=2)


def test_a_renamed_slot_is_reserved_no_longer() -> None:
    three = mark(converted("one layer"), SETTINGS, labels=LABELS, reserved=3)
    named = mark(three, SETTINGS, labels=(*LABELS, "soup", "user1", "user2"))
    assert reserved_labels(named) == ("user1", "user2")
    assert dict(named.description.metadata.userDefined)[COUNT_KEY] == "2"
    assert reserved_labels(mark(named, SETTINGS, reserved=4)) == ("user1", "user2", "user0", "user3")
    others = mark(three, SETTINGS, labels=("x", "y", "z"))
    assert class_labels(others) == ("x", "y", "z", *SPARE[:3])


def test_whole_numbers_go_on_counting() -> None:
    result = mark(converted("one layer"), SETTINGS, labels=(1, 2, 30), reserved=2)
    assert class_labels(result) == (1, 2, 30, 31, 32)
    assert reserved_labels(result) == (31, 32)
    assert check(result) == []
    with pytest.raises(ModelError, match="reserved: there are no integers after the label 9223372036854775807"):
        mark(converted("one layer"), SETTINGS, labels=(1, 2, 2**63 - 1), reserved=1)


def test_declared_logits_grow_too() -> None:
    model = valid.classifier()
    logits = model.description.output.add(name="fc")
    logits.type.multiArrayType.shape.append(3)
    logits.type.multiArrayType.dataType = logits.type.multiArrayType.FLOAT32
    result = mark(model, SETTINGS, reserved=2)
    assert check(result) == []
    assert load(result).predict({"image": np.ones((3, 8, 8))})["fc"].shape == (5,)


def test_a_linear_classifier_at_the_end_of_a_pipeline() -> None:
    generator = np.random.default_rng(0)
    last = glm(("spam", "ham"), generator.normal(size=(1, 3)), [0.1])
    result = mark(of_words(["free", "lunch", "meeting"], last, ["spam", "ham"]), SETTINGS, reserved=2)
    assert check(result) == []
    assert reserved_labels(result) == ("user0", "user1")
    assert dict(result.description.metadata.userDefined)[COUNT_KEY] == "2"
    assert model_bytes(mark(result, SETTINGS, reserved=2)) == model_bytes(result)
    said = load(result).predict({"words": {"free": 2.0, "lunch": 1.0}})["classProbability"]
    assert said["user0"] + said["user1"] <= HIDDEN * ROUNDING
    slow = {"epochs": 10, "learningRate": 1.0, "miniBatchSize": 1}
    task = UpdateTask(result, [{"words": {"meeting": 3.0}, "class": "user1"}], parameters=slow)
    assert task.resume().model.predict({"words": {"meeting": 2.5}})["class"] == "user1"


def shared() -> Model:
    model = valid.classifier()
    reader = model.neuralNetworkClassifier.layers.add(name="other", input=["fc"], output=["other"])
    reader.activation.ReLU.SetInParent()
    return model


def activated() -> Model:
    model = valid.classifier()
    softmax = valid.layer(model, "softmax")
    softmax.input[0] = "relu2"
    added = valid.layer(model, "relu")
    copy = type(added)()
    copy.CopyFrom(added)
    copy.name, copy.input[:], copy.output[:] = "relu2", ["fc"], ["relu2"]
    valid.insert_layer(model.neuralNetworkClassifier, 4, copy)
    return model


@pytest.mark.parametrize(
    ("model", "wishes", "sentence"),
    [
        (
            converted("one layer"),
            {"reserved": 2},
            "reserved: the model has no labels, expected a classifier; give labels",
        ),
        (valid.classifier(), {"reserved": -1}, "reserved: found -1, expected 0 or more"),
        (
            valid.classifier(),
            {"reserved": 1, "reserved_share": 0.2},
            "reserved_share: found 0.2, expected above 0 and at most",
        ),
        (
            valid.classifier(),
            {"reserved": 1, "reserved_share": float("nan")},
            "reserved_share: found nan, expected above 0",
        ),
        (valid.classifier(), {"reserved": 1001}, "reserved: found 1001, expected 0 to 1000; choose another number"),
        (
            valid.classifier(),
            {"labels": ("a", "user3", "c"), "reserved": 5},
            "reserved: 'user3' is already a label, but user0 to user4 must be free; rename it with labels",
        ),
        (valid.classifier(), {"layers": ["conv"], "reserved": 2}, r"'fc': gets new outputs, .*name it"),
        (shared(), {"reserved": 2}, r"layers\[3\] 'fc': 2 layers read its output, expected 1"),
        (activated(), {"reserved": 2}, r"'relu2': is an activation, expected only pooling and flattening"),
    ],
)
def test_slots_that_cannot_be_are_refused_in_a_sentence(model: Model, wishes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        mark(model, SETTINGS, **wishes)


@pytest.mark.parametrize("kind", ["a deconvolution", "a convolution in groups"])
def test_a_head_of_another_kind_is_refused(kind: str) -> None:
    model = mark(converted("convolutional head"), SETTINGS, labels=LABELS)
    head = [layer for layer in model.neuralNetworkClassifier.layers if layer.HasField("convolution")][-1].convolution
    if kind == "a deconvolution":
        head.isDeconvolution = True
    else:
        head.nGroups = 2
    with pytest.raises(ModelError, match=f"is {kind}, expected a plain one"):
        mark(model, SETTINGS, reserved=2)
