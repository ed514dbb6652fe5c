"""What no marking could work with is refused before anything is changed, and said in one sentence."""

from collections.abc import Callable

import numpy as np
import pytest
from torch import nn

from coreml_updatable.converting.equivalence import remedy
from coreml_updatable.converting.marked import marked_and_proved
from coreml_updatable.errors import ModelError, UserError
from coreml_updatable.marking import has_head, knn_variant, marked, repair_tail
from coreml_updatable.marking.clearing import hinges_of
from coreml_updatable.marking.layouts import from_single
from coreml_updatable.marking.settings import Int64Parameter, KNNSettings
from coreml_updatable.marking.soundness import expect_sound
from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.messages import Model, Model_pb2
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.reserved_labels import reserved_labels
from tests.broken_models import valid
from tests.marking import layered
from tests.marking.linear_models import glm, of_words
from tests.marking.markable import markable_models
from tests.marking.networks import convert
from tests.marking.test_mark import SETTINGS


def sound(constant: bool = False) -> Model:
    """layers: (constant), first [6], layer1, last [3], softmax."""
    result = Model_pb2.Model()
    fill = layered.with_constant("addBroadcastable") if constant else layered.batchnorm
    result.CopyFrom(layered.classifier(fill, constant=(6, 1, 1) if constant else None))
    return result


def no_layers(model: Model) -> None:
    del network_of(model).layers[:]


def circle(model: Model) -> None:
    network_of(model).layers[0].input[0] = "logits"


def own_output(model: Model) -> None:
    network_of(model).layers[1].input[0] = "blob1"


def nowhere(model: Model) -> None:
    network_of(model).layers[1].input[0] = "nowhere"


def backwards(model: Model) -> None:
    layers = network_of(model).layers
    last = type(layers[2])()
    last.CopyFrom(layers[2])
    layers[2].CopyFrom(layers[3])
    layers[3].CopyFrom(last)


def no_output(model: Model) -> None:
    del network_of(model).layers[2].output[:]


def two_inputs(model: Model) -> None:
    network_of(model).layers[2].input.append("blob0")


def written_twice(model: Model) -> None:
    network_of(model).layers[2].output[0] = "blob0"


def writes_the_input(model: Model) -> None:
    network_of(model).layers[0].output[0] = "x"


def no_kind(model: Model) -> None:
    network_of(model).layers[1].ClearField("batchnorm")


def few_weights(model: Model) -> None:
    network_of(model).layers[2].innerProduct.weights.floatValue.pop()


def odd_halves(model: Model) -> None:
    network_of(model).layers[2].innerProduct.weights.float16Value = bytes(37)
    network_of(model).layers[2].innerProduct.weights.ClearField("floatValue")


def short_table(model: Model) -> None:
    weights = network_of(model).layers[2].innerProduct.weights
    weights.Clear()
    weights.rawValue = bytes(4)
    weights.quantization.numberOfBits = 8
    weights.quantization.lookupTableQuantization.floatValue.extend([0.0] * 256)


def absurd_channels(model: Model) -> None:
    network_of(model).layers[2].innerProduct.outputChannels = 2**62


def no_channels(model: Model) -> None:
    network_of(model).layers[2].innerProduct.outputChannels = 0


def few_of_batchnorm(model: Model) -> None:
    network_of(model).layers[1].batchnorm.mean.floatValue.pop()


def label_twice(model: Model) -> None:
    model.neuralNetworkClassifier.stringClassLabels.vector[:] = ["a", "b", "a"]


WRONG: list[tuple[Callable[[Model], None], str]] = [
    (no_layers, "network: has no layers"),
    (
        circle,
        r"layers\[0\] 'first': waits for its own output by way of layers\[1\] 'layer1' and layers\[2\] 'last'",
    ),
    (own_output, r"layers\[1\] 'layer1': waits for its own output, expected no circle"),
    (nowhere, r"layers\[1\] 'layer1': reads 'nowhere', which nothing before it writes"),
    (backwards, r"layers\[2\] 'softmax': reads 'logits', which nothing before it writes"),
    (no_output, r"layers\[2\] 'last': is an innerProduct that writes 0 blobs, expected 1"),
    (two_inputs, r"layers\[2\] 'last': is an innerProduct that reads 2 blobs, expected 1"),
    (written_twice, r"layers\[2\] 'last': writes 'blob0', as does layers\[0\] 'first'"),
    (writes_the_input, r"layers\[0\] 'first': writes 'x', as does the model's input"),
    (no_kind, r"layers\[1\] 'layer1': .*without a type"),
    (few_weights, r"layers\[2\] 'last': weights: contains 17 values, expected 18"),
    (odd_halves, r"'last': weights: contains 18\.5 16-bit values, expected 18"),
    (short_table, r"layers\[2\] 'last': weights: has room for 4 numbers of 8 bits, expected 18"),
    (absurd_channels, rf"layers\[2\] 'last': weights: contains 18 values, expected {6 * 2**62}"),
    (no_channels, r"layers\[2\] 'last': has 0 outputs"),
    (few_of_batchnorm, r"layers\[1\] 'layer1': mean: contains 5 values, expected 6"),
    (label_twice, "labels: the model has 'a' twice"),
]


@pytest.mark.parametrize(("breaking", "message"), WRONG)
def test_each_is_said_in_one_sentence(breaking: Callable[[Model], None], message: str) -> None:
    model = sound()
    breaking(model)
    with pytest.raises(ModelError, match=message) as raised:
        marked(model, SETTINGS)
    assert str(raised.value).isprintable()


def test_a_constant_without_output() -> None:
    model = sound(constant=True)
    extra = network_of(model).layers.add()
    extra.loadConstantND.shape.append(1)
    with pytest.raises(ModelError, match="is a loadConstantND that writes 0 blobs, expected 1"):
        marked(model, SETTINGS)


def test_everything_that_walks_a_network_looks_first() -> None:
    model = valid.plain()
    network_of(model).layers[0].input[0] = str(network_of(model).layers[-1].output[0])
    settings = KNNSettings(Int64Parameter(1))
    for work in (
        repair_tail,
        has_head,
        from_single,
        lambda model: knn_variant(model, settings),
        lambda model: knn_variant(model, settings, cut=False),
    ):
        with pytest.raises(ModelError, match="waits for its own output by way of"):
            work(model)


@pytest.mark.parametrize("number", range(len(markable_models())))
def test_sound_models_pass(number: int) -> None:
    model = markable_models()[number]
    if model.WhichOneof("Type").startswith("neuralNetwork"):
        expect_sound(model)
    marked(model, SETTINGS)


def test_networks_inside_branches_and_loops_write_for_those_behind_them() -> None:
    expect_sound(valid.looping())


def test_a_batchnorm_of_negative_variance_is_no_factor_and_offset() -> None:
    """Its root is not a number, and neither is any answer."""
    model = sound()
    network_of(model).layers[1].batchnorm.variance.floatValue[0] = -1
    result = marked(model, SETTINGS, last=2)
    assert "batchnorm" in [layer_kind(layer) for layer in network_of(result.model).layers]
    with pytest.raises(UserError, match="NaN"):
        marked_and_proved(model, SETTINGS)


def test_a_mask_of_minus_infinity_is_not_folded() -> None:
    model = sound(constant=True)
    network_of(model).layers[0].loadConstantND.data.floatValue[0] = float("-inf")
    result = marked(model, SETTINGS)
    assert not result.repairs
    kept = network_of(result.model).layers[0].loadConstantND.data.floatValue
    assert np.isneginf(kept[0])


def test_an_empty_label_is_no_reserved_one() -> None:
    model = sound()
    model.neuralNetworkClassifier.stringClassLabels.vector[:] = ["a", "b", ""]
    assert reserved_labels(model) == ()
    marked_and_proved(model, SETTINGS, labels=("a", "b", "c"))


def test_logits_of_one_layer_get_a_softmax_and_keep_their_shape() -> None:
    """The blob before the layer and the one behind the softmax are both called after the answer, and are two."""
    result, proof = marked_and_proved(convert(nn.Linear(5, 3), (1, 5)), SETTINGS)
    assert proof.difference <= 1e-5
    written = [str(blob) for layer in network_of(result.model).layers for blob in layer.output]
    assert len(set(written)) == len(written) == 4


@pytest.mark.parametrize("kind", [0, 65552, 65600, 131104])
def test_the_proof_is_not_of_what_a_declared_type_rounds(kind: int) -> None:
    """No type, 16-bit floats, doubles, 32-bit integers."""
    model = convert(nn.Linear(5, 3), (1, 5))
    model.description.output[0].type.multiArrayType.dataType = kind
    assert marked_and_proved(model, SETTINGS, labels=("a", "b", "c"))[1].difference <= 1e-5


def test_a_pipeline_whose_members_describe_nothing() -> None:
    linear = glm(["a", "b", "c"], [[1.0, 2.0], [3.0, 4.0]], [0.5, 0.25])
    model = of_words(["u", "v"], linear, ["a", "b", "c"])
    model.pipelineClassifier.pipeline.models[0].ClearField("description")
    marked_and_proved(model, SETTINGS)


def weight_too_large(model: Model) -> None:
    """The sums of the two sides differ by what 32 bits round."""
    network_of(model).layers[0].innerProduct.weights.floatValue[0] = 7e20


def test_numbers_that_32_bits_cannot_add_are_named() -> None:
    model = sound()
    weight_too_large(model)
    assert "layers[0] 'first' contains the number 7e+20, which makes 32-bit sums inexact" in remedy(model)
    assert "please report it" in remedy(sound())
    network_of(model).layers[1].batchnorm.gamma.floatValue[0] = float("nan")
    assert "layers[1] 'layer1' contains the number nan" in remedy(model)
    bounded = sound()
    network_of(bounded).layers.add(name="clip", input=["logits"], output=["within"]).clip.maxVal = 3.4e38
    assert "please report it" in remedy(bounded)  # a bound takes part in no sum
    outer = Model_pb2.Model()
    outer.pipeline.models.add().CopyFrom(model)
    assert "layers[1] 'layer1' contains the number nan" in remedy(outer)


def test_a_linear_model_of_numbers_beyond_32_bits() -> None:
    with pytest.raises(ModelError, match=r"glmClassifier: contains the number 1e\+300, .*32 bits"):
        marked(glm(["a", "b", "c"], [[1.0, 2.0], [3.0, 1e300]], [0.5, 0.25]), SETTINGS)
    for weight, offset in ((float("nan"), 0.25), (4.0, float("nan"))):
        with pytest.raises(ModelError, match="glmClassifier: contains the number nan"):
            marked(glm(["a", "b", "c"], [[1.0, 2.0], [3.0, weight]], [0.5, offset]), SETTINGS)


def test_an_activation_of_infinite_numbers_is_no_sum_of_others() -> None:
    model = sound()
    network_of(model).layers[1].activation.scaledTanh.beta = float("inf")
    assert hinges_of(network_of(model).layers[1]) is None
    with pytest.raises(ModelError, match="blocks the gradient"):
        marked(model, SETTINGS, last=2)


def test_a_clamped_relu_that_clamps_on_both_sides_is_no_such_sum() -> None:
    """min(beta, alpha x) for x below 0: with a negative alpha it reaches beta there too (found by mutation)."""
    layer = network_of(sound()).layers[1]
    layer.clampedReLU.alpha, layer.clampedReLU.beta = 0.25, 2.0
    assert hinges_of(layer) is not None
    layer.clampedReLU.alpha = -0.25
    assert hinges_of(layer) is None
