"""Ranks at the boundary: an old reduction needs as many axes as it works along, a suppression's confidence has two."""

import pytest

from coreml_updatable.checking import check
from coreml_updatable.checking.stated_axes import stated_axes
from coreml_updatable.spec.messages import NeuralNetwork_pb2
from tests.broken_models.valid import suppression

AXES = {"CHW": 3, "HW": 2, "C": 1, "H": 1, "W": 1}  # ReduceLayerParams: how many lengths each works along


@pytest.mark.parametrize("name", AXES)
@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_a_reduction_needs_the_axes_that_it_names(name: str, rank: int) -> None:
    layer = NeuralNetwork_pb2.NeuralNetworkLayer()
    layer.reduce.axis = layer.reduce.ReduceAxis.Value(name)
    for tensor in (layer.inputTensor.add(), layer.outputTensor.add()):
        tensor.rank = rank
    assert bool(list(stated_axes("a layer", layer))) == (rank < AXES[name])


@pytest.mark.parametrize("lengths", [0, 1, 2, 3])
def test_a_confidence_has_boxes_and_classes_or_no_shape(lengths: int) -> None:
    model = suppression()
    for output in model.description.output:
        output.type.multiArrayType.shape.extend([5, 2, 1][:lengths])
    faults = [problem for problem in check(model) if problem.severity == "error" and "confidence" in problem.where]
    assert bool(faults) == (lengths not in (0, 2))
