"""Operations over windows of pictures: convolution, pooling, resizing."""

# ruff: noqa: ARG001 - every rule has the same four arguments

from typing import Any

from torch import fx

from coreml_updatable.runtime.engine.onnx_graph import UnsupportedError, Writer
from coreml_updatable.runtime.engine.operators._rules import Args, Kwargs, argument, name_of, reshaped, rule, shape_of
from coreml_updatable.runtime.engine.tracing import borders


@rule("convolution")
def convolution(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    value, weights, bias, stride, padding, dilation, transposed, further, groups = args
    axes = len(shape_of(node)) - 2
    strides, pads, dilations, extra = (_spread(item, axes) for item in (stride, padding, dilation, further))
    ends = list(pads)
    folded = borders(node.args[0]) if axes == 2 and not transposed else None
    if folded is not None:
        left, right, top, bottom = folded[1]
        value = _before(writer, folded[0], args[0])
        if value is None:
            value = args[0]
        else:
            ends = [pads[0] + bottom, pads[1] + right]
            pads = [pads[0] + top, pads[1] + left]
    kept = {"strides": strides, "pads": [*pads, *ends], "dilations": dilations, "group": groups}
    if transposed:
        kept["output_padding"] = extra
    inputs = [value, weights] + ([] if bias is None else [bias])
    return writer.emit("ConvTranspose" if transposed else "Conv", *inputs, **kept)


def _before(writer: Writer, source: fx.Node, padded: Any) -> Any:
    """Return the name of the unpadded value, which the node that wrote ``padded`` reads."""
    del source
    for node in reversed(writer.nodes):
        if padded in node.output:
            return node.input[0]
    return None


def _spread(values: Any, axes: int) -> list[int]:
    listed = [values] if isinstance(values, int) else [int(value) for value in values]
    return listed * axes if len(listed) == 1 else listed


@rule("avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices")
def pool(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    name = name_of(node)
    axes = int(name.partition("pool")[2][0])
    kernel = _spread(args[1], axes)
    strides = _spread(argument(args, kwargs, 2, "stride") or kernel, axes)
    pads = _spread(argument(args, kwargs, 3, "padding", 0), axes)
    kept: dict[str, Any] = {"kernel_shape": kernel, "strides": strides, "pads": [*pads, *pads]}
    value, shape = args[0], shape_of(node, 0)
    batched = len(shape) == axes + 2
    if not batched:
        value = reshaped(writer, value, [1, *shape])
    if name.startswith("max"):
        kept["dilations"] = _spread(argument(args, kwargs, 4, "dilation", 1), axes)
        kept["ceil_mode"] = int(bool(argument(args, kwargs, 5, "ceil_mode", False)))
        result = writer.emit("MaxPool", value, **kept)
    else:
        if argument(args, kwargs, 6, "divisor_override") is not None:
            raise UnsupportedError("an average with its own divisor")
        kept["ceil_mode"] = int(bool(argument(args, kwargs, 4, "ceil_mode", False)))
        kept["count_include_pad"] = int(bool(argument(args, kwargs, 5, "count_include_pad", True)))
        result = writer.emit("AveragePool", value, **kept)
    result = result if batched else reshaped(writer, result, shape_of(node))
    return (result, None) if name.startswith("max") else result


@rule("upsample_nearest2d", "upsample_bilinear2d")
def upsample(writer: Writer, node: fx.Node, args: Args, kwargs: Kwargs) -> Any:
    kept: dict[str, Any] = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    if name_of(node) == "upsample_bilinear2d":
        aligned = bool(argument(args, kwargs, 2, "align_corners", False))
        kept = {"mode": "linear", "coordinate_transformation_mode": "align_corners" if aligned else "half_pixel"}
    return writer.emit("Resize", args[0], "", "", writer.integers(shape_of(node)), **kept)
