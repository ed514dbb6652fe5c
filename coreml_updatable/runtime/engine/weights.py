"""The weights of updatable layers: list them, replace them in a model's steps, and write them to a message.

A weight is identified by the name of its layer and the path of its field inside the layer's message: ("fc1",
"weights"). The module has a parameter of the same name.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from coreml_updatable.runtime.engine.program import Step
from coreml_updatable.spec.messages import Model, Model_pb2, NeuralNetworkLayer, WeightParams
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.weights import encode

Key: TypeAlias = tuple[str, str]
NewWeights: TypeAlias = Mapping[Key, NDArray[Any]]


def field(layer: NeuralNetworkLayer, path: str) -> WeightParams:
    """Return the ``WeightParams`` at ``path`` of a layer: "weights", "weightParams.0.inputGateWeightMatrix"."""
    message = getattr(layer, layer.WhichOneof("layer"))
    for name in path.split("."):
        message = message[int(name)] if name.isdigit() else getattr(message, name)
    return message


def updatable(step: Step) -> dict[Key, nn.Parameter]:
    """Return the parameters that an update trains: the layer is updatable, and so are these weights."""
    if not step.layer.isUpdatable:
        return {}
    return {
        (str(step.layer.name), path): parameter
        for path, parameter in step.module.named_parameters()
        if field(step.layer, path).isUpdatable
    }


def with_weights(steps: Sequence[Step], weights: NewWeights) -> list[Step]:
    """Return steps with other weights; layers without new ones are shared."""
    return [_with_weights(step, weights) for step in steps]


def _with_weights(step: Step, weights: NewWeights) -> Step:
    mine = {path: array for (name, path), array in weights.items() if name == step.layer.name}
    if not mine or not step.layer.isUpdatable:  # a frozen layer may have the same name
        return step
    module = step.module
    for path, array in mine.items():
        value = nn.Parameter(torch.from_numpy(np.array(array, np.float32)), requires_grad=False)
        module = _with_parameter(module, path, value)
    return replace(step, module=module)


def _with_parameter(module: nn.Module, path: str, value: nn.Parameter) -> nn.Module:
    """Return a shallow copy of ``module`` with one other parameter."""
    changed = copy(module)
    changed._parameters = dict(module._parameters)
    changed._modules = dict(module._modules)
    name, _, rest = path.partition(".")
    if rest:
        inner = module._modules[name]
        assert inner is not None
        changed._modules[name] = _with_parameter(inner, rest, value)
    else:
        changed._parameters[name] = value
    return changed


def written_back(base: Model, weights: NewWeights) -> Model:
    """Return a copy of ``base`` in which only these weights are replaced."""
    message = Model_pb2.Model()
    message.CopyFrom(base)
    paths: dict[str, list[str]] = {}
    for name, path in weights:
        paths.setdefault(name, []).append(path)
    for layer in network_of(message).layers:
        for path in paths.get(layer.name, []) if layer.isUpdatable else ():
            encode(field(layer, path), weights[layer.name, path], f"layer '{layer.name}': {path}")
    return message
