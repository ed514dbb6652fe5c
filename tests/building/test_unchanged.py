"""The proof by comparison finds a changed weight and says what it cannot compare."""

import pytest
import torch

from coreml_updatable.converting.equivalence import ALLOWED_DIFFERENCE, prove_unchanged, unchanged
from coreml_updatable.errors import BuildError
from coreml_updatable.marking import mark, repair_tail
from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.messages import Model, Model_pb2
from coreml_updatable.spec.network import network_of
from tests.marking.networks import NETWORKS, convert, converted
from tests.marking.test_mark import SETTINGS


@pytest.mark.parametrize("name", NETWORKS)
def test_a_repaired_network_answers_as_before(name: str) -> None:
    before = converted(name)
    assert unchanged(before, repair_tail(before)[0]) <= ALLOWED_DIFFERENCE


def test_a_changed_weight_is_found() -> None:
    before = converted("one layer")
    after = _copy(before)
    (dense,) = [layer.innerProduct for layer in after.neuralNetwork.layers if layer.HasField("innerProduct")]
    dense.weights.floatValue[0] += 0.01
    with pytest.raises(BuildError, match=r"marked model: .* by .+, expected at most 1e-05"):
        unchanged(before, after)


def test_an_input_of_unknown_shape() -> None:
    before = converted("one layer")
    before.description.input[0].type.multiArrayType.ClearField("shape")
    with pytest.raises(BuildError, match=r"input 'image': is a multiArrayType, expected .+ array of known shape"):
        unchanged(before, before)


@pytest.mark.parametrize(("width", "height"), [(2**40, 2**40), (-5, 7), (0, 0)])
def test_a_picture_of_absurd_size_is_refused_before_it_is_made(width: int, height: int) -> None:
    before = converted("pooled linear, logits", image=True)
    image = before.description.input[0].type.imageType
    image.width, image.height = width, height
    with pytest.raises(BuildError, match=r"input 'image': declares the size \[.+\], expected lengths of 1 or more"):
        unchanged(before, before)


@pytest.mark.parametrize("shape", [(1, -5), (1, 0), (2**40, 5)])
def test_so_is_an_array(shape: tuple[int, ...]) -> None:
    before = converted("one layer")
    before.description.input[0].type.multiArrayType.shape[:] = shape
    with pytest.raises(BuildError, match=r"input 'image': declares the size \[.+\], expected lengths of 1 or more"):
        unchanged(before, before)


def _copy(model: Model) -> Model:
    result = Model_pb2.Model()
    result.CopyFrom(model)
    return result


def test_answers_that_are_the_same_everywhere_are_not_called_proved() -> None:
    """All weights of the head are zero: the bias alone answers, and any other network with it would agree."""
    model = convert(torch.nn.Linear(5, 3), (1, 5))
    layer = next(item for item in network_of(model).layers if layer_kind(item) == "innerProduct")
    layer.innerProduct.weights.floatValue[:] = [0.0] * 15
    result = prove_unchanged(model, mark(model, SETTINGS, labels=("a", "b", "c")))
    assert not result.proved
    assert "NOT PROVED" in result.notes[0]


def test_saturated_probabilities_are_told_apart_by_their_logits() -> None:
    """Softmaxes of 1 and 0 agree although the weights of the two networks are others."""
    model = convert(torch.nn.Linear(5, 3), (1, 5))
    layer = next(item for item in network_of(model).layers if layer_kind(item) == "innerProduct")
    layer.innerProduct.bias.floatValue[:] = [0.0, 400.0, 0.0]
    after = mark(model, SETTINGS, labels=("a", "b", "c"))
    result = prove_unchanged(model, after)
    assert result.proved
    assert result.relative is not None
    assert "logits were compared instead" in result.notes[0]
    other = next(item for item in network_of(after).layers if layer_kind(item) == "innerProduct")
    other.innerProduct.weights.floatValue[:] = [2 * value for value in layer.innerProduct.weights.floatValue]
    with pytest.raises(BuildError, match="its logits differ"):
        prove_unchanged(model, after)
