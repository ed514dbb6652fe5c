"""Sound models that `mark` takes, with everything that it repairs; mutations start from them."""

import numpy as np

from coreml_updatable.marking import mark
from coreml_updatable.marking.layouts import from_single, to_pipeline
from coreml_updatable.spec.messages import Model, Model_pb2
from tests.broken_models import valid
from tests.marking import layered
from tests.marking.linear_models import glm, of_words
from tests.marking.networks import converted
from tests.marking.test_lstm import recurrent_classifier
from tests.marking.test_mark import SETTINGS

_LABELS = ("a", "b", "c")


def markable_models() -> list[Model]:
    """Layers that are folded, cleared and widened; converted networks; linear models, a pipeline, marked models."""
    random = np.random.default_rng(0)
    linear = glm(list(_LABELS), random.normal(size=(2, 4)), random.normal(size=2))
    return [
        layered.classifier(layered.bias, layered.scale, layered.linear),
        layered.classifier(
            layered.batchnorm, _relu, layered.with_constant("multiplyBroadcastable"), constant=(6, 1, 1)
        ),
        layered.classifier(_clip, layered.bias_in_halves, _leaky),
        layered.classifier(layered.with_constant("addBroadcastable"), shape=(1, 5), constant=(6,)),
        layered.classifier(layered.batchnorm, _quantized, shape=(5,)),
        mark(layered.classifier(layered.bias, _leaky), SETTINGS, last=2, reserved=2),
        _turned(),
        converted("squeezed linear", labels=_LABELS),
        converted("hard swish"),
        converted("mean of a sequence", labels=_LABELS),
        converted("convolution before pooling", image=True),
        recurrent_classifier(),
        linear,
        of_words(["u", "v", "w", "x"], linear, list(_LABELS)),
        valid.classifier(),
        valid.plain(),
        valid.regressor(),
        valid.exact(),
        to_pipeline(from_single(mark(converted("pooled linear, softmax", labels=_LABELS), SETTINGS))),
    ]


def _relu(layer: Model) -> None:
    layer.activation.ReLU.SetInParent()


def _clip(layer: Model) -> None:
    layer.clip.minVal, layer.clip.maxVal = 0, 6


def _leaky(layer: Model) -> None:
    layer.activation.leakyReLU.alpha = 0.1


def _quantized(layer: Model) -> None:
    """An innerProduct [6, 6] of 4-bit numbers from a table."""
    params = layer.innerProduct
    params.inputChannels = params.outputChannels = layered.WIDTH
    params.weights.rawValue = bytes(range(18))
    params.weights.quantization.numberOfBits = 4
    params.weights.quantization.lookupTableQuantization.floatValue.extend(np.linspace(-1, 1, 16))


def _turned() -> Model:
    """A picture [1, 2, 3, 3], its channels put last and laid flat before the head, as Keras does."""
    model = Model_pb2.Model()
    model.CopyFrom(layered.classifier(shape=(1, 5, 1, 1)))
    model.description.input[0].type.multiArrayType.shape[:] = [1, 2, 3, 3]
    layers = model.neuralNetworkClassifier.layers
    last, softmax = layers[1], layers[2]
    kept = [type(last).FromString(layer.SerializeToString()) for layer in (last, softmax)]
    del layers[:]
    turned = layers.add(name="turned", input=["x"], output=["turned"])
    turned.transpose.axes.extend([0, 2, 3, 1])
    bent = layers.add(name="bent", input=["turned"], output=["bent"])
    bent.activation.ReLU.SetInParent()
    flat = layers.add(name="flat", input=["bent"], output=["blob0"])
    flat.reshapeStatic.targetShape.extend([1, 18, 1, 1])
    layers.add().CopyFrom(layered.dense("first", "blob0", "first", 18, layered.WIDTH))
    kept[0].input[0] = "first"
    layers.extend(kept)
    return model
