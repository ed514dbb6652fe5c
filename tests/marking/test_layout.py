"""Layouts: one meaning in one network, in a pipeline and in two files, and every way between them."""

from collections.abc import Callable

import numpy as np
import pytest

from coreml_updatable.checking import check
from coreml_updatable.converting.layouts import laid_out
from coreml_updatable.errors import BuildError, ModelError
from coreml_updatable.marking import describe, extractor, knn_variant, mark, with_samples
from coreml_updatable.marking.layouts import (
    from_files,
    from_pipeline,
    from_single,
    to_files,
    to_pipeline,
    to_single,
    with_bits,
)
from coreml_updatable.marking.settings import SGD, DoubleParameter, Int64Parameter, KNNSettings, UpdateSettings
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of, pipeline_of
from tests.broken_models import valid
from tests.marking.networks import LABELS, NETWORKS, converted

UPDATE = UpdateSettings(
    SGD(DoubleParameter(0.05), Int64Parameter(4), DoubleParameter(0.0)), Int64Parameter(3, range=(1, 9))
)
NO_FRONT = {"one layer"}  # nothing before the head


def marked(name: str) -> Model:
    return mark(converted(name), UPDATE, labels=LABELS)


SINGLES: dict[str, Callable[[], Model]] = {
    **{name: (lambda name=name: marked(name)) for name in NETWORKS if name not in NO_FRONT},  # type: ignore[misc]
    "picture": lambda: mark(converted("pooled linear, logits", image=True), UPDATE, labels=LABELS),
    "plain, cross entropy": lambda: mark(converted("pooled linear, softmax"), UPDATE),
    "old mapping": valid.classifier,
    "old mapping, squared error": valid.plain,
}


@pytest.mark.parametrize("name", SINGLES)
def test_all_layouts_answer_and_learn_the_same(name: str) -> None:
    """The proof itself runs both; and no rule is broken on any way."""
    single = SINGLES[name]()
    pipeline, split = laid_out([single], "pipeline"), laid_out([single], "split")
    for laid in (pipeline, split, laid_out(split.models, "pipeline"), laid_out(pipeline.models, "split")):
        assert laid.agreement.difference <= 1e-6
        assert laid.heads <= 1e-6
        assert laid.bits == 32
        assert not [problem for model in laid.models for problem in check(model) if problem.severity == "error"]


@pytest.mark.parametrize("name", SINGLES)
def test_the_round_trip_gives_the_same_bytes(name: str) -> None:
    single = SINGLES[name]()
    pipeline = to_pipeline(from_single(single))
    files = to_files(from_pipeline(pipeline))
    assert model_bytes(to_single(from_files(*files))) == model_bytes(single)
    assert model_bytes(to_pipeline(from_files(*reversed(files)))) == model_bytes(pipeline)
    assert [model_bytes(model) for model in to_files(from_single(to_single(from_files(*files))))] == [
        model_bytes(model) for model in files
    ]


def filled_twin() -> Model:
    name = "pooled linear, softmax"
    result = knn_variant(converted(name), KNNSettings(Int64Parameter(3)))
    output = {"image": "A meal.", "label": "What it is.", "labelProbability": "How sure it is."}
    result = describe(result, features=output, description="Meals.", author="me", version="2")
    return with_samples(result, np.random.default_rng(0).normal(size=(4, 6)), ["a", "b", "a", "c"])


def test_a_twin_is_split_and_joined_but_is_no_network() -> None:
    knn = filled_twin()
    split = laid_out([knn], "split")
    assert split.models[1].WhichOneof("Type") == "kNearestNeighborsClassifier"
    assert (split.agreement.difference, split.heads, sorted(split.sizes)) == (0.0, 0.0, ["pipeline", "split"])
    joined = laid_out(split.models, "pipeline").models[0]
    assert joined.description == knn.description
    assert joined.pipelineClassifier.pipeline.models == [from_pipeline(knn).extractor, from_pipeline(knn).head]
    with pytest.raises(ModelError, match=r"head: is a k-NN, .*pipeline or a split"):
        laid_out([knn], "single")


def test_the_extractor_serves_the_twin_too() -> None:
    """With a head of one layer, both hand over the same numbers in the same shape."""
    name = "pooled linear, softmax"
    front = from_single(marked(name)).extractor
    assert network_of(front).layers[-1].reshapeStatic == network_of(extractor(converted(name))).layers[-1].reshapeStatic


def test_the_head_takes_features_and_label_and_is_small() -> None:
    single = marked("pooled linear, logits")
    _, head = to_files(from_single(single))
    assert [feature.name for feature in head.description.input] == ["features"]
    assert [feature.name for feature in head.description.trainingInput] == ["features", "label"]
    assert list(head.description.output) == list(single.description.output)
    assert len(model_bytes(head)) < 1000
    assert len(network_of(head).layers) == 3


@pytest.mark.parametrize("layout", ["pipeline", "split"])
@pytest.mark.parametrize(("bits", "smaller"), [(16, 0.75), (8, 0.75)])
def test_fewer_bits_make_a_smaller_file_that_still_learns(layout: str, bits: int, smaller: float) -> None:
    single = marked("flattened map") if bits == 8 else marked("pooled linear, logits")
    laid = laid_out([single], layout, bits)
    assert laid.bits == bits
    assert 0 < laid.agreement.difference <= {16: 0.01, 8: 0.1}[bits]
    assert 0 < (laid.agreement.relative or 0.0) <= {16: 0.001, 8: 0.02}[bits]
    whole = sum(laid_out([single], layout).sizes[layout])
    assert sum(laid.sizes[layout]) < (smaller * whole if bits == 16 else whole)
    back = laid_out(laid.models, "single")
    assert (back.bits, back.agreement.difference <= 1e-6) == (32, True)
    again = laid_out(laid.models, "split" if layout == "pipeline" else "pipeline")
    assert again.bits == bits
    assert laid_out(again.models, layout).models == laid.models


def test_weights_are_rounded_as_coremltools_rounds_them() -> None:
    """``quantize_weights`` of coremltools is the reference, for 16 bits and for 8."""
    from coremltools.models import MLModel
    from coremltools.models.neural_network import quantization_utils

    front = from_single(marked("flattened map")).extractor
    for bits in (16, 8):
        spec = quantization_utils.quantize_weights(MLModel(front, skip_model_load=True), bits)
        expected = network_of(spec if not hasattr(spec, "get_spec") else spec.get_spec()).layers
        for layer, reference in zip(network_of(with_bits(front, bits)).layers, expected, strict=True):
            if layer.WhichOneof("layer") == "convolution":
                result, wanted = layer.convolution.weights, reference.convolution.weights
                assert result.float16Value == wanted.float16Value
                assert result.rawValue == wanted.rawValue
                linear, theirs = result.quantization.linearQuantization, wanted.quantization.linearQuantization
                np.testing.assert_allclose(linear.scale, theirs.scale, rtol=1e-6)
                np.testing.assert_allclose(linear.bias, theirs.bias, rtol=1e-6)


def test_a_deconvolution_is_widened_along_its_own_channels() -> None:
    """As coremltools dequantizes it: scale and bias of the output channels, which stand second."""
    from coremltools.models.neural_network.quantization_utils import _dequantize_nn_spec, _quantize_nn_spec

    front = from_single(marked("pooled linear, logits")).extractor
    convolution = network_of(front).layers[0].convolution
    convolution.isDeconvolution = True
    convolution.kernelChannels, convolution.outputChannels = 3, 8
    for layer in list(network_of(front).layers)[1:]:
        layer.ClearField(layer.WhichOneof("layer"))
        layer.flatten.SetInParent()
    _quantize_nn_spec(network_of(front), 8, "_linear_quantization")
    wide = network_of(with_bits(front, 32)).layers[0].convolution.weights.floatValue
    _dequantize_nn_spec(network_of(front))
    np.testing.assert_allclose(wide, network_of(front).layers[0].convolution.weights.floatValue, atol=1e-6)


def test_weights_that_cannot_be_read_are_refused() -> None:
    halved = with_bits(from_single(marked("pooled linear, logits")).extractor, 16)
    network_of(halved).layers[0].convolution.weights.float16Value += b"x"
    with pytest.raises(ModelError, match="weights end with half of a 16-bit number"):
        with_bits(halved, 32)
    quantized = from_single(marked("pooled linear, logits")).extractor
    layer = network_of(quantized).layers[1]
    layer.Clear()
    layer.scale.scale.rawValue = b"x"
    with pytest.raises(
        ModelError, match=r"layers\[1\] '': is a scale with quantized weights, expected these only in conv"
    ):
        with_bits(quantized, 32)


def test_a_foreign_pair_is_joined() -> None:
    """Without our joints, with names in both, and an extractor in the old mapping before a head in the new one."""
    parts = from_single(marked("two layers"))
    front = from_single(valid.classifier()).extractor
    old = from_files(front, _head_for(front))
    for pair in (parts, old):
        head = pair.head
        network_of(head).layers[-1].name = network_of(pair.extractor).layers[0].name
        assert laid_out([to_pipeline(pair)], "single").agreement.difference <= 1e-6
    joined = to_single(old)
    assert len({str(layer.name) for layer in network_of(joined).layers}) == len(network_of(joined).layers)


def _head_for(front: Model) -> Model:
    """A new head that reads what ``front`` gives, under the exact mapping, without a joint of its own."""
    length = int(front.description.output[0].type.multiArrayType.shape[0])
    wide = from_single(marked("pooled linear, softmax")).head
    wide.description.input[0].CopyFrom(front.description.output[0])
    wide.description.trainingInput[0].CopyFrom(front.description.output[0])
    layers = network_of(wide).layers
    layers[0].reshapeStatic.targetShape[:] = [1, length, 1, 1]
    layers[1].innerProduct.inputChannels = length
    del layers[1].innerProduct.weights.floatValue[:]
    layers[1].innerProduct.weights.floatValue.extend(np.random.default_rng(0).normal(0, 0.1, 3 * length).tolist())
    return wide


def refused() -> dict[str, tuple[list[Model], str, int | None, str]]:
    single = marked("pooled linear, logits")
    parts = from_single(single)
    files = list(to_files(parts))
    other = list(to_files(from_single(marked("squeezed linear"))))
    wide = list(to_files(from_single(marked("flattened map"))))
    nameless = valid.nearest_neighbors()
    three = valid.pipeline()
    pipeline_of(three).models.add().CopyFrom(pipeline_of(three).models[-1])
    frozen = to_pipeline(parts)
    pipeline_of(frozen).models[1].isUpdatable = False
    through = to_pipeline(parts)
    through.description.output.add().CopyFrom(through.description.input[0])
    shown = marked("pooled linear, logits")
    network = network_of(shown)
    shown.description.output.add(name=network.layers[0].output[0]).type.multiArrayType.shape.append(1)
    branches = valid.classifier()
    layers = network_of(branches).layers
    layers[-1].softmax.SetInParent()
    added = type(layers[0])(name="sum", input=["fc", "relu"], output=["sum"])
    added.add.SetInParent()
    layers.insert(4, added)
    layers[-1].input[0] = "sum"
    shapeless, whole = valid.classifier(), valid.plain()
    for _ in range(3):
        shapeless.description.input[0].type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=1, upperBound=-1)
    network_of(whole).layers[0].isUpdatable = True
    vision = to_pipeline(parts)
    foreign = pipeline_of(vision).models[0]
    foreign.visionFeaturePrint.scene.version = 1
    tampered = list(to_files(parts))
    hollow = to_pipeline(parts)
    pipeline_of(hollow).models[0].ClearField("neuralNetwork")
    several = list(to_files(parts))
    several[1].description.input.add(name="x")
    network_of(tampered[0]).layers[0].convolution.bias.floatValue[0] += 1
    nan, large = marked("pooled linear, logits"), marked("pooled linear, logits")
    network_of(nan).layers[0].convolution.weights.floatValue[0] = float("nan")
    network_of(large).layers[0].convolution.weights.floatValue[0] = 1e6
    return {
        "not marked": ([converted("pooled linear, logits")], "split", None, "has no updatable layer"),
        "a lone k-NN": ([nameless], "split", None, "is a k-NN without an extractor"),
        "already a head": ([whole], "split", None, "layers[0] 'fc1': reads the input 'x' directly, expected frozen la"),
        "two branches": ([branches], "split", None, "head: reads 2 blobs of the frozen part ('flatten', 'relu'), exp"),
        "a second output": ([shown], "pipeline", None, "comes from a frozen layer, expected only outputs of the head"),
        "no fixed shape": ([shapeless], "split", None, "blob 'flatten': its shape is [1, 1, None, 1, 1], exp"),
        "three members": ([three], "split", None, "pipeline: contains 3 models, expected an extractor and a head"),
        "an input as an answer": ([through], "split", None, "output 'image': does not come from the head"),
        "a frozen pipeline": ([frozen], "single", None, "pipeline: expected its last model, and only that, to be upd"),
        "vision": ([vision], "single", None, "extractor: is a visionFeaturePrint, expected a plain network; only"),
        "vision, 16 bits": ([vision], "split", 16, "is a visionFeaturePrint, expected a plain network"),
        "two heads": ([files[1], other[1]], "single", None, "files: both are updatable, expected a frozen extractor"),
        "two extractors": (
            [files[0], other[0]],
            "single",
            None,
            "files: neither is updatable, expected a frozen extrac",
        ),
        "other lengths": (
            [files[0], wide[1]],
            "single",
            None,
            "head: reads 'features' as MultiArray (Float32 32), but th",
        ),
        "other features": ([extractor(single), files[1]], "single", None, "head: reads 'features', but the extractor"),
        "a changed extractor": (tampered, "pipeline", None, "files: the head belongs to another extractor"),
        "an empty member": ([hollow], "split", None, "extractor: contains no model; build it again"),
        "two inputs": (several, "pipeline", None, "head: has 2 inputs ('features', 'x'), expected 1, the extractor"),
        "three files": ([*files, files[0]], "single", None, "files: found 3, expected one model, or the extractor"),
        "none": ([], "single", None, "files: found 0, expected one model, or the extractor and the head of a split"),
        "16 bits in one": ([single], "single", 16, "a single network with 16 bits cannot be trained, expected 32"),
        "odd bits": ([single], "split", 12, "bits: found 12, expected 32, 16 or 8; choose one of them"),
        "another layout": ([single], "double", None, "layout: found 'double', expected one of single, pipeline, split"),
        "NaN": ([nan], "split", 16, "weights contain NaN or infinite numbers, expected finite ones; train again"),
        "too large": ([large], "split", 16, "weights hold 1e+06, 16 bits hold 65504 at most; keep 32 bits"),
    }


def test_what_cannot_be_laid_out() -> None:
    for name, (models, layout, bits, sentence) in refused().items():
        with pytest.raises(ModelError) as raised:
            laid_out(models, layout, bits)
        assert sentence in str(raised.value), name
        assert "\n" not in str(raised.value), name


def test_a_target_of_absurd_size_is_not_made() -> None:
    model = valid.plain()
    model.description.trainingInput[1].type.multiArrayType.shape[:] = [2**40, 2**20]
    with pytest.raises(BuildError, match="training input 'y_true': declares the size"):
        laid_out([model], "split")


def test_a_result_that_breaks_a_rule_or_answers_otherwise_is_not_given() -> None:
    broken = marked("pooled linear, logits")
    broken.description.predictedProbabilitiesName = "gone"
    with pytest.raises(BuildError, match=r"layout: .*\(error "):
        laid_out([broken], "split")
    rough = marked("pooled linear, logits")  # 8 bits cannot tell its small weights from its large ones
    for layer in network_of(rough).layers:
        if layer.WhichOneof("layer") == "convolution":
            weights, channels = layer.convolution.weights.floatValue, int(layer.convolution.outputChannels)
            for start in range(0, len(weights), len(weights) // channels):
                weights[start : start + 2] = [10.0, -10.0]
        elif layer.isUpdatable:
            layer.innerProduct.weights.floatValue[:] = [10 * value for value in layer.innerProduct.weights.floatValue]
    with pytest.raises(BuildError, match=r"layout: the predictions differ from those before by .*keep more bits"):
        laid_out([rough], "split", 8)
