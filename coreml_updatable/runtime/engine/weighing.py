"""Check the memory and work of every torch operation before it allocates.

Every operation of a run, whatever layer, loop, batch or gradient it belongs to, passes through one dispatch mode of
torch below ``torch.vmap`` and autograd. It computes the sizes of an operation's outputs from its actual inputs, adds
them to what the run holds, and refuses operations that exceed the bounds. The usual operations have a rule here;
torch's own shape functions (on the meta device), which take seconds to import, are used for the others if their results
could be large.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from coreml_updatable.bounds import Run, current

SMALL = 2**20  # values of an output that need no closer look
OVERHEAD = 200_000  # operations: Python and torch take about 20 microseconds for each call
PER_VALUE = 40  # operations for each value read or written, most of it for memory
PER_SORTED = 1000
LARGEST_VALUE = 8  # bytes
SORTED = {"sort", "topk", "argsort", "kthvalue", "median", "unique", "_unique2", "index_put", "_index_put_impl"}
PRODUCTS = {"mm", "bmm", "addmm", "baddbmm", "addmv", "mv", "dot", "linear"}
FORWARD, BACKWARD = "convolution", "convolution_backward"
OF_NUMBERS = {"arange", "linspace", "logspace"}  # their sizes are computed from fractions
NO_LARGER = {  # each output has at most as many values as the largest input
    "_log_softmax", "_log_softmax_backward_data", "_softmax", "_softmax_backward_data", "_to_copy", "all", "amax",
    "amin", "aminmax", "any", "argmax", "argmin", "clone", "copy", "cumprod", "cumsum", "empty_like", "flip",
    "full_like", "index_put", "lift_fresh", "logsumexp", "max", "mean", "min", "native_batch_norm", "native_group_norm",
    "native_layer_norm", "norm", "ones_like", "prod", "roll", "scatter", "scatter_add", "sort", "std", "sum", "topk",
    "tril", "triu", "var", "var_mean", "zeros_like",
}  # fmt: skip
TOGETHER = {"cat", "convolution_backward", "stack"}  # all outputs together have at most as many as all inputs
POOLS = {"avg_pool2d", "avg_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices"}
FULL = {"empty", "full", "ones", "zeros"}
_views: dict[Any, bool] = {}


@contextmanager
def weighed() -> Iterator[None]:
    """Check every operation inside, as part of the surrounding run."""
    run = current()
    if run is None or run.weighs:
        yield
        return
    run.weighs = True
    try:
        with _Weighing(run):
            yield
    finally:
        run.weighs = False


class _Weighing(TorchDispatchMode):
    def __init__(self, run: Run) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own is untyped
        self._run = run

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: asking torch's compiler would import it, which takes seconds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        run = self._run
        run.count(OVERHEAD)
        if _is_view(func):
            return func(*args, **kwargs)
        given = tree_flatten((args, kwargs))[0]
        inputs = [value for value in given if isinstance(value, Tensor)]
        rough = _rough(func, given)
        closely = rough > SMALL or run.held + LARGEST_VALUE * rough > run.memory
        if closely:
            size, values = _sizes(func, args, kwargs, inputs, rough, run.memory)
            run.expect(size + _scratch(func, args, inputs, values))
            run.count(_work(func, args, inputs, values))
        result = func(*args, **kwargs)
        tensors = [value for value in tree_flatten(result)[0] if isinstance(value, Tensor)]
        if not closely:
            run.count(_work(func, args, inputs, sum(tensor.numel() for tensor in tensors)))
        known = {tensor.untyped_storage()._cdata for tensor in inputs}
        run.hold([tensor for tensor in tensors if tensor.untyped_storage()._cdata not in known])
        return result


def _is_view(func: Any) -> bool:
    """Return whether the operation only returns memory of its inputs and writes nothing."""
    if func not in _views:
        aliases = [item.alias_info for item in func._schema.returns]
        views = bool(aliases) and all(alias is not None and not alias.is_write for alias in aliases)
        _views[func] = views or _name(func) == "_unsafe_view"
    return _views[func]


def _in_place(func: Any) -> bool:
    """Return whether the operation writes its result into an input."""
    return all(item.alias_info is not None and item.alias_info.is_write for item in func._schema.returns)


def _name(func: Any) -> str:
    return str(func._schema.name).partition("::")[2].rstrip("_")


def _rough(func: Any, given: list[Any]) -> int:
    """Return an upper bound on the values of an operation: no shape function of torch gives more than the product of
    all input sizes and integer arguments."""
    if _name(func) in OF_NUMBERS:
        return 2 * SMALL
    factor = 1
    for value in given:
        if isinstance(value, Tensor):
            factor *= max(1, value.numel(), value.numel() * value.dim())  # nonzero returns one value per axis
        elif isinstance(value, int) and not isinstance(value, bool):
            factor *= max(1, 2 * abs(value))
    return factor


def _sizes(func: Any, args: Any, kwargs: Any, inputs: list[Tensor], rough: int, most: int) -> tuple[int, int]:
    """Return the bytes that an operation will allocate for its outputs, and the number of values in them."""
    values = _values(func, args, inputs)
    if values is not None and torch.Tag.pointwise in func.tags and _in_place(func):
        return 0, values
    if values is not None:
        first = max((tensor.element_size() for tensor in inputs), default=4)
        return values * (first + LARGEST_VALUE * (len(func._schema.returns) - 1)), values
    try:
        on_meta = {"device": "meta", "pin_memory": None} if "device" in kwargs else {}
        result = func(*tree_map(_meta, args), **{**tree_map(_meta, kwargs), **on_meta})
    except Exception:  # no shape function, or the operation itself will be refused
        if LARGEST_VALUE * rough > most:
            raise
        return LARGEST_VALUE * rough, rough
    tensors = [tensor for tensor in tree_flatten(result)[0] if isinstance(tensor, Tensor)]
    return sum(t.numel() * t.element_size() for t in tensors), sum(t.numel() for t in tensors)


def _values(func: Any, args: Any, inputs: list[Tensor]) -> int | None:
    """Return the most values in the first output of an operation, if there is a rule for it; else None."""
    name = _name(func)
    if torch.Tag.pointwise in func.tags:
        return _broadcast([tensor.shape for tensor in inputs])
    if name in NO_LARGER:
        return max((tensor.numel() for tensor in inputs), default=1)
    if name in TOGETHER:
        return sum(tensor.numel() for tensor in inputs)
    if name in POOLS:  # padding is at most half of a kernel
        axes = int(name.rpartition("pool")[2][0])
        return prod((*inputs[0].shape[:-axes], *(length + 1 for length in inputs[0].shape[-axes:])))
    if name in ("mm", "bmm", "addmm", "baddbmm"):
        return prod(inputs[-2].shape[:-1]) * inputs[-1].shape[-1]
    if name in FULL:
        return int(prod(args[0]))
    if name == "repeat":
        return int(inputs[0].numel() * prod(args[1]))
    if name == "index":
        return _indexed(inputs[0], args[1])
    if name == "gather":
        return inputs[-1].numel()
    if name == "index_select":
        return inputs[0].numel() // max(1, inputs[0].shape[args[1]] if inputs[0].dim() else 1) * inputs[1].numel()
    if name == "constant_pad_nd":
        borders = [low + high for low, high in zip(args[1][::2], args[1][1::2], strict=True)]
        lengths = list(inputs[0].shape)
        for axis, border in enumerate(borders, 1):
            lengths[-axis] += border
        return prod(max(0, length) for length in lengths)
    if name == FORWARD:
        return _convolved(*args[:2], *args[3:9])
    if name == "nonzero":
        return inputs[0].numel() * max(1, inputs[0].dim())
    return None


def _broadcast(shapes: list[torch.Size]) -> int:
    """Return the number of values after broadcasting; ``torch.broadcast_shapes`` takes a millisecond for it."""
    return prod(max(lengths) for lengths in zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1))


def _indexed(x: Tensor, indices: Any) -> int:
    given = [index for index in indices if index is not None]
    if any(index.dtype == torch.bool for index in given):
        return x.numel()
    left = prod(length for axis, length in enumerate(x.shape) if axis >= len(indices) or indices[axis] is None)
    return left * _broadcast([index.shape for index in given])


def _convolved(
    x: Tensor, weight: Tensor, stride: Any, padding: Any, dilation: Any, transposed: bool, more: Any, groups: int
) -> int:
    """torch.nn.Conv2d and ConvTranspose2d give the formulas."""
    reach = [step * (length - 1) for step, length in zip(dilation, weight.shape[2:], strict=True)]
    sizes = zip(x.shape[2:], reach, stride, padding, more, strict=True)
    if transposed:
        channels = groups * weight.shape[1]
        lengths = [(n - 1) * step + far - 2 * pad + extra + 1 for n, far, step, pad, extra in sizes]
    else:
        channels = weight.shape[0]
        lengths = [(n + 2 * pad - far - 1) // step + 1 for n, far, step, pad, _ in sizes]
    return int(x.shape[0] * channels * prod(max(0, length) for length in lengths))


def _meta(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")


def _scratch(func: Any, args: Any, inputs: list[Tensor], values: int) -> int:
    """Return the bytes that a kernel allocates besides its outputs: convolutions copy to other layouts (measured).

    A 2d convolution copies an input that is not channels-last; others and gradients copy their outputs as well.
    """
    name = _name(func)
    if name not in (FORWARD, BACKWARD):
        return 0
    read = sum(tensor.numel() for tensor in inputs)
    if name == FORWARD and inputs[0].dim() == 4 and not args[6]:
        channels_last = inputs[0].is_contiguous(memory_format=torch.channels_last)
        return 4 * (read - inputs[0].numel() if channels_last else read)
    return 4 * (read + 2 * values)


def _work(func: Any, args: Any, inputs: list[Tensor], values: int) -> int:
    """Return the number of arithmetic operations in one operation of torch that computes so many values."""
    name = _name(func)
    touched = values + sum(tensor.numel() for tensor in inputs)
    if name in PRODUCTS and len(inputs) >= 2:
        return PER_VALUE * touched + values * max(1, inputs[-2].shape[-1]) // 4
    if name == FORWARD:
        return PER_VALUE * touched + _products(inputs[1], args[6], inputs[0].numel(), values)
    if name == BACKWARD:
        return PER_VALUE * touched + 2 * _products(inputs[2], args[7], inputs[1].numel(), inputs[0].numel())
    return (PER_SORTED if name in SORTED else PER_VALUE) * touched


def _products(weight: Tensor, transposed: bool, read: int, result: int) -> int:
    """Return the products of a convolution: one filter for each output value, or input value if it is transposed."""
    products = prod(weight.shape[1:]) * (read if transposed else result)
    return products if weight.dim() > 4 else products // 2
