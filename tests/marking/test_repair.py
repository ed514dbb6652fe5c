"""Repaired networks answer as the torch networks they come from, through layers that Core ML can train."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder

import coreml_updatable as cu
from coreml_updatable.checking import check
from coreml_updatable.errors import ModelError
from coreml_updatable.marking import as_classifier, repair_tail
from coreml_updatable.marking.tail import find_tail
from coreml_updatable.runtime import load
from coreml_updatable.runtime.assumptions import PredictionAssumptions
from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model, Model_pb2, copy_of
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.shapes import blob_shapes
from tests.marking.networks import LABELS, LOGITS, NETWORKS, TwoAnswers, convert, converted, network


def rows(name: str, count: int = 4) -> torch.Tensor:
    return torch.rand(count, *NETWORKS[name][1][1:], generator=torch.Generator().manual_seed(1))


def probabilities(name: str, given: torch.Tensor) -> np.ndarray:
    """What torch says, as probabilities [n, 3]."""
    with torch.no_grad():
        answer = network(name)(given)
    answer = answer.softmax(1) if name in LOGITS else answer.exp() if name == "log softmax" else answer
    return np.asarray(answer.reshape(len(given), -1).numpy())


def answers(model: Model, given: torch.Tensor) -> list[dict[str, np.ndarray]]:
    runnable = load(model)
    return [runnable.predict({"image": row[None].numpy()}) for row in given]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_repaired_plain_network_answers_as_torch_does(name: str) -> None:
    before = converted(name)
    after, _ = repair_tail(before)
    given = rows(name)
    output = str(before.description.output[0].name)
    said = np.stack([answer[output].reshape(-1) for answer in answers(after, given)])
    expected = np.log(probabilities(name, given)) if name == "log softmax" else probabilities(name, given)
    np.testing.assert_allclose(said, expected, atol=2e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_repaired_classifier_answers_as_torch_does(name: str) -> None:
    after, _ = repair_tail(as_classifier(converted(name), LABELS))
    given = rows(name)
    expected = probabilities(name, given)
    for answer, row in zip(answers(after, given), expected, strict=True):
        assert answer["label"] == LABELS[row.argmax()]
        said = [answer["labelProbability"][label] for label in LABELS]
        np.testing.assert_allclose(said, row, atol=2e-6)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in LOGITS])
def test_a_plain_network_keeps_the_shape_of_its_output(name: str) -> None:
    before = converted(name)
    after, _ = repair_tail(before)
    output = str(before.description.output[0].name)
    assert blob_shapes(after)[output] == blob_shapes(before)[output]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_tail_is_at_rank_4_and_ends_in_a_softmax(name: str) -> None:
    after, _ = repair_tail(as_classifier(converted(name), LABELS))
    layers, shapes = network_of(after).layers, blob_shapes(after)
    tail = find_tail(after)
    assert layer_kind(layers[tail.layers[-1]]) == "softmax"
    assert all(len(shapes[str(layers[layer].output[0])]) == 4 for layer in tail.layers)
    before_the_tail = {"reduceMean"} if name == "mean of a sequence" else set[str]()  # over time, not over a picture
    left = {layer_kind(layer) for layer in layers} & {"softmaxND", "squeeze", "unary", "reduceMean"}
    assert left == before_the_tail
    assert not {layer_kind(layers[layer]) for layer in tail.layers} & left


@pytest.mark.parametrize("name", NETWORKS)
def test_a_second_repair_does_nothing(name: str) -> None:
    for model in (converted(name), as_classifier(converted(name), LABELS)):
        once, _ = repair_tail(model)
        twice, notes = repair_tail(once)
        assert notes == []
        assert model_bytes(twice) == model_bytes(once)


def test_the_argument_is_not_changed() -> None:
    model = converted("two layers")
    before = model_bytes(model)
    repair_tail(model)
    assert model_bytes(model) == before


def test_every_repair_is_told_with_its_place() -> None:
    _, notes = repair_tail(converted("pooled linear, logits"))
    assert len(notes) == 2
    assert "reshapeStatic became flatten" in notes[0]
    assert "softmax was added" in notes[1]
    assert all(note.startswith("layers[") for note in notes)
    _, notes = repair_tail(as_classifier(converted("log softmax"), LABELS))
    assert "logarithm" in notes[-1]


def test_nothing_is_done_to_a_convolutional_head() -> None:
    assert repair_tail(converted("convolutional head"))[1] == []


def test_a_sigmoid_at_the_end_is_refused() -> None:
    model = convert(torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.Sigmoid()), (1, 5))
    with pytest.raises(ModelError, match="ends in sigmoid, expected logits or a softmax"):
        repair_tail(model)


def test_a_map_as_answer_is_refused() -> None:
    with pytest.raises(ModelError, match=r"outputs a map of shape \[1, 3, 4, 4\]"):
        repair_tail(convert(torch.nn.Conv2d(3, 3, 3), (1, 3, 6, 6)))


ROUND_THE_SOFTMAX: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "an axis more, taken off": lambda z: z.unsqueeze(-1).softmax(1).squeeze(-1),
    "two axes more, indexed off": lambda z: z[:, :, None, None].softmax(-3)[:, :, 0, 0],
    "a batch in front, indexed off": lambda z: z[None].softmax(-1)[0],
    "channels last": lambda z: z[:, None, None].softmax(-1).flatten(1),
    "a slice of everything": lambda z: z.softmax(1)[:, :],
}


@pytest.mark.parametrize("name", ROUND_THE_SOFTMAX)
def test_a_vector_may_take_any_shape_round_its_softmax(name: str) -> None:
    class Shaped(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.fc = torch.nn.Linear(5, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return ROUND_THE_SOFTMAX[name](self.fc(x))

    module = Shaped()
    after, _ = repair_tail(as_classifier(convert(module, (1, 5)), LABELS))
    assert layer_kind(network_of(after).layers[-1]) == "softmax"
    given = torch.rand(3, 5)
    with torch.no_grad():
        expected = torch.cat([module(row[None]) for row in given]).numpy()
    said = [[answer["labelProbability"][label] for label in LABELS] for answer in answers(after, given)]
    np.testing.assert_allclose(said, expected, atol=2e-6)


def test_a_slice_that_turns_the_classes_around_is_no_reshape() -> None:
    builder = NeuralNetworkBuilder(
        [("image", datatypes.Array(1, 3))], [("y", datatypes.Array(1, 3))], disable_rank5_shape_mapping=True
    )
    builder.add_inner_product("fc", np.eye(3), np.zeros(3), 3, 3, True, "image", "z")
    builder.add_softmax_nd("softmax", "z", "p", -1)
    builder.add_slice_static("turn", "p", "y", [0, -1], [1, -4], [1, -1], [True, True], [True, True])
    with pytest.raises(ModelError):
        repair_tail(as_classifier(builder.spec, LABELS))


def test_two_answers_are_refused() -> None:
    with pytest.raises(ModelError, match="2 outputs come from layers"):
        repair_tail(convert(TwoAnswers(), (1, 5)))


def test_a_softmax_along_another_axis_is_refused() -> None:
    with pytest.raises(ModelError, match="works along axis 0, but the classes are on axis 1"):
        repair_tail(convert(torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.Softmax(0)), (1, 5)))


def test_a_softmax_along_another_axis_of_three_is_refused() -> None:
    """Of length one there: it answers 1 whatever comes."""
    with pytest.raises(ModelError, match="works along axis 1, but the classes are on axis 2"):
        repair_tail(convert(torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.Softmax(1)), (1, 1, 5)))


def test_two_softmaxes_are_refused() -> None:
    twice = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.Softmax(1), torch.nn.Softmax(1))
    with pytest.raises(ModelError, match="is a second softmax"):
        repair_tail(convert(twice, (1, 5)))


def test_a_batch_of_rows_is_refused() -> None:
    with pytest.raises(ModelError, match=r"shape \[2, 5\], expected one vector per row"):
        repair_tail(convert(torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.Softmax(1)), (2, 5)))


def test_what_changes_probabilities_behind_the_softmax_is_refused() -> None:
    behind = torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.Softmax(1), torch.nn.ReLU())
    with pytest.raises(ModelError, match="activation after the softmax, expected the softmax to be the output"):
        repair_tail(as_classifier(convert(behind, (1, 5)), LABELS))


def dense(shape: tuple[int, ...], nd: int | None = None, *, product: bool = True) -> Model:
    """x of ``shape`` -> innerProduct along its last axis, or x + x -> a softmax, or softmaxND along ``nd``."""
    random = np.random.default_rng(0)
    builder = NeuralNetworkBuilder([("x", datatypes.Array(*shape))], [("y", None)], disable_rank5_shape_mapping=True)
    if product:
        builder.add_inner_product("fc", random.normal(size=(3, shape[-1])), None, shape[-1], 3, False, "x", "z")
    else:
        builder.add_add_broadcastable("twice", ["x", "x"], "z")
    if nd is None:
        builder.add_softmax("softmax", "z", "y")
    else:
        builder.add_softmax_nd("softmax", "z", "y", nd)
    return builder.spec


@pytest.mark.field_case(
    "apple/coremltools#1714", "a head whose softmax stands at rank 3 is repaired to rank 4", "works"
)
def test_a_softmax_at_rank_3_of_one_vector_becomes_one_at_rank_4() -> None:
    before = dense((1, 1, 4))
    after, _ = repair_tail(before)
    assert "L1714" in {problem.rule for problem in check(before)}
    assert "L1714" not in {problem.rule for problem in check(after)}
    x = np.random.default_rng(1).normal(size=(1, 1, 4)).astype(np.float32)
    np.testing.assert_allclose(load(after).predict({"x": x})["y"], load(before).predict({"x": x})["y"], rtol=1e-5)


def test_classes_on_axis_minus_3_of_rank_3_are_told() -> None:
    before = dense((1, 1, 4))
    network_of(before).layers[-1].input[0] = "turned"
    turned = network_of(before).layers.add(name="turned", input=["z"], output=["turned"])
    turned.reshapeStatic.targetShape.extend([3, 1, 1])
    layers = [network_of(before).layers[number] for number in (0, 2, 1)]
    kept = [copy_of(layer) for layer in layers]
    del network_of(before).layers[:]
    network_of(before).layers.extend(kept)
    after, notes = repair_tail(before)
    assert any("coremltools #1714" in note for note in notes)
    x = np.random.default_rng(1).normal(size=(1, 1, 4)).astype(np.float32)
    as_the_format_says = load(before, assumptions=PredictionAssumptions(softmax_at_rank_3="axis -3"))
    expected = as_the_format_says.predict({"x": x})["y"]
    np.testing.assert_allclose(load(after).predict({"x": x})["y"], expected, rtol=1e-5)


@pytest.mark.parametrize(("shape", "nd"), [((5, 4), -1), ((2, 5, 4), 2), ((2, 5, 4), None), ((1, 5, 4), None)])
def test_several_softmaxes_in_one_are_not_made_one(shape: tuple[int, ...], nd: int | None) -> None:
    """[5, 4] holds five answers: a softmax of all twenty numbers is another one."""
    with pytest.raises(
        ModelError, match=r"'softmax': is a softmax of shape .*4], expected only the length of the classes"
    ):
        repair_tail(dense(shape, nd, product=False))


def in_rank_5_mode(name: str) -> Model:
    """A classifier of the old mapping, whose tail begins behind a layer of that time."""
    random = np.random.default_rng(0)
    shape = {"embedding": (1,), "reorganized": (2, 4, 4), "cropped": (3, 6, 6)}[name]
    result = NeuralNetworkBuilder([("x", datatypes.Array(*shape))], [("p", None)], mode="classifier")
    match name:
        case "embedding":
            table = random.normal(size=(8, 10))
            result.add_embedding("first", table, None, 10, 8, False, "x", "features")
        case "reorganized":
            result.add_reorganize_data("first", "x", "features", "SPACE_TO_DEPTH", 4)
        case _:
            result.add_crop("first", 2, 2, 2, 2, [0, 0], ["x"], "features")
    width = {"embedding": 8, "reorganized": 32, "cropped": 12}[name]
    if name == "cropped":
        result.add_flatten("flat", 0, "features", "flat")
    read, weights = "flat" if name == "cropped" else "features", random.normal(size=(3, width))
    result.add_inner_product("fc", weights, None, width, 3, False, read, "logits")
    result.add_softmax("softmax", "logits", "p")
    result.set_class_labels(["a", "b", "c"])
    return Model_pb2.Model.FromString(result.spec.SerializeToString())


@pytest.mark.parametrize("name", ["embedding", "reorganized", "cropped"])
def test_a_tail_behind_a_layer_of_the_old_mapping_stays_in_it(name: str) -> None:
    model = in_rank_5_mode(name)
    marked = cu.mark(model)
    assert [str(item) for item in cu.check(marked) if item.severity == "error"] == []
    assert not any(layer_kind(layer) == "reshapeStatic" for layer in network_of(marked.message).layers)
    random = np.random.default_rng(1)
    shape = list(model.description.input[0].type.multiArrayType.shape)
    rows = [{"x": random.integers(0, 10, shape) if name == "embedding" else random.normal(size=shape)} for _ in "123"]
    for before, after in zip(load(model).predict(rows), marked.predict(rows), strict=True):
        assert before["p"] == pytest.approx(after["p"], abs=1e-6)
    cu.UpdateTask(marked, [{**row, "classLabel": "b"} for row in rows], parameters={"epochs": 2}).resume()
    cu.layout(marked, "split")
    cu.knn(marked, [{**rows[0], "classLabel": "a"}])
