"""A Keras model as a torch module that takes pictures with the channels first."""

from collections.abc import Sequence
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.conversion import ImageInput

from .keras_inputs import Input, has_channels_first
from .keras_reading import import_keras


def module_of(model: Any, inputs: Sequence[Input]) -> nn.Module:
    """The model in evaluation mode; one sigmoid at its end is taken apart into two logits, for no and yes."""
    keras = import_keras()
    _pool_as_torch_does(keras, model)
    last = model.layers[-1]
    single = isinstance(last, keras.layers.Dense) and last.units == 1 and last.activation is keras.activations.sigmoid
    front = keras.Model(model.inputs, last.input) if single else model
    pictures = [
        isinstance(given, ImageInput) and not has_channels_first(given, tensor)
        for given, tensor in zip(inputs, model.inputs, strict=True)
    ]

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.front = front
            self.two = _two_logits(last) if single else None

        def forward(self, *batches: Tensor) -> Tensor:
            pairs = zip(batches, pictures, strict=True)
            seen = [batch.permute(0, 2, 3, 1) if picture else batch for batch, picture in pairs]
            answer: Tensor = self.front(seen if len(seen) > 1 else seen[0], training=False)
            return answer if self.two is None else self.two(answer)

    return Module()


def _two_logits(dense: Any) -> nn.Linear:
    """sigmoid(z) is softmax((-z / 2, z / 2)): halving loses nothing."""
    with torch.no_grad():
        weights, bias = dense.kernel.value.T / 2, dense.bias.value / 2 if dense.use_bias else torch.zeros(1)
        two = nn.Linear(weights.shape[1], 2)
        two.weight.copy_(torch.cat([-weights, weights]))
        two.bias.copy_(torch.cat([-bias, bias]))
    return two


def _pool_as_torch_does(keras: ModuleType, model: Any) -> None:
    """A mean over the axes in the middle is no pooling to Core ML; over the last two, which torch pools, it is."""
    for layer in model._flatten_layers():
        if type(layer) is keras.layers.GlobalAveragePooling2D and layer.data_format == "channels_last":
            layer.call = partial(_mean_of_pictures, keepdims=layer.keepdims)


def _mean_of_pictures(inputs: Tensor, *, keepdims: bool) -> Tensor:
    """[n, height, width, channels] -> [n, channels], or [n, 1, 1, channels]."""
    pooled = functional.adaptive_avg_pool2d(inputs.permute(0, 3, 1, 2), 1)
    return pooled.permute(0, 2, 3, 1) if keepdims else pooled.flatten(1)
