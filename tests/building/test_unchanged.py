"""The proof by comparison finds a changed weight and says what it cannot compare."""

import pytest

from coreml_updatable.converting.equivalence import ALLOWED_DIFFERENCE, unchanged
from coreml_updatable.errors import BuildError
from coreml_updatable.marking import repair_tail
from coreml_updatable.spec.messages import Model, Model_pb2
from tests.marking.networks import NETWORKS, converted


@pytest.mark.parametrize("name", NETWORKS)
def test_a_repaired_network_answers_as_before(name: str) -> None:
    before = converted(name)
    assert unchanged(before, repair_tail(before)[0]) <= ALLOWED_DIFFERENCE


def test_a_changed_weight_is_found() -> None:
    before = converted("one layer")
    after = _copy(before)
    (dense,) = [layer.innerProduct for layer in after.neuralNetwork.layers if layer.HasField("innerProduct")]
    dense.weights.floatValue[0] += 0.01
    with pytest.raises(BuildError, match=r"marked model: answers otherwise than before by .+, expected at most 1e-05"):
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
    with pytest.raises(BuildError, match=r"input 'image': declares the size \[.+\], expected lengths from 1 up"):
        unchanged(before, before)


@pytest.mark.parametrize("shape", [(1, -5), (1, 0), (2**40, 5)])
def test_so_is_an_array(shape: tuple[int, ...]) -> None:
    before = converted("one layer")
    before.description.input[0].type.multiArrayType.shape[:] = shape
    with pytest.raises(BuildError, match=r"input 'image': declares the size \[.+\], expected lengths from 1 up"):
        unchanged(before, before)


def _copy(model: Model) -> Model:
    made = Model_pb2.Model()
    made.CopyFrom(model)
    return made
