"""Warnings at the values where they begin: one step before a model is left alone, one step beyond it is not.

The values are those of the threads and formulas that the rules name; ``warned`` looks at one rule alone.
"""

import math
from collections.abc import Callable

import pytest

from coreml_updatable.checking import check
from coreml_updatable.checking.rules import RULES
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of
from tests.broken_models import valid
from tests.broken_models.valid import insert_layer, layer

FIND = {rule.find.__name__: rule.find for rule in RULES}
LOG = math.log(2**24)


def warned(rule: str, model: Model) -> list[str]:
    """Where the rule of this name finds something."""
    return [finding.where for finding in FIND[rule](model)]


def rate(model: Model, value: float) -> Model:
    optimizer = network_of(model).updateParams.optimizer
    kind = str(optimizer.WhichOneof("OptimizerType"))
    getattr(optimizer, kind).learningRate.defaultValue = value
    return model


def heads(bias: bool, build: Callable[[], Model] = valid.classifier) -> Model:
    model = build()
    fc = [each for each in network_of(model).layers if each.isUpdatable][-1].innerProduct
    fc.hasBias = bias
    return model


@pytest.mark.parametrize(("bias", "bound"), [(True, 2.0), (False, 4.0)])
def test_a_first_step_of_gradient_descent(bias: bool, bound: float) -> None:
    """Cross entropy curves by at most (|x|^2 + 1) / 2 on features of length 1, |x|^2 / 2 without a bias."""
    assert warned("first_step_small", rate(heads(bias), math.nextafter(bound, 0))) == []
    assert warned("first_step_small", rate(heads(bias), bound)) == ["learningRate"]


def test_a_first_step_of_adam() -> None:
    """Every logit moves by up to rate (sqrt(D) + 1), and two that are ln(2^24) apart saturate a softmax."""
    for bias in (False, True):
        model = heads(bias, valid.adam_classifier)
        inputs = [each for each in network_of(model).layers if each.isUpdatable][-1].innerProduct.inputChannels
        bound = LOG / (2 * (math.sqrt(inputs) + bias))
        assert warned("first_step_small", rate(model, bound * 0.999)) == []
        assert warned("first_step_small", rate(model, bound * 1.001)) == ["learningRate"]


def test_a_head_that_is_not_trained_has_no_first_step() -> None:
    model = rate(valid.classifier(), 100)
    layer(model, "fc").isUpdatable = False
    assert warned("first_step_small", model) == []


def neighbors(dimensions: int, *shape: int) -> Model:
    model = valid.filled_nearest_neighbors()
    model.kNearestNeighborsClassifier.nearestNeighborsIndex.numberOfDimensions = dimensions
    model.description.input[0].type.multiArrayType.shape[:] = shape
    return model


def test_the_input_of_a_knn() -> None:
    for model, fits in ((neighbors(4, 4), True), (neighbors(3, 4), False), (neighbors(5, 4), False)):
        assert (warned("dimensions_fit", model) == []) == fits
    assert warned("dimensions_fit", neighbors(0, 4)) == ["numberOfDimensions"]
    assert warned("dimensions_fit", neighbors(1, 1)) == []
    for shape, fits in (((4,), True), ((1, 4), False), ((), False)):
        assert (warned("one_vector_input", neighbors(4, *shape)) == []) == fits
    two = neighbors(4, 4)
    two.description.input.add().CopyFrom(two.description.input[0])
    assert warned("one_vector_input", two) == ["description"]
    picture = neighbors(4, 4)
    picture.description.input[0].type.imageType.width = 4
    assert warned("one_vector_input", picture) == ["input 'embedding'"]


@pytest.mark.parametrize("number", [0, 1])
def test_samples_that_are_no_numbers(number: int) -> None:
    model = valid.filled_nearest_neighbors()
    samples = model.kNearestNeighborsClassifier.nearestNeighborsIndex.floatSamples
    assert warned("samples_finite", model) == []
    samples[number].vector[3] = math.nan
    assert warned("samples_finite", model) == [f"floatSamples[{number}]"]
    samples[number].vector[3] = -math.inf
    assert warned("samples_finite", model) == [f"floatSamples[{number}]"]


def test_a_default_label_matters_once_samples_are_stored() -> None:
    filled, empty = valid.filled_nearest_neighbors(), valid.nearest_neighbors()
    for model, wanted in ((filled, ["DefaultClassLabel"]), (empty, [])):
        assert warned("default_label_given", model) == []
        model.kNearestNeighborsClassifier.ClearField("defaultStringLabel")
        assert warned("default_label_given", model) == wanted
    numbers = valid.filled_nearest_neighbors()
    numbers.kNearestNeighborsClassifier.int64ClassLabels.vector.extend([1, 2])
    assert warned("default_label_given", numbers) == []  # "unknown" is one


def test_what_a_pipelines_last_member_is_trained_with() -> None:
    """A feature of an earlier member, of the pipeline's training inputs, or the member's own input."""
    model = valid.pipeline()
    last = model.pipelineClassifier.pipeline.models[1]
    assert warned("last_member_fed", model) == []
    wanted = last.description.trainingInput.add(name="made")
    assert warned("last_member_fed", model) == ["trainingInput"]
    model.pipelineClassifier.pipeline.models[0].description.output.add(name="made")
    assert warned("last_member_fed", model) == []
    wanted.name = "given"
    assert warned("last_member_fed", model) == ["trainingInput"]
    model.description.trainingInput.add(name="given")
    assert warned("last_member_fed", model) == []
    wanted.name = str(model.description.predictedFeatureName)
    del model.description.trainingInput[:]
    assert warned("last_member_fed", model) == []
    wanted.name = "nobody's"
    model.isUpdatable = False
    assert warned("last_member_fed", model) == []
    own = valid.pipeline()  # what the last member itself gives, it does not get
    member = own.pipelineClassifier.pipeline.models[1]
    member.description.output.add(name="later")
    member.description.trainingInput.add(name="later")
    assert warned("last_member_fed", own) == ["trainingInput"]


def test_training_inputs_of_a_knn() -> None:
    for index, name in enumerate(("embedding", "label")):
        model = valid.nearest_neighbors()
        assert warned("neighbors_training_inputs", model) == []
        model.description.trainingInput[index].type.doubleType.SetInParent()
        assert warned("neighbors_training_inputs", model) == [f"trainingInput '{name}'"]
        del model.description.trainingInput[index]
        assert warned("neighbors_training_inputs", model) == ["trainingInput"]
        model.isUpdatable = False
        assert warned("neighbors_training_inputs", model) == []


def test_the_answer_of_a_pipeline() -> None:
    model = valid.pipeline()
    model.description.predictedFeatureName = "other"
    assert warned("pipeline_names_output", model) == ["predictedFeatureName"]
    plain = valid.pipeline()
    plain.pipeline.CopyFrom(model.pipelineClassifier.pipeline)
    assert warned("pipeline_names_output", plain) == []


def machine(classes: int, rho: int) -> Model:
    model = valid.support_vector_classifier()
    params = model.supportVectorClassifier
    params.ClearField("rho")
    params.rho.extend([0.0] * rho)
    labels = getattr(params, str(params.WhichOneof("ClassLabels"))).vector
    values = list(labels)
    del labels[:]
    labels.extend([*values, *"xyz"][:classes])
    return model


@pytest.mark.parametrize(("classes", "pairs"), [(2, 1), (3, 3), (4, 6)])
def test_a_rho_for_each_pair_of_classes(classes: int, pairs: int) -> None:
    assert warned("offsets_fit", machine(classes, pairs)) == []
    for wrong in (pairs - 1, pairs + 1):
        assert warned("offsets_fit", machine(classes, wrong)) == ["rho"]


def test_support_vectors() -> None:
    model = valid.support_vector_classifier()
    params = model.supportVectorClassifier
    for lengths, wanted in (((2, 2), []), ((2, 3), ["denseSupportVectors"])):
        params.denseSupportVectors.ClearField("vectors")
        for length in lengths:
            params.denseSupportVectors.vectors.add().values.extend([1] * length)
        assert warned("vectors_alike", model) == wanted
    params.ClearField("denseSupportVectors")
    for position, indexes in enumerate(((1, 2), (0, 1), (2, 2), (), (3, 1))):
        vector = params.sparseSupportVectors.vectors.add()
        for index in indexes:
            vector.nodes.add(index=index, value=1)
        assert vector is not None, position
    assert warned("vectors_alike", model) == ["sparseSupportVectors[1]", "sparseSupportVectors[2]"]
    params.ClearField("sparseSupportVectors")
    params.numberOfSupportVectorsPerClass[0] = 0
    assert warned("vectors_alike", model) == []
    params.numberOfSupportVectorsPerClass[0] = -1
    assert warned("vectors_alike", model) == ["numberOfSupportVectorsPerClass"]


def test_probabilities_need_both_of_their_lists() -> None:
    for names in ((), ("probA",), ("probB",), ("probA", "probB")):
        model = valid.support_vector_classifier()
        params = model.supportVectorClassifier
        for name in ("probA", "probB"):
            params.ClearField(name)
            getattr(params, name).extend([1.0] * (name in names))
        model.description.predictedProbabilitiesName = "probabilities"
        wanted = [] if len(names) == 2 else ["output 'probabilities'"]
        assert warned("probabilities_made", model) == wanted
        model.description.predictedProbabilitiesName = ""
        assert warned("probabilities_made", model) == []


def test_both_outputs_of_a_suppression_allow_the_same_boxes() -> None:
    for lower, upper, wanted in ((0, 0, []), (1, 0, ["outputs"]), (0, 1, ["outputs"])):
        model = valid.suppression()
        for feature in model.description.output:
            ranges = feature.type.multiArrayType.shapeRange.sizeRanges
            del ranges[:]
            ranges.add(lowerBound=2, upperBound=9)
            ranges.add(lowerBound=4, upperBound=4)
        ranges[0].lowerBound += lower
        ranges[0].upperBound += upper
        ranges[1].lowerBound = 3  # the second axis differs between the two anyway
        assert warned("ranges_agree", model) == wanted


def expanded(text_axes: list[int], rank: int | None, read_by_lstm: bool) -> Model:
    model = valid.classifier()
    network = network_of(model)
    added = network.layers.add(name="wide", input=["unknown"], output=["wider"])
    added.expandDims.axes.extend(text_axes)
    if rank is not None:
        added.outputTensor.add(rank=rank)
    if read_by_lstm:
        network.layers.add(name="lstm", input=["wider"], output=["h"]).uniDirectionalLSTM.SetInParent()
    return model


@pytest.mark.parametrize(
    ("rank", "read", "warns"),
    [(None, False, False), (4, False, False), (5, False, True), (6, False, True), (None, True, True)],
)
def test_expansions_to_rank_5(rank: int | None, read: bool, warns: bool) -> None:
    assert bool(warned("no_wide_expansion", expanded([0], rank, read))) == warns


def test_a_batchnorm_matters_between_an_updatable_layer_and_the_loss_alone() -> None:
    for at, wanted in ((0, 0), (-1, 1)):
        model = valid.classifier()
        network = network_of(model)
        fc = next(index for index, each in enumerate(network.layers) if each.name == "fc")
        number = fc if at == 0 else fc + 1
        read = str(network.layers[number].input[0])
        added = type(network.layers[0])(name="norm", input=[read], output=["normed"])
        added.batchnorm.channels = 1
        network.layers[number].input[0] = "normed"
        insert_layer(network, number, added)
        assert len(warned("batchnorm_on_path", model)) == wanted


def test_an_updatable_layer_leads_to_the_loss() -> None:
    model = valid.classifier()
    network = network_of(model)
    dead = network.layers.add(
        name="dead", input=[str(network.layers[0].output[0])], output=["nowhere"], isUpdatable=True
    )
    dead.innerProduct.outputChannels = 1
    assert warned("layers_reach_loss", model) == [f"layers[{len(network.layers) - 1}] 'dead'"]
    dead.isUpdatable = False
    assert warned("layers_reach_loss", model) == []


def test_convolutions_that_feed_each_other_at_a_distance() -> None:
    """The second stands behind the first through the layers between them, and the third behind the second."""
    model = valid.classifier()
    network = network_of(model)
    first = network.layers[0]
    assert first.WhichOneof("layer") == "convolution"
    first.isUpdatable = True
    assert warned("stacked_convolutions", model) == []
    for number in (1, 2):
        added = network.layers.add()
        added.CopyFrom(first)
        added.name = f"more{number}"
        added.input[:] = [str(network.layers[1].output[0]) if number == 1 else "more1"]
        added.output[:] = [added.name]
    assert [where.split("'")[1] for where in warned("stacked_convolutions", model)] == ["more1", "more2"]
    network.layers[-2].isUpdatable = False
    assert [where.split("'")[1] for where in warned("stacked_convolutions", model)] == ["more2"]


def test_a_squared_error_reads_an_activation() -> None:
    model = valid.plain()
    assert warned("squared_error_on_linear_head", model) == []
    network = network_of(model)
    loss = network.updateParams.lossLayers[0].meanSquaredErrorLossLayer
    loss.input = str(next(each for each in network.layers if each.name == "fc2").output[0])
    assert warned("squared_error_on_linear_head", model) == ["loss"]


def test_states_among_the_outputs() -> None:
    """The first output of a recurrent layer is no state; the others are, in any shape, but not computed with."""
    for blob, kind, wanted in (
        ("h", None, 0),
        ("s", None, 1),
        ("c", None, 1),
        ("s", "flatten", 1),
        ("s", "softmax", 0),
    ):
        model = valid.classifier()
        network = network_of(model)
        added = network.layers.add(name="lstm", input=["image"], output=["h", "s", "c"])
        added.uniDirectionalLSTM.SetInParent()
        if kind is not None:
            getattr(network.layers.add(name="more", input=[blob], output=["answer"]), kind).SetInParent()
        model.description.output.add(name=blob if kind is None else "answer")
        assert len(warned("states_not_answered", model)) == wanted


def test_stored_numbers() -> None:
    for place in ("weights", "bias"):
        for value, fits in ((1e38, True), (math.inf, False), (-math.inf, False), (math.nan, False)):
            model = valid.classifier()
            getattr(layer(model, "conv").convolution, place).floatValue[0] = value
            assert (warned("weights_finite", model) == []) == fits
    half = valid.classifier()
    weights = layer(half, "conv").convolution.weights
    count = len(weights.floatValue)
    weights.ClearField("floatValue")
    weights.float16Value = bytes.fromhex("003c") * count  # ones
    assert warned("weights_finite", half) == []
    assert warned("all_32_bit", half) == ["layers[0] 'conv'"]
    weights.float16Value = bytes.fromhex("003c") * (count - 1) + bytes.fromhex("007c")  # infinity
    assert warned("weights_finite", half) == ["layers[0] 'conv': weights"]
    packed = valid.classifier()
    weights = layer(packed, "conv").convolution.weights
    weights.Clear()
    weights.rawValue = bytes(count)
    weights.quantization.numberOfBits = 8
    weights.quantization.linearQuantization.scale.append(1.0)
    weights.quantization.linearQuantization.bias.append(0.0)
    assert warned("none_quantized", packed) == ["layers[0] 'conv'"]
    assert warned("weights_finite", packed) == []
    for name in ("scale", "bias"):
        values = getattr(weights.quantization.linearQuantization, name)
        values[0] = math.nan
        assert warned("weights_finite", packed) == ["layers[0] 'conv': weights"]
        values[0] = 1
    layer(packed, "conv").isUpdatable = True
    assert warned("none_quantized", packed) == []  # of updatable layers another rule speaks


def test_these_models_are_left_alone_as_they_are() -> None:
    for build in valid.ALL:
        assert check(build()) == []
