"""An output declared Int32 loses probabilities: a public updatable MNIST model answers zeros so."""

import numpy as np
import pytest

from coreml_updatable.checking import check
from coreml_updatable.runtime import load
from coreml_updatable.spec.messages import Model
from tests.broken_models.graph import probabilities_as_whole_numbers
from tests.broken_models.valid import exact, layer, plain

INT32, INT8, FLOAT16 = 131104, 131080, 65552


def _declared(kind: str, data_type: int) -> Model:
    """The exact network whose last layer is ``kind``, declared ``data_type``."""
    model = exact()
    model.specificationVersion = 10
    model.description.output[0].type.multiArrayType.dataType = data_type
    added = model.neuralNetwork.layers.add(name="last", input=["z"], output=["y"])
    getattr(added, kind).SetInParent()
    layer(model, "fc").output[0] = "z"
    return model


@pytest.mark.parametrize(
    ("kind", "data_type", "cut"),
    [
        ("softmaxND", INT32, True),
        ("softmaxND", INT8, True),
        ("copy", INT32, True),  # of an innerProduct
        ("tanh", INT32, True),
        ("round", INT32, False),
        ("argMax", INT32, False),
        ("ceil", INT32, False),
        ("softmaxND", FLOAT16, False),
    ],
)
def test_fractions_in_whole_numbers_are_a_warning(kind: str, data_type: int, cut: bool) -> None:
    problems = [problem for problem in check(_declared(kind, data_type)) if problem.rule == "L1.12"]
    assert [problem.where for problem in problems] == (["output 'y'"] if cut else [])
    assert all(problem.severity == "warning" for problem in problems)


def test_a_picture_of_0_to_1_is_black() -> None:
    model = exact()
    added = model.neuralNetwork.layers.add(name="last", input=["conv"], output=["seen"])
    added.activation.sigmoid.SetInParent()
    image = model.description.output.add(name="seen").type.imageType
    image.colorSpace, image.width, image.height = 20, 6, 6
    assert "L1.12" in {problem.rule for problem in check(model)}


def test_the_answers_are_zeros_indeed() -> None:
    row = {"x": np.full(5, 0.1, np.float32)}
    assert np.abs(load(plain()).predict(row)["y"]).max() > 0
    assert load(probabilities_as_whole_numbers()).predict(row)["y"].tolist() == [0, 0]
