"""The way of the gradient: from the softmax in front of the loss back to the layers that can be trained."""

from collections.abc import Sequence

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.tail import answer_blob
from coreml_updatable.spec.backpropagation import passes_gradients
from coreml_updatable.spec.graph import layer_kind, place, producers
from coreml_updatable.spec.messages import Model, NeuralNetwork

MARKABLE = ("convolution", "innerProduct")


def softmax_of(network: NeuralNetwork, model: Model) -> int:
    """The number of the softmax that a loss can read."""
    written = producers(network.layers)
    number = written[answer_blob(model)]
    while layer_kind(network.layers[number]) != "softmax":
        number = written[str(network.layers[number].input[0])]
    return number


def gradient_path(network: NeuralNetwork, softmax: int) -> list[int]:
    """The layers from the softmax back along the gradient, nearest first, up to and with the first that stops it."""
    written = producers(network.layers)
    waiting, path = [str(network.layers[softmax].input[0])], list[int]()
    while waiting:
        number = written.get(waiting.pop(0))
        if number is None or number in path:
            continue
        path.append(number)
        if not passes_gradients(network.layers[number]):
            break
        waiting.extend(str(blob) for blob in network.layers[number].input)
    return path


def last_trainable(network: NeuralNetwork, softmax: int, last: int) -> list[int]:
    """Numbers of the ``last`` layers before the softmax that can be marked; a ModelError when there are fewer."""
    if last < 1:
        raise ModelError(f"last: found {last}, expected 1 or more; name how many layers are to be trained")
    path = gradient_path(network, softmax)
    found = [number for number in path if layer_kind(network.layers[number]) in MARKABLE][:last]
    if len(found) == last:
        return sorted(found)
    stop = path[-1] if path else softmax
    if path and not passes_gradients(network.layers[stop]):
        reason = f"{_with_kind(network, stop)} does not let the gradient through"
    else:
        reason = "the network has no more convolution or innerProduct there"
    raise ModelError(
        f"last: {last} layers to train, but only {len(found)} can be: {reason}; ask for at most {len(found)}"
    )


def check_path(network: NeuralNetwork, softmax: int, numbers: Sequence[int]) -> None:
    """A ModelError for the first layer of ``numbers`` that is of the wrong kind or that no gradient reaches."""
    if not numbers:
        raise ModelError("layers: none named, expected at least one; name a layer or leave the option out")
    path = gradient_path(network, softmax)
    for number in numbers:
        layer = network.layers[number]
        if layer_kind(layer) not in MARKABLE:
            raise ModelError(
                f"{place(number, layer)}: is of kind {layer_kind(layer)}, expected convolution or innerProduct; "
                "name another layer"
            )
        if number not in path:
            raise ModelError(
                f"{place(number, layer)}: the gradient does not reach it, {_with_kind(network, path[-1])} is in the "
                "way; train only layers behind that one"
            )


def _with_kind(network: NeuralNetwork, number: int) -> str:
    return f"{place(number, network.layers[number])} ({layer_kind(network.layers[number])})"
