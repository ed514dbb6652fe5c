"""A classifier's head: the last linear layer that runs, and its input features."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from coreml_updatable.data.inputs import Float32Array, Progress, UInt8Array
from coreml_updatable.errors import SourceError

from .probabilities import as_tensor

BATCH = 8  # rows at a time: more than a processor's cache holds make convolutions half as fast


@contextmanager
def layers_that_run(network: nn.Module) -> Iterator[list[str]]:
    """Record the names of the linear layers and convolutions that run, in order."""
    ran: list[str] = []
    hooks = [
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    ]
    try:
        yield ran
    finally:
        for hook in hooks:
            hook.remove()


def last_layer(network: nn.Module, example: Tensor) -> str:
    """Return the name of the last layer with weights that runs on ``example``: the head of a classifier."""
    with layers_that_run(network) as ran, torch.no_grad():
        network.eval()(example)
    if not ran:
        raise SourceError("the network has no linear layer as its head; choose another architecture")
    return ran[-1]


def replace_module(network: nn.Module, name: str, new: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, new)


def name_of(network: nn.Module, module: nn.Module) -> str:
    names: dict[nn.Module, str] = {other: name for name, other in network.named_modules()}
    return names[module]


def trainable_head(network: nn.Module) -> nn.Linear | None:
    """Return the only linear layer that requires a gradient in an otherwise frozen network."""
    if all(parameter.requires_grad for parameter in network.parameters()):
        return None
    return new_head(network)


def new_head(network: nn.Module) -> nn.Linear | None:
    """Return the only layer that requires a gradient, if it is linear; what is before it may have no weights at all."""
    trainable = [
        module
        for module in network.modules()
        if any(parameter.requires_grad for parameter in module.parameters(recurse=False))
    ]
    return trainable[0] if len(trainable) == 1 and isinstance(trainable[0], nn.Linear) else None


def features(
    network: nn.Module, head: nn.Linear, values: UInt8Array | Float32Array, on_progress: Progress, what: str
) -> Tensor:
    """Return the input of ``head`` for each row of ``values``: float32 [n, head.in_features]; one run per row.

    Raises SourceError if anything is between the head and the network's output.
    """
    seen: list[Tensor] = []
    network.eval()
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        with torch.no_grad():
            for start in range(0, len(values), BATCH):
                answer = network(as_tensor(values[start : start + BATCH]))
                if seen[-1].ndim != 2 or not torch.allclose(
                    answer, linear(seen[-1], head.weight, head.bias), atol=1e-5
                ):
                    raise SourceError("the network's head is not its last step; choose another architecture")
                on_progress("features", min(1.0, (start + BATCH) / len(values)), f"{what} rows")
    finally:
        hook.remove()
    return torch.cat(seen)
