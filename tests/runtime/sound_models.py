"""Small sound models that hold many layer kinds, made with coremltools' builder; mutations start from them."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

from coreml_updatable.spec.messages import Model, Model_pb2
from tests.broken_models import valid

RANDOM = np.random.default_rng(0)


def _some(*shape: int) -> Any:
    return RANDOM.normal(size=shape).astype(np.float32)


def sound_models() -> list[Model]:
    """Networks of both shape mappings, classifiers, k-nearest neighbors, a pipeline."""
    return [
        valid.classifier(),
        valid.adam_classifier(),
        valid.plain(),
        valid.regressor(),
        valid.exact(),
        valid.filled_nearest_neighbors(),
        valid.pipeline(),
        *(_built((2, 6, 6), True, add) for add in (_spatial, _arranged, _quantized)),
        _built((4,), True, _recurrent),
        *(_built((2, 3, 4), False, add) for add in (_exact, _gathered, _controlled)),
    ]


def _built(shape: tuple[int, ...], rank5: bool, add: Callable[[Any], str]) -> Model:
    """A network x -> y of what ``add`` puts in; it says which blob is to be y."""
    builder = NeuralNetworkBuilder(
        [("x", datatypes.Array(*shape))], [("y", None)], disable_rank5_shape_mapping=not rank5
    )
    builder.add_copy("last", add(builder), "y")
    model = Model_pb2.Model()
    model.CopyFrom(builder.spec)
    return model


def _spatial(builder: Any) -> str:
    builder.add_convolution(
        "conv", 1, 4, 3, 3, 1, 1, "same", 2, _some(3, 3, 1, 4), _some(4), True, input_name="x", output_name="a"
    )
    builder.add_convolution(
        "up", 4, 2, 2, 2, 2, 2, "valid", 1, _some(2, 2, 4, 2), None, False, True, input_name="a", output_name="b"
    )
    builder.add_pooling("largest", 3, 3, 2, 2, "MAX", "SAME", "b", "c")
    builder.add_pooling("mean", 2, 2, 2, 2, "AVERAGE", "INCLUDE_LAST_PIXEL", "c", "d")
    builder.add_upsample("twice", 2, 2, "d", "e", mode="BILINEAR")
    builder.add_batchnorm("norm", 2, _some(2), _some(2), _some(2), np.abs(_some(2)), "e", "f")
    builder.add_activation("steep", "PRELU", "f", "g", _some(2))
    builder.add_lrn("local", "g", "h", 1.0, 0.5, 3)
    builder.add_mvn("moments", "h", "i")
    builder.add_l2_normalize("unit", "i", "j")
    builder.add_bias("bias", _some(2), "j", "k", [2])
    builder.add_scale("scale", _some(2), _some(2), True, "k", "l", [2], [2])
    builder.add_resize_bilinear("resize", "l", "m", 4, 4)
    builder.add_flatten("flat", 0, "m", "n")
    builder.add_inner_product("product", _some(3, 32), _some(3), 32, 3, True, "n", "o")
    builder.add_softmax("softmax", "o", "p")
    return "p"


def _arranged(builder: Any) -> str:
    builder.add_padding("pad", 1, 1, 2, 0, 0.5, "x", "a", "reflection")
    builder.add_crop("crop", 1, 1, 0, 1, [0, 0], ["a"], "b")
    builder.add_permute("permute", (0, 2, 1, 3), "b", "c")
    builder.add_slice("slice", "c", "d", "height", 0, -1, 1)
    builder.add_reshape("reshape", "x", "e", (8, 3, 3), 0)
    builder.add_reorganize_data("reorganize", "e", "f", "DEPTH_TO_SPACE", 2)
    builder.add_split("split", "x", ["g", "h"])
    builder.add_elementwise("concat", ["g", "h"], "i", "CONCAT")
    builder.add_elementwise("largest", ["i", "x"], "j", "MAX")
    builder.add_load_constant("constant", "k", _some(2, 6, 6), (2, 6, 6))
    builder.add_elementwise("sum", ["j", "k"], "l", "ADD")
    builder.add_reduce("reduce", "l", "m", "HW", "avg")
    builder.add_unary("root", "m", "n", "power", 2.0)
    builder.add_sequence_repeat("repeat", 2, "n", "o")
    return "o"


def _quantized(builder: Any) -> str:
    table = np.arange(16, dtype=np.float32)
    builder.add_convolution(
        "conv", 2, 2, 1, 1, 1, 1, "valid", 1, bytes(2), None, False,
        input_name="x", output_name="a", quantization_type="lut", quant_lut=table, nbits=4,
    )  # fmt: skip
    builder.add_inner_product(
        "product", bytes(range(144)), None, 72, 2, False, "a", "b",
        quantization_type="linear", quant_scale=_some(2), quant_bias=_some(2), nbits=8,
    )  # fmt: skip
    layer = builder.spec.neuralNetwork.layers.add(name="half", input=["a"], output=["c"]).bias
    layer.shape.append(2)
    layer.bias.float16Value = _some(2).astype("<f2").tobytes()
    return "c"


def _recurrent(builder: Any) -> str:
    def four(*shape: int) -> list[Any]:
        return [_some(*shape) for _ in range(4)]

    builder.add_unilstm(
        "lstm", four(3, 3), four(3, 4), four(3), 3, 4, ["x"], ["a"], peep=[_some(3)] * 3, output_all=True
    )
    builder.add_bidirlstm("both", four(2, 2), four(2, 3), four(2), four(2, 2), four(2, 3), four(2), 2, 3, ["a"], ["b"])
    builder.add_gru("gru", four(2, 2)[:3], four(2, 4)[:3], four(2)[:3], 2, 4, ["b"], ["c"])
    builder.add_simple_rnn("rnn", _some(3, 3), _some(3, 2), _some(3), 3, 2, "TANH", ["c"], ["d"])
    return "d"


def _exact(builder: Any) -> str:
    builder.add_transpose("transpose", (2, 0, 1), "x", "a")
    builder.add_expand_dims("expand", "a", "b", [0])
    builder.add_squeeze("squeeze", "b", "c", [0])
    builder.add_reduce_sum("sum", "c", "d", [1], True)
    builder.add_softmax_nd("softmax", "c", "e", -1)
    builder.add_concat_nd("concat", ["e", "c"], "f", 1)
    builder.add_stack("stack", ["e", "c"], "g", 0)
    builder.add_split_nd("split", "g", ["h", "i"], 0, 2)
    builder.add_slice_static("slice", "f", "j", [0, 0, 0], [3, 2, 2], [1, 1, 1], [False] * 3, [True] * 3)
    builder.add_tile("tile", "j", "k", [1, 2, 1])
    builder.add_layer_normalization("norm", "x", "l", (4,), _some(4), _some(4))
    builder.add_batched_mat_mul("product", ["l"], "m", weight_matrix_rows=4, weight_matrix_columns=2, W=_some(4, 2))
    builder.add_reshape_static("reshape", "m", "n", (2, -1))
    builder.add_clip("clip", "n", "o", -1.0, 1.0)
    builder.add_cumsum("running", "o", "p", -1)
    builder.add_constant_pad("pad", "p", "q", 0.5, False, [1, 1, 0, 2])
    builder.add_multiply_broadcastable("times", ["q", "q"], "r")
    builder.add_gelu("gelu", "r", "s", "TANH_APPROXIMATION")
    builder.add_reverse("reverse", "s", "t", [True, False])
    return "t"


def _gathered(builder: Any) -> str:
    builder.add_load_constant_nd("indices", "at", np.array([1, 0], np.float32), (2,))
    builder.add_gather("gather", ["x", "at"], "a", 1)
    builder.add_topk("top", ["x"], ["b", "c"], 2, -1)
    builder.add_argsort("order", "x", "d", -1)
    builder.add_argmax("best", "x", "e", 1, True)
    builder.add_one_hot("hot", ["at"], "f", 4)
    builder.add_where_nonzero("nonzero", "x", "h")
    builder.add_get_shape("shape", "x", "j")
    builder.add_range_static("range", "k", None, 5.0, 0.0, 1.0)
    builder.add_fill_static("fill", "l", (2, 3), 0.5)
    builder.add_random_normal_static("random", "m", (2, 3), 0.0, 1.0, 7)
    builder.add_sliding_windows("windows", "x", "n", -1, 2, 1)
    builder.add_broadcast_to_static("broadcast", "x", "o", (2, 2, 3, 4))
    builder.add_upper_triangular("triangle", "x", "p", 1)
    builder.add_scatter("scatter", ["x", "at", "a"], "q", 1, "ADD")
    builder.add_where_broadcastable("choose", ["x", "x", "p"], "r")
    builder.add_reshape_dynamic("as", ["x", "j"], "s")
    return "s"


def _controlled(builder: Any) -> str:
    builder.add_load_constant_nd("zero", "count", np.zeros(1, np.float32), (1,))
    builder.add_copy("start", "x", "sum")
    loop = builder.add_loop("loop", body_network=None, max_iterations=3).loop
    body = loop.bodyNetwork
    body.arrayInputShapeMapping = 1
    body.layers.add(name="twice", input=["sum", "x"], output=["more"]).addBroadcastable.SetInParent()
    body.layers.add(name="keep", input=["more"], output=["sum"]).copy.SetInParent()
    branch = builder.add_branch("branch", "count").branch
    for network, blob in ((branch.ifBranch, "sum"), (branch.elseBranch, "x")):
        network.arrayInputShapeMapping = 1
        network.layers.add(name=f"take {blob}", input=[blob], output=["taken"]).copy.SetInParent()
    return "taken"
