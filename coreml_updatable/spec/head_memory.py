"""Estimate the memory that one update needs for the layers that it trains."""

from collections.abc import Iterator
from dataclasses import dataclass

from coreml_updatable.spec.graph import loss_blobs, needed_layers
from coreml_updatable.spec.messages import Model, NeuralNetwork
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.shapes import blob_shapes, element_count
from coreml_updatable.spec.storage import weight_count, weight_fields

_BYTES = 4  # of a 32-bit float; devices train in these


@dataclass(frozen=True)
class HeadMemory:
    """Bytes. ``activations`` and ``total`` are None where a shape on the way to the loss is not fixed by the file."""

    weights: int
    gradients: int
    optimizer: int
    activations: int | None
    mini_batch: int
    total: int | None


def head_memory(model: Model) -> HeadMemory:
    """Memory of the head for one update of the network in ``model``, at its default mini-batch size B.

    total = 4 (P + P + s P + 2 B A) bytes, with P the parameters of the updatable layers:
    the weights; a gradient for each; s values of the optimizer for each (SGD: 1 with momentum, else 0; Adam: 2, the
    two moments of Kingma & Ba 2015, algorithm 1); and A the numbers, for one row, in the blobs that back-propagation
    needs again (Rumelhart, Hinton & Williams 1986): the inputs of the updatable layers and the outputs of every layer
    from there to the loss, each with its gradient. It is what the arithmetic needs at least. What a device takes comes
    on top: above all the frozen layers, which an update loads as well.
    """
    network = network_of(model)
    parameters = sum(
        weight_count(weights) for layer in network.layers if layer.isUpdatable for _, weights in weight_fields(layer)
    )
    kept = _BYTES * parameters
    batch = _mini_batch(network)
    numbers = _activations(model, network)
    activations = None if numbers is None else 2 * _BYTES * max(0, batch) * numbers
    optimizer = _states(network) * kept
    total = None if activations is None else 2 * kept + optimizer + activations
    return HeadMemory(kept, kept, optimizer, activations, batch, total)


def _mini_batch(network: NeuralNetwork) -> int:
    kind = network.updateParams.optimizer.WhichOneof("OptimizerType")
    return int(getattr(network.updateParams.optimizer, kind).miniBatchSize.defaultValue) if kind else 0


def _states(network: NeuralNetwork) -> int:
    """Values that the optimizer keeps for each parameter. A momentum that an app may choose counts as one."""
    optimizer = network.updateParams.optimizer
    if optimizer.WhichOneof("OptimizerType") == "adamOptimizer":
        return 2
    momentum = optimizer.sgdOptimizer.momentum
    return int(momentum.defaultValue != 0 or (momentum.HasField("range") and momentum.range.maxValue != 0))


def _activations(model: Model, network: NeuralNetwork) -> int | None:
    shapes = blob_shapes(model)
    total = 0
    for blob in set(_blobs(network)):
        count = element_count(shapes[blob]) if blob in shapes else None
        if count is None or count < 1:
            return None
        total += count
    return total


def _blobs(network: NeuralNetwork) -> Iterator[str]:
    """Yield the inputs of the updatable layers, and all blobs that these and later layers write up to the loss."""
    loss = loss_blobs(network)
    on_the_way = needed_layers(network.layers, [loss[0]]) if loss is not None else range(len(network.layers))
    moved: set[str] = set()
    for index in on_the_way:
        layer = network.layers[index]
        inputs, outputs = [str(blob) for blob in layer.input], [str(blob) for blob in layer.output]
        if layer.isUpdatable:
            yield from inputs
        if layer.isUpdatable or moved & set(inputs):
            moved.update(outputs)
            yield from outputs
