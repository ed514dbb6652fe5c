"""Every kind of layer that stores weights: as many as it declares, and not one less."""

from collections.abc import Callable

import pytest

from coreml_updatable.checking import check
from coreml_updatable.checking.stored_weights import declared_weights
from coreml_updatable.spec.messages import Model, Model_pb2, NeuralNetworkLayer
from coreml_updatable.spec.storage import weight_fields
from tests.runtime.mutations import layer_kinds

_LSTM = {"params": {"hasBiasVectors": True, "hasPeepholeVectors": True}, "inputVectorSize": 2, "outputVectorSize": 3}
_RECURRENT = {"inputVectorSize": 2, "outputVectorSize": 3}
SETTINGS: dict[str, dict[str, object]] = {
    "convolution": {"outputChannels": 4, "kernelChannels": 1, "nGroups": 2, "kernelSize": [3, 2], "hasBias": True},
    "convolution3d": {
        "outputChannels": 4, "inputChannels": 2, "nGroups": 2, "kernelDepth": 1, "kernelHeight": 2, "kernelWidth": 3,
        "hasBias": True,
    },
    "innerProduct": {"inputChannels": 3, "outputChannels": 2, "hasBias": True},
    "batchedMatmul": {"weightMatrixFirstDimension": 3, "weightMatrixSecondDimension": 2, "hasBias": True},
    "embedding": {"inputDim": 5, "outputChannels": 2, "hasBias": True},
    "embeddingND": {"vocabSize": 5, "embeddingSize": 2, "hasBias": True},
    "batchnorm": {"channels": 3},
    "scale": {"shapeScale": [2], "shapeBias": [2, 1, 1], "hasBias": True},
    "bias": {"shape": [2, 3, 1]},
    "loadConstant": {"shape": [2, 1, 3]},
    "loadConstantND": {"shape": [2, 3]},
    "layerNormalization": {"normalizedShape": [2, 3]},
    "simpleRecurrent": {**_RECURRENT, "hasBiasVector": True},
    "gru": {**_RECURRENT, "hasBiasVectors": True},
    "uniDirectionalLSTM": _LSTM,
    "biDirectionalLSTM": _LSTM,
}  # fmt: skip


def network(kind: str) -> tuple[Model, NeuralNetworkLayer]:
    """A network of one layer of ``kind`` whose weights are all as long as they should be."""
    layer = type(Model_pb2.Model().neuralNetwork.layers.add())(
        **{"name": "layer", "input": ["x"], kind: SETTINGS[kind]}
    )
    if kind == "biDirectionalLSTM":
        for _ in range(2):
            layer.biDirectionalLSTM.weightParams.add()
    for declared in declared_weights(layer):
        declared.weights.floatValue.extend([0.5] * declared.count)
    model = Model_pb2.Model(specificationVersion=4)
    model.neuralNetwork.layers.add().CopyFrom(layer)
    return model, model.neuralNetwork.layers[0]


def broken(model: Model) -> list[str]:
    return [problem.where for problem in check(model) if problem.rule == "N2.4"]


def test_every_kind_that_stores_weights_is_here() -> None:
    storing = set()
    for kind in layer_kinds():
        layer = Model_pb2.Model().neuralNetwork.layers.add()
        fields = getattr(layer, kind).DESCRIPTOR.fields
        names = {field.message_type.name for field in fields if field.message_type is not None}
        if names & {"WeightParams", "LSTMWeightParams"}:
            storing.add(kind)
    assert storing - {"custom"} == set(SETTINGS)


@pytest.mark.parametrize("kind", SETTINGS)
def test_all_weight_fields_are_declared_and_counted(kind: str) -> None:
    model, layer = network(kind)
    assert broken(model) == []
    fields = [weights for _, weights in weight_fields(layer)]
    assert len(fields) == len(list(declared_weights(layer)))
    for weights in fields:
        kept = list(weights.floatValue)
        weights.floatValue.append(0.5)
        assert len(broken(model)) == 1
        weights.floatValue[:] = kept[:-1]
        assert len(broken(model)) == (0 if kind in ("innerProduct", "batchedMatmul") and not kept[:-1] else 1)
        weights.floatValue[:] = kept


@pytest.mark.parametrize(
    ("kind", "change", "count"),
    [
        ("convolution", lambda p: p.ClearField("kernelSize"), 4 * 9),  # the format's default kernel is 3 × 3
        ("convolution", lambda p: setattr(p, "isDeconvolution", True), 1 * 2 * 6),
        ("batchnorm", lambda p: setattr(p, "computeMeanVar", True), 3),
    ],
)
def test_sizes_that_follow_from_other_settings(kind: str, change: Callable[[Model], None], count: int) -> None:
    _, layer = network(kind)
    change(getattr(layer, kind))
    assert next(declared_weights(layer)).count == count


def test_a_second_input_brings_the_weights() -> None:
    model, layer = network("batchedMatmul")
    layer.input.append("w")
    layer.batchedMatmul.weights.Clear()
    assert broken(model) == []


def test_packed_weights_need_room_for_all_and_a_scale_that_fits() -> None:
    model, layer = network("embedding")
    weights = layer.embedding.weights
    del weights.floatValue[:]
    weights.rawValue = bytes(5)  # ten numbers of 4 bits
    weights.quantization.numberOfBits = 4
    weights.quantization.linearQuantization.scale.extend([0.1, 0.2])
    assert broken(model) == []
    weights.rawValue = bytes(4)
    assert broken(model) == ["layers[0] 'layer': weights"]
