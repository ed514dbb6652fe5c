"""For Python 3.8: `make_pretrained.py FOLDER` writes a SqueezeNet 1.1 of random weights, for Keras and for Core ML.

The files have the names, the input and the layers by which Turi Create knows its own; only the weights are others.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from coremltools.models import MLModel, datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder
from tensorflow import keras

NAME = "squeezenet_v1.1-TuriCreate-6.0"
SIDE, FEATURES = 227, 1000
FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
POOLED_BEHIND = (1, 3)  # of the fires, besides the first convolution


class Both:
    """The same layers in Keras and in Core ML."""

    def __init__(self) -> None:
        self.random = np.random.RandomState(0)
        self.input = self.keras = keras.Input((SIDE, SIDE, 3), name="data")
        self.core = NeuralNetworkBuilder(
            [("data", datatypes.Array(3, SIDE, SIDE))], [("prob", datatypes.Array(FEATURES))], mode="classifier"
        )
        self.blob, self.channels = "data", 3

    def convolution(
        self, name: str, side: int, out: int, stride: int = 1, scale: float = 1.0, same: bool = True
    ) -> Any:
        """With ReLU; answers where both are now."""
        shape = (side, side, self.channels, out)
        kernels = self.random.normal(0, scale * np.sqrt(2 / np.prod(shape[:3])), shape).astype(np.float32)
        biases = self.random.normal(0, 0.05, out).astype(np.float32)
        layer = keras.layers.Conv2D(out, side, stride, "same" if same else "valid", activation="relu", name=name)
        tensor = layer(self.keras)
        layer.set_weights([kernels, biases])
        self.core.add_convolution(
            name, self.channels, out, side, side, stride, stride, "same" if same else "valid", 1, kernels, biases, True,
            input_name=self.blob, output_name=name,
        )  # fmt: skip
        self.core.add_activation(f"{name}_relu", "RELU", name, f"{name}_relu")
        return tensor, f"{name}_relu", out

    def go_to(self, place: Any) -> None:
        self.keras, self.blob, self.channels = place

    def pool(self, name: str) -> None:
        self.keras = keras.layers.MaxPooling2D(3, 2, name=name)(self.keras)
        self.core.add_pooling(name, 3, 3, 2, 2, "MAX", "VALID", self.blob, name)
        self.blob = name

    def fire(self, name: str, squeezed: int, expanded: int) -> None:
        self.go_to(self.convolution(f"{name}_squeeze", 1, squeezed))
        small = self.convolution(f"{name}_small", 1, expanded)
        large = self.convolution(f"{name}_large", 3, expanded)
        self.keras = keras.layers.Concatenate(name=name)([small[0], large[0]])
        self.core.add_elementwise(name, [small[1], large[1]], name, "CONCAT")
        self.blob, self.channels = name, 2 * expanded


def main(folder: str) -> None:
    both = Both()
    both.go_to(both.convolution("conv1", 3, 64, 2, scale=1 / 255, same=False))
    both.pool("pool1")
    for index, (squeezed, expanded) in enumerate(FIRES):
        both.fire(f"fire{index + 2}", squeezed, expanded)
        if index in POOLED_BEHIND:
            both.pool(f"pool{index + 2}")
    both.go_to(both.convolution("conv10", 1, FEATURES))
    features = keras.layers.GlobalAveragePooling2D(name="flatten")(both.keras)
    keras.Model(both.input, features).save(str(Path(folder) / f"{NAME}.h5"))
    core = both.core
    core.add_pooling("pool10", 1, 1, 1, 1, "AVERAGE", "VALID", both.blob, "pool10", is_global=True)
    core.add_flatten("flatten", 0, "pool10", "flatten")
    weights = np.zeros((FEATURES, FEATURES), np.float32)
    core.add_inner_product("fullyconnected0", weights, weights[0], FEATURES, FEATURES, True, "flatten", "scores")
    core.add_softmax("prob", "scores", "prob")
    core.set_pre_processing_parameters(image_input_names=["data"], is_bgr=True)
    core.set_class_labels([str(position) for position in range(FEATURES)], prediction_blob="prob")
    outputs = core.spec.description.output
    spread, label = sorted(outputs, key=lambda item: item.name != "prob")
    result = [type(item).FromString(item.SerializeToString()) for item in (spread, label)]
    del outputs[:]
    outputs.extend(result)
    MLModel(core.spec).save(str(Path(folder) / f"{NAME}.mlmodel"))


if __name__ == "__main__":
    main(*sys.argv[1:])
