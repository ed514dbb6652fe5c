"""Networks as the first version of the format has them, which the ONNX route can read: a layer kind or two in each.

Left out, because the route itself fails on them: slices, the sum of logarithms, thresholded ReLU, scaled tanh,
PReLU, the cosine of two vectors. It knows no epsilon, so here they are too small to see, and no first state of a
recurrent layer other than zero.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

Add = Callable[[Any], None]
IMAGE = (4, 6, 6)
TINY = 1e-12
VECTOR = (5,)


def some(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def convolution(**settings: Any) -> Add:
    """Kernels of ``kernel``, over IMAGE; the rest as the builder names it."""
    height, width = settings.pop("kernel", (3, 3))
    groups, out = settings.get("groups", 1), settings.pop("out", 6)
    transposed = settings.pop("is_deconv", False)
    kernels = some(height, width, 4, out // groups) if transposed else some(height, width, 4 // groups, out)
    given: dict[str, Any] = {
        "kernel_channels": 4 if transposed else 4 // groups, "output_channels": out, "height": height,
        "width": width, "stride_height": 1, "stride_width": 1, "border_mode": "valid", "groups": 1,
        "W": kernels, "b": some(out), "has_bias": True, "is_deconv": transposed,
        "input_name": "x", "output_name": "y", **settings,
    }  # fmt: skip
    return lambda builder: builder.add_convolution("layer", **given)


def pooling(kind: str, padding: str, **settings: Any) -> Add:
    return lambda builder: builder.add_pooling("layer", 3, 3, 2, 2, kind, padding, "x", "y", **settings)


def activation(kind: str, params: Any = None) -> Add:
    return lambda builder: builder.add_activation("layer", kind, "x", "y", params)


def batchnorm(builder: Any) -> None:
    builder.add_batchnorm("layer", 4, some(4), some(4), some(4), np.abs(some(4)) + 1, "x", "y")


def inner_product(builder: Any) -> None:
    builder.add_inner_product("layer", some(3, 5), some(3), 5, 3, True, "x", "y")


def flat_product(builder: Any) -> None:
    builder.add_flatten("flat", 0, "x", "a")
    builder.add_inner_product("layer", some(3, 144), some(3), 144, 3, True, "a", "y")


def softmax(builder: Any) -> None:
    builder.add_softmax("layer", "x", "y")


def joined(mode: str) -> Add:
    def add(builder: Any) -> None:
        builder.add_activation("one", "RELU", "x", "a")
        builder.add_activation("two", "TANH", "x", "b")
        builder.add_elementwise("layer", ["a", "b"], "y", mode)

    return add


def unary(mode: str, **settings: Any) -> Add:
    def add(builder: Any) -> None:
        builder.add_activation("positive", "SIGMOID", "x", "a")
        builder.add_unary("layer", "a", "y", mode, epsilon=TINY, **settings)

    return add


def split(builder: Any) -> None:
    builder.add_split("layer", "x", ["a", "b"])
    builder.add_elementwise("sum", ["a", "b"], "y", "ADD")


def recurrent(kind: str) -> Add:
    """Over one step of 5 features; 3 of state. Weights are [out, in], in the order of the builder."""

    def add(builder: Any) -> None:
        gates = {"rnn": 1, "gru": 3, "lstm": 4}[kind]
        inner, outer, biases = ([some(3, size) for _ in range(gates)] for size in (3, 5, 1))
        b = [bias.ravel() for bias in biases]
        match kind:
            case "rnn":
                builder.add_simple_rnn(
                    "layer", inner[0], outer[0], b[0], 3, 5, "TANH", ["x", "h"], ["y", "h1"], output_all=True
                )
            case "gru":
                builder.add_gru("layer", inner, outer, b, 3, 5, ["x", "h"], ["y", "h1"], output_all=True)
            case "lstm":
                builder.add_unilstm("layer", inner, outer, b, 3, 5, ["x", "h", "c"], ["y", "h1", "c1"], output_all=True)

    return add


def small_classifier(builder: Any) -> None:
    """What people trained in the years of that route."""
    builder.add_convolution(
        "first", 4, 8, 3, 3, 1, 1, "same", 1, some(3, 3, 4, 8), some(8), True, input_name="x", output_name="a"
    )
    builder.add_batchnorm("norm", 8, some(8), some(8), some(8), np.abs(some(8)) + 1, "a", "b")
    builder.add_activation("relu", "RELU", "b", "c")
    builder.add_pooling("halved", 2, 2, 2, 2, "MAX", "VALID", "c", "d")
    builder.add_convolution(
        "second", 1, 8, 3, 3, 1, 1, "same", 8, some(3, 3, 1, 8), None, False, input_name="d", output_name="e"
    )
    builder.add_elementwise("shortcut", ["d", "e"], "f", "ADD")
    builder.add_flatten("flat", 0, "f", "g")
    builder.add_inner_product("product", some(3, 72) / 10, some(3), 72, 3, True, "g", "h")
    builder.add_softmax("softmax", "h", "y")


NETWORKS: dict[str, tuple[tuple[int, ...], Add]] = {
    "convolution valid": (IMAGE, convolution()),
    "convolution same": (IMAGE, convolution(border_mode="same")),
    "convolution same, even": (IMAGE, convolution(border_mode="same", kernel=(2, 4))),
    "convolution strided": (IMAGE, convolution(stride_height=2, stride_width=3)),
    "convolution same, strided": (IMAGE, convolution(border_mode="same", stride_height=2, stride_width=2)),
    "convolution in groups": (IMAGE, convolution(groups=2)),
    "convolution dilated": (IMAGE, convolution(dilation_factors=[2, 2])),
    "convolution padded": (IMAGE, convolution(padding_top=1, padding_left=2)),
    "deconvolution": (IMAGE, convolution(is_deconv=True, stride_height=2, stride_width=2)),
    "maximum": (IMAGE, pooling("MAX", "VALID")),
    "maximum same": (IMAGE, pooling("MAX", "SAME")),
    "mean": (IMAGE, pooling("AVERAGE", "VALID")),
    "mean same": (IMAGE, pooling("AVERAGE", "SAME", exclude_pad_area=True)),
    "maximum, last pixel": (IMAGE, pooling("MAX", "INCLUDE_LAST_PIXEL")),
    "root of squares": (IMAGE, pooling("L2", "VALID")),
    "mean of all": (IMAGE, pooling("AVERAGE", "VALID", is_global=True)),
    "maximum of all": (IMAGE, pooling("MAX", "VALID", is_global=True)),
    "batchnorm": (IMAGE, batchnorm),
    "mean and variance": (IMAGE, lambda b: b.add_mvn("layer", "x", "y", True, True, TINY)),
    "normalized by its length": ((4, 1, 1), lambda b: b.add_l2_normalize("layer", "x", "y", TINY)),
    "local response": (IMAGE, lambda b: b.add_lrn("layer", "x", "y", 0.5, 0.75, 3, 1.0)),
    "inner product": (VECTOR, inner_product),
    "inner product of a picture": (IMAGE, flat_product),
    "a small classifier": (IMAGE, small_classifier),
    "softmax": (VECTOR, softmax),
    "bias": (IMAGE, lambda b: b.add_bias("layer", some(4), "x", "y", [4])),
    "scale": (IMAGE, lambda b: b.add_scale("layer", some(4), some(4), True, "x", "y", [4], [4])),
    "flattened, channels last": (IMAGE, lambda b: b.add_flatten("layer", 1, "x", "y")),
    "permuted": (IMAGE, lambda b: b.add_permute("layer", (0, 2, 1, 3), "x", "y")),
    "reshaped": (IMAGE, lambda b: b.add_reshape("layer", "x", "y", (2, 6, 12), 0)),
    "padded": (IMAGE, lambda b: b.add_padding("layer", 1, 2, 0, 1, 0.5, "x", "y", "constant")),
    "padded by its edge": (IMAGE, lambda b: b.add_padding("layer", 1, 2, 0, 1, 0, "x", "y", "replication")),
    "padded by reflection": (IMAGE, lambda b: b.add_padding("layer", 1, 2, 0, 1, 0, "x", "y", "reflection")),
    "cropped": (IMAGE, lambda b: b.add_crop("layer", 1, 2, 2, 1, [0, 0], ["x"], "y")),
    "twice as large": (IMAGE, lambda b: b.add_upsample("layer", 2, 2, "x", "y", "NN")),
    "space to depth": (IMAGE, lambda b: b.add_reorganize_data("layer", "x", "y", "SPACE_TO_DEPTH", 2)),
    "depth to space": (IMAGE, lambda b: b.add_reorganize_data("layer", "x", "y", "DEPTH_TO_SPACE", 2)),
    "sum over channels": (IMAGE, lambda b: b.add_reduce("layer", "x", "y", "C", "sum")),
    "mean over pixels": (IMAGE, lambda b: b.add_reduce("layer", "x", "y", "HW", "avg")),
    "split and added": (IMAGE, split),
    "rectified": (IMAGE, activation("RELU")),
    "leaky": (IMAGE, activation("LEAKYRELU", [0.2])),
    "sigmoid": (IMAGE, activation("SIGMOID")),
    "hard sigmoid": (IMAGE, activation("SIGMOID_HARD", [0.3, 0.4])),
    "hyperbolic": (IMAGE, activation("TANH")),
    "linear": (IMAGE, activation("LINEAR", [2.0, -1.0])),
    "exponential": (IMAGE, activation("ELU", 0.7)),
    "soft sign": (IMAGE, activation("SOFTSIGN")),
    "soft plus": (IMAGE, activation("SOFTPLUS")),
    "parametric soft plus": (IMAGE, activation("PARAMETRICSOFTPLUS", [some(4), some(4)])),
    **{f"joined by {mode}": (IMAGE, joined(mode)) for mode in ("ADD", "MULTIPLY", "MAX", "MIN", "AVE", "CONCAT")},
    "joined along a sequence": (IMAGE, joined("SEQUENCE_CONCAT")),
    "product of two": (VECTOR, joined("DOT")),
    **{mode: (IMAGE, unary(mode)) for mode in ("sqrt", "rsqrt", "inverse", "exp", "log", "abs", "threshold")},
    "power": (IMAGE, unary("power", alpha=3)),
    "scaled and shifted": (IMAGE, unary("exp", scale=0.5, shift=0.25)),
    **{kind: (VECTOR, recurrent(kind)) for kind in ("rnn", "gru", "lstm")},
}
STATES = {"rnn": ["h"], "gru": ["h"], "lstm": ["h", "c"]}


def network(name: str) -> tuple[Any, dict[str, NDArray[np.float32]]]:
    """The message and a row for it."""
    shape, add = NETWORKS[name]
    states = STATES.get(name, [])
    inputs = [("x", datatypes.Array(*shape)), *((state, datatypes.Array(3)) for state in states)]
    outputs = [("y", None), *((f"{state}1", None) for state in states)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        builder = NeuralNetworkBuilder(inputs, outputs, disable_rank5_shape_mapping=False)
        add(builder)
    row = {"x": some(*shape), **{state: np.zeros(3, np.float32) for state in states}}
    return builder.spec, row
