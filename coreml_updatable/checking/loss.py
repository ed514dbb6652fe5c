"""Rules for the loss and for the path from it back to the updatable layers (``LossLayer``)."""

from collections import deque
from collections.abc import Iterator

from coreml_updatable.checking.problem import Finding
from coreml_updatable.errors import with_article
from coreml_updatable.spec.graph import layer_kind, loss_blobs, place, producers
from coreml_updatable.spec.layer_kinds import passes_gradients
from coreml_updatable.spec.messages import Model, NeuralNetwork
from coreml_updatable.spec.network import network_of

_CROSS_ENTROPY = "categoricalCrossEntropyLossLayer"
_SQUARED_ERROR = "meanSquaredErrorLossLayer"


def one_loss(model: Model) -> Iterator[Finding]:
    """There is at most one loss layer."""
    losses = network_of(model).updateParams.lossLayers
    if len(losses) > 1:
        yield Finding("updateParams", f"has {len(losses)} loss layers", "one")


def some_loss(model: Model) -> Iterator[Finding]:
    """There is a loss layer; without one, Apple's compiler crashes instead of reporting it."""
    if not network_of(model).updateParams.lossLayers:
        yield Finding("updateParams", "has no loss layer", "one")


def loss_kind(model: Model) -> Iterator[Finding]:
    """The loss is a categorical cross entropy or a mean squared error."""
    for loss in network_of(model).updateParams.lossLayers:
        if loss.WhichOneof("LossLayerType") is None:
            yield Finding(f"loss '{loss.name}'", "is of no kind", "cross entropy or squared error")


def cross_entropy_reads_softmax(model: Model) -> Iterator[Finding]:
    """Categorical cross entropy reads the first output of a softmax layer; softmaxND does not count."""
    network = network_of(model)
    written = producers(network.layers)
    for name, blob, _ in _losses(network, _CROSS_ENTROPY):
        index = written.get(blob)
        layer = network.layers[index] if index is not None else None
        if layer is None or layer_kind(layer) != "softmax" or layer.output[0] != blob:
            by = "which no layer writes" if layer is None else f"the output of {with_article(layer_kind(layer))}"
            yield Finding(f"loss '{name}'", f"reads '{blob}', {by}", "the output of a softmax")


def target_is_no_blob(model: Model) -> Iterator[Finding]:
    """The loss target is not written by a layer."""
    network = network_of(model)
    written = producers(network.layers)
    for name, _, target in (*_losses(network, _CROSS_ENTROPY), *_losses(network, _SQUARED_ERROR)):
        if target in written:
            where = place(written[target], network.layers[written[target]])
            yield Finding(f"loss '{name}'", f"its target '{target}' is written by {where}", "a training input")


def squared_error_reads_layer(model: Model) -> Iterator[Finding]:
    """Mean squared error reads the output of a layer."""
    network = network_of(model)
    written = producers(network.layers)
    for name, blob, _ in _losses(network, _SQUARED_ERROR):
        if blob not in written:
            yield Finding(f"loss '{name}'", f"reads '{blob}', which no layer writes", "a layer's output")


def gradient_reaches_layers(model: Model) -> Iterator[Finding]:
    """No layer between an updatable layer and the loss blocks the gradient."""
    network = network_of(model)
    written = producers(network.layers)
    loss = loss_blobs(network)
    start = written.get(loss[0]) if loss is not None else None
    if start is None:
        return
    exempt = start if is_cross_entropy(network) else None
    if exempt is not None and layer_kind(network.layers[start]) != "softmax":
        return  # of that another rule speaks
    waiting, seen, blocker = deque([start]), {start}, None
    while waiting:  # breadth first, and once blocked for good: so Apple's compiler looks at it
        index = waiting.popleft()
        layer = network.layers[index]
        if layer.isUpdatable and blocker is not None:
            stop = network.layers[blocker]
            yield Finding(
                place(index, layer),
                f"is updatable and before {place(blocker, stop)}, {with_article(layer_kind(stop))}",
                "only layers that pass on the gradient",
            )
        if index != exempt and not passes_gradients(layer) and blocker is None:
            blocker = index
        for blob in layer.input:
            before = written.get(str(blob))
            if before is not None and before not in seen:
                seen.add(before)
                waiting.append(before)


def is_cross_entropy(network: NeuralNetwork) -> bool:
    """Return whether the first loss is a categorical cross entropy."""
    losses = network.updateParams.lossLayers
    return bool(losses) and losses[0].WhichOneof("LossLayerType") == _CROSS_ENTROPY


def _losses(network: NeuralNetwork, kind: str) -> list[tuple[str, str, str]]:
    """Return name, input and target of each loss of this kind."""
    return [
        (str(loss.name), str(getattr(loss, kind).input), str(getattr(loss, kind).target))
        for loss in network.updateParams.lossLayers
        if loss.WhichOneof("LossLayerType") == kind
    ]
