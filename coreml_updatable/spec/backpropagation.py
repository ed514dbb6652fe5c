"""Through which layers Core ML can train: the kinds its format names for updatable networks."""

from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.messages import NeuralNetworkLayer

UPDATABLE_KINDS = ("convolution", "innerProduct", "uniDirectionalLSTM")
_PASSING_KINDS = (*UPDATABLE_KINDS, "flatten", "pooling", "batchnorm")
_PASSING_ACTIVATIONS = ("ReLU", "sigmoid", "tanh")


def passes_gradients(layer: NeuralNetworkLayer) -> bool:
    """Whether the gradient goes through ``layer``; the softmax in front of the loss is the caller's to allow."""
    kind = layer_kind(layer)
    if kind == "activation":
        return layer.activation.WhichOneof("NonlinearityType") in _PASSING_ACTIVATIONS
    return kind in _PASSING_KINDS


def can_be_updatable(layer: NeuralNetworkLayer) -> bool:
    return layer_kind(layer) in UPDATABLE_KINDS
