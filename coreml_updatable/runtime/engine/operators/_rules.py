"""The table of rules, and the shapes, types and arguments of a recorded node."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, fx

from coreml_updatable.runtime.engine.onnx_graph import Writer

Args: TypeAlias = tuple[Any, ...]
Kwargs: TypeAlias = dict[str, Any]
OperatorRule: TypeAlias = Callable[[Writer, fx.Node, Args, Kwargs], Any]
RULES: dict[str, OperatorRule] = {}


def rule(*names: str) -> Callable[[OperatorRule], OperatorRule]:
    def known(function: OperatorRule) -> OperatorRule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return known


def shape_of(node: fx.Node, at: int | None = None) -> list[int]:
    """Of what the node makes, or of its argument ``at``."""
    return list(_value(node, at).shape)


def dtype_of(node: fx.Node, at: int | None = None) -> torch.dtype:
    return _value(node, at).dtype


def _value(node: fx.Node, at: int | None) -> Tensor:
    value: Any = node if at is None else node.args[at]
    if isinstance(value, fx.Node):
        value = value.meta["val"] if "val" in value.meta else _held(value)
    return value[0] if isinstance(value, tuple | list) else value  # type: ignore[no-any-return]  # a node's metadata are untyped


def _held(node: fx.Node) -> Tensor:
    """Return a constant of the graph."""
    value: Any = node.graph.owning_module
    for name in str(node.target).split("."):
        value = getattr(value, name)
    return value  # type: ignore[no-any-return]  # a node's metadata are untyped


def argument(args: Args, kwargs: Kwargs, index: int, name: str, default: Any = None) -> Any:
    return args[index] if len(args) > index else kwargs.get(name, default)


def tensor(writer: Writer, value: Any, node: fx.Node, index: int, dtype: torch.dtype) -> Any:
    """The argument ``at``, a tensor or a number, in ``dtype``."""
    if isinstance(value, bool | int | float):
        return torch.tensor(value, dtype=dtype)
    args = value.dtype if isinstance(value, Tensor) else dtype_of(node, index)
    return writer.cast(value, args, dtype)


def axes_of(axes: Any, rank: int) -> list[int]:
    """Return non-negative axes; all if none is given."""
    listed = [axes] if isinstance(axes, int) else list(axes or [])
    return sorted(axis % rank for axis in listed) if listed else list(range(rank))


def reshaped(writer: Writer, value: Any, shape: Sequence[int]) -> Any:
    # A size of 0 would mean "as before" without allowzero.
    return writer.emit("Reshape", value, writer.integers(shape), allowzero=1)


def sliced(writer: Writer, value: Any, axis: int, start: int, end: int, step: int = 1) -> Any:
    return writer.emit("Slice", value, *(writer.integers([item]) for item in (start, end, axis, step)))


def name_of(node: fx.Node) -> str:
    target: Any = node.target
    return str(target._schema.name.partition("::")[2])
