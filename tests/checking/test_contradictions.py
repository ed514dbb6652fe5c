"""Where shapes contradict each other Apple's compiler accepts what it would otherwise reject; we say so."""

import pytest

from coreml_updatable.checking import check
from coreml_updatable.spec.network import network_of
from tests.broken_models import graph, parameters, updatable_layers
from tests.broken_models.valid import classifier, exact, layer, regressor


@pytest.mark.parametrize("contradict", [graph.contradicting_channels, graph.output_described_otherwise])
def test_rules_of_updating_are_warnings_with_a_note_then(contradict: object) -> None:
    assert callable(contradict)
    broken = contradict()
    network_of(broken).updateParams.ClearField("optimizer")
    problems = {problem.rule: problem for problem in check(broken)}
    assert set(problems) == {"L2.10", "N7.1"}
    assert {problem.severity for problem in problems.values()} == {"warning"}
    assert problems["L2.10"].note is None
    said = str(problems["N7.1"])
    assert said.startswith("updateParams: has no optimizer, expected SGD or Adam; run `mark` (warning N7.1, ")
    assert "the shapes contradict each other" in said


def test_what_a_regressor_answers_hides_nothing() -> None:
    broken = regressor()
    broken.description.output[0].type.multiArrayType.shape[0] = 3
    network_of(broken).updateParams.ClearField("optimizer")
    assert {problem.rule: problem.severity for problem in check(broken)} == {"L2.10": "warning", "N7.1": "error"}


def test_rules_of_the_graph_stay_errors() -> None:
    broken = graph.contradicting_channels()
    del layer(broken, "conv").convolution.bias.floatValue[-1]
    assert {problem.rule: problem.severity for problem in check(broken)} == {"L2.10": "warning", "N2.4": "error"}


def test_nothing_is_hidden_where_apple_does_not_infer_shapes() -> None:
    """Only in rank-5 mode are they inferred."""
    broken = classifier()
    for feature in (broken.description.input[0], broken.description.trainingInput[0]):
        feature.type.multiArrayType.shape[:] = [1, 4, 8, 8]
    network_of(broken).arrayInputShapeMapping = 1
    network_of(broken).updateParams.ClearField("optimizer")
    severities = {problem.rule: problem.severity for problem in check(broken)}
    assert severities["L2.10"] == "warning"
    assert severities["N7.1"] == "error"


def test_the_contradiction_alone_is_a_warning_of_models_that_are_not_updatable() -> None:
    broken = exact()
    broken.description.input[0].type.multiArrayType.shape[1] = 4
    assert [(problem.rule, problem.severity) for problem in check(broken)] == [("L2.10", "warning")]


def test_convolutions_on_different_branches_are_not_stacked() -> None:
    model = updatable_layers.two_convolutions_marked()
    layer(model, "conv2").input[0] = "image"
    layer(model, "conv2").convolution.kernelChannels = 3
    layer(model, "conv2").convolution.weights.floatValue[:] = [0.5] * 12
    assert "L490" not in {problem.rule for problem in check(model)}


def test_the_optimizer_is_missed_without_a_contradiction() -> None:
    (problem,) = check(parameters.no_optimizer())
    assert (problem.rule, problem.severity, problem.note) == ("N7.1", "error", None)


@pytest.mark.field_case("apple/coremltools#1714", "softmax at rank 3, where format and measurements differ", "warned")
@pytest.mark.parametrize(
    ("lengths", "stated", "warned"),
    [
        ([2, 1, 1], [], True),
        ([1, 1, 2], [], True),
        ([1, 2, 1], [], False),  # both are softmaxes of one number
        ([1, 2, 1, 1], [], False),
        ([1, 1, 2, 1, 1], [], False),
        ([], [2, 1, 1], True),  # only the layer itself states it
        ([], [1, 2, 1], False),
        ([], [1, 2, 1, 1], False),
        ([], [], False),
    ],
)
def test_a_softmax_whose_axis_is_open(lengths: list[int], stated: list[int], warned: bool) -> None:
    model = graph.softmax_at_rank_3()
    shaped = layer(model, "shaped")
    if lengths:
        shaped.reshapeStatic.targetShape[:] = lengths
    else:
        shaped.reshapeDynamic.SetInParent()  # its shape is only known when it runs
        shaped.input.append("fc")
    if stated:
        layer(model, "softmax").inputTensor.add(rank=len(stated), dimValue=stated)
        layer(model, "softmax").outputTensor.add(rank=len(stated), dimValue=stated)
    assert {problem.rule for problem in check(model)} == ({"L1714"} if warned else set())
