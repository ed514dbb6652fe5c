"""An ONNX graph as a torch module, converted to the opset that onnx2torch reads."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from coreml_updatable.data.inputs import ArrayInput, Input
from coreml_updatable.errors import SourceError

from .._shared.wording import first_line

OLDEST, NEWEST = 13, 17
LEAST = "coreml_updatable_least"
MOST_VALUES = 2**28  # of any blob: 1 GB in 32 bits


def brought_to_opset(model: Any) -> Any:
    """Return an equivalent graph of opset 13 to 17; SourceError if ONNX cannot convert it."""
    import onnx
    from onnx.version_converter import convert_version

    result = onnx.ModelProto()
    result.CopyFrom(model)
    version = next((item.version for item in result.opset_import if item.domain in ("", "ai.onnx")), 0)
    _fold_identities(result.graph)
    _drop_allowzero(result.graph)
    _drop_empty_names(result.graph)
    if not OLDEST <= version <= NEWEST:
        try:
            result = convert_version(result, NEWEST)
        except Exception as error:  # of its C++ code
            raise SourceError(
                f"source: its opset {version} cannot be converted to {NEWEST} ({first_line(error)}); export it with "
                f"opset {NEWEST}"
            ) from error
    _check_sizes(result)
    _check_operators(result)
    return result


def _fold_identities(graph: Any) -> None:
    """Replace a duplicated initializer with an Identity of the first."""
    constants = {item.name for item in graph.initializer}
    outputs = {item.name for item in graph.output}
    kept, renamed = [], dict[str, str]()
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in constants and node.output[0] not in outputs:
            renamed[node.output[0]] = node.input[0]
            constants.add(node.output[0])
        else:
            kept.append(node)
    if not renamed:
        return
    for node in kept:
        node.input[:] = [_first_name(name, renamed) for name in node.input]
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(copies)


def _first_name(name: str, renamed: dict[str, str]) -> str:
    while name in renamed:
        name = renamed[name]
    return name


def _drop_allowzero(graph: Any) -> None:
    """Remove the flag of Reshape that opset 13 lacks, where 0 is the only behavior."""
    for node in graph.node:
        if node.op_type != "Reshape":
            continue
        kept = [item for item in node.attribute if item.name != "allowzero"]
        if len(kept) < len(node.attribute):
            if any(item.name == "allowzero" and item.i for item in node.attribute) and _has_zero(graph, node.input[1]):
                raise SourceError(f"source: {_place(node)} reshapes to a length of 0; export it without empty parts")
            del node.attribute[:]
            node.attribute.extend(kept)


def _drop_empty_names(graph: Any) -> None:
    """Remove names of inputs left out at the end, and give a Clip without a least value the least there is.

    onnx2torch takes an empty name for that of a value.
    """
    from onnx.numpy_helper import from_array

    without_least = []
    for node in graph.node:
        while node.input and not node.input[-1]:
            del node.input[-1]
        if node.op_type == "Clip" and len(node.input) == 3 and not node.input[1]:
            without_least.append(node)
    if without_least:
        graph.initializer.append(from_array(np.array(np.finfo(np.float32).min), LEAST))
    for node in without_least:
        node.input[1] = LEAST


def _has_zero(graph: Any, name: str) -> bool:
    from onnx.numpy_helper import to_array

    shapes = [to_array(item) for item in graph.initializer if item.name == name]
    return not shapes or bool((shapes[0] == 0).any())


def _check_sizes(model: Any) -> None:
    from onnx.shape_inference import infer_shapes

    inferred = infer_shapes(model, data_prop=True)
    for value in inferred.graph.value_info:
        count = 1
        for length in value.type.tensor_type.shape.dim:
            count *= max(length.dim_value, 1)
        if count > MOST_VALUES:
            raise SourceError(
                f"source: {value.name!r} has {count} values, expected at most {MOST_VALUES}; use a smaller network"
            )


def _check_operators(model: Any) -> None:
    from ..torch.architectures import import_torchvision

    import_torchvision()  # onnx2torch needs its detectors' operators to be there
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx2torch.node_converters import get_converter
    versions = {item.domain: item.version for item in model.opset_import}
    for node in model.graph.node:
        try:
            get_converter(node.op_type, versions.get(node.domain, 1), node.domain)
        except NotImplementedError as error:
            domain = f" of {node.domain}" if node.domain else ""
            raise SourceError(
                f"source: {_place(node)} is the operator {node.op_type!r}{domain}, opset "
                f"{versions.get(node.domain, 1)}, {_way_out(node)}"
            ) from error


def _way_out(node: Any) -> str:
    """What an operator that onnx2torch does not support is, and what can be done."""
    kind = str(node.op_type)
    if "QuantizeLinear" in kind or kind.startswith("QLinear") or kind.endswith("Integer"):
        return "of a quantized network, which cannot be trained; convert the network as it was before quantization"
    if node.domain == "ai.onnx.ml":
        return (
            "a step of a classic model, not a layer of a network; convert the fitted scikit-learn model itself, saved "
            "with skops"
        )
    if node.domain.startswith("com.microsoft"):
        return "which ONNX Runtime's optimizer writes for itself; convert the graph as it was before (ORT_DISABLE_ALL)"
    return "which onnx2torch does not support; export a network without it"


def _place(node: Any) -> str:
    return f"node {node.name!r}" if node.name else f"the node that writes {node.output[0]!r}"


def module_of(model: Any, inputs: Sequence[Input], last: Sequence[bool]) -> nn.Module:
    """The module that onnx2torch makes of the graph; integer inputs are converted to 64 bits, as in ONNX.

    ``last`` says which inputs are pictures [n, height, width, channels] in the graph; here all have the channels first.
    It returns a tensor, or several by their names in the graph.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx2torch import convert

        try:
            graph = convert(model).float()  # of weights in 16 or 64 bits, which Core ML computes with in 32
        except Exception as error:  # each operator's converter raises its own
            raise SourceError(
                f"source: onnx2torch cannot convert it ({type(error).__name__}: {first_line(error)}); export a "
                "simpler network"
            ) from error
    names = [str(item.name) for item in model.graph.output]
    makers = next(([str(item) for item in node.output] for node in model.graph.node if names[0] in node.output), [])
    whole = [isinstance(given, ArrayInput) and given.whole for given in inputs]

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.carried = graph

        def forward(self, *batches: Tensor) -> Any:
            ordered = [batch.permute(0, 2, 3, 1) if item else batch for batch, item in zip(batches, last, strict=True)]
            pairs = zip(ordered, whole, strict=True)
            answer = self.carried(*(batch.long() if long else batch for batch, long in pairs))
            if len(names) == 1 and len(makers) > 1 and isinstance(answer, tuple | list):
                return answer[makers.index(names[0])]  # onnx2torch gives all that the last operator writes
            return answer if isinstance(answer, Tensor) else dict(zip(names, answer, strict=True))

    return Module()
