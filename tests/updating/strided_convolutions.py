"""Updatable convolutions with small kernels and unequal strides, trained a step and compared with double precision.

Run as a program, for the fault that it looks for corrupts the memory of the process:
torch's weight gradient of a 1x1 convolution on channels-last input, on one thread.
"""

from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from tests.updating.test_layer_kinds import assert_weights, learned, updatable

STRIDES = ((1, 2), (2, 1), (2, 3), (3, 1))
CHANNELS, OUT = (3, 4, 8), (2, 5)
ROWS, SIZE, RATE = 3, (10, 9), 0.05


def run(transposed: bool, channels: int, out: int, stride: tuple[int, int]) -> None:
    """``transposed``: a trained convolution and a transpose stand before, and W becomes the channels."""
    random = np.random.default_rng(channels)
    first = random.normal(size=(2, 2, 1, 1)).astype(np.float32)
    weights = random.normal(size=(out, channels, 1, 1)).astype(np.float32)
    back = random.normal(size=(3, out)).astype(np.float32)

    def add(builder: Any) -> None:
        if transposed:
            _add_convolution(builder, "first", first, (1, 1), "x", "a")
            builder.add_transpose("transposed", (0, 3, 1, 2), "a", "b")
        _add_convolution(builder, "trained", weights, stride, "b" if transposed else "x", "f")
        builder.add_activation("tanh", "TANH", "f", "g")
        builder.add_pooling("pool", 1, 1, 1, 1, "AVERAGE", "valid", "g", "h", is_global=True)
        builder.add_inner_product("head", back, None, out, 3, False, "h", "z")

    trained = ["first", "trained"] if transposed else ["trained"]
    shape = (1, 2, SIZE[0], channels) if transposed else (1, channels, *SIZE)
    rows = random.normal(size=(ROWS, *shape)).astype(np.float32)
    wanted = random.normal(size=(ROWS, 3)).astype(np.float32)
    spec = updatable(add, shape, trained, "sgd", "squared", exact=True, epochs=1)
    layers = learned(spec, rows, wanted)

    front, kernel = (torch.from_numpy(array).double().requires_grad_() for array in (first, weights))
    x = torch.from_numpy(rows[:, 0]).double()
    if transposed:
        x = functional.conv2d(x, front).permute(0, 3, 1, 2).contiguous()
    y = torch.tanh(functional.conv2d(x, kernel, stride=stride)).mean((2, 3)) @ torch.from_numpy(back).double().T
    functional.mse_loss(y, torch.from_numpy(wanted).double()).backward()
    for name, array in (("trained", kernel), ("first", front))[: len(trained)]:
        assert array.grad is not None
        assert_weights(layers[name].convolution.weights, (array.detach() - RATE * array.grad).float())


def _add_convolution(
    builder: Any, name: str, weights: NDArray[Any], stride: tuple[int, int], source: str, target: str
) -> None:
    out, channels = weights.shape[:2]
    builder.add_convolution(
        name, channels, out, 1, 1, *stride, "valid", 1, weights.transpose(2, 3, 1, 0), None, False,
        input_name=source, output_name=target,
    )  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    for case in product((False, True), CHANNELS, OUT, STRIDES):
        run(*case)
    print("sound")
