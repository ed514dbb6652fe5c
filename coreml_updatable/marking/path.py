"""The path of the gradient: from the loss, or the softmax before it, back to the layers that can be trained."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from coreml_updatable.errors import ModelError, with_article
from coreml_updatable.marking.affine import CONSTANTS
from coreml_updatable.marking.clearing import FIXED
from coreml_updatable.marking.tail import answer_blob
from coreml_updatable.spec.graph import RESHAPES, layer_kind, needed_layers, place, producers
from coreml_updatable.spec.layer_kinds import can_be_updatable, passes_gradients
from coreml_updatable.spec.messages import Model, NeuralNetwork, NeuralNetworkLayer

HEADS = ("convolution", "innerProduct")


def softmax_of(network: NeuralNetwork, model: Model) -> int:
    """Return the index of the softmax that a loss can read."""
    written = producers(network.layers)
    index = written[answer_blob(model)]
    while layer_kind(network.layers[index]) != "softmax":
        index = written[str(network.layers[index].input[0])]
    return index


def is_fixed(layer: NeuralNetworkLayer) -> bool:
    """Return whether ``mark`` itself wrote this layer, to let the gradient through; such a layer is never trained."""
    return str(layer.name).endswith(FIXED)


def is_markable(layer: NeuralNetworkLayer) -> bool:
    return can_be_updatable(layer) and not is_fixed(layer)


def gradient_path(network: NeuralNetwork, begin: str, clearable: Collection[int] = ()) -> list[int]:
    """Return the layers from the blob ``begin`` back along the gradient, up to and including one that blocks it.

    Layers in ``clearable`` do not count as blocking it.
    """
    written = producers(network.layers)
    waiting, path = [begin], list[int]()
    while waiting:
        index = written.get(waiting.pop(0))
        if index is None or index in path or layer_kind(network.layers[index]) in CONSTANTS:
            continue
        path.append(index)
        if index not in clearable and not passes_gradients(network.layers[index]):
            break
        waiting.extend(str(blob) for blob in network.layers[index].input)
    return path


def last_trainable(
    network: NeuralNetwork,
    begin: str,
    last: int,
    clearable: Collection[int] = (),
    places: Mapping[int, str] = MappingProxyType({}),
) -> list[int]:
    """Return the indices of the ``last`` layers before ``begin`` that can be marked; ModelError if there are fewer.

    ``places``: the positions of the layers in the file, for the error, if they differ from those in ``network``.
    """
    if last < 1:
        raise ModelError(f"last: found {last}, expected 1 or more; give the number of layers to train")
    path = gradient_path(network, begin, clearable)
    result = [index for index in path if is_markable(network.layers[index])][:last]
    if len(result) == last:
        return sorted(result)
    if path and path[-1] not in clearable and not passes_gradients(network.layers[path[-1]]):
        reason = f"{_blamed(network, path[-1], places)} blocks the gradient"
    elif result:
        reason = "there is no other convolution or innerProduct before the loss"
    else:
        reason = "there is no convolution or innerProduct before its output"
    if not result:
        raise ModelError(
            f"network: no layer can be trained: {reason}; end the network in a linear layer or a convolution, and "
            "convert it again"
        )
    names = ", ".join(repr(str(network.layers[index].name)) for index in sorted(result))
    raise ModelError(
        f"last: {last} layers to train, but only {len(result)} can be{f' ({names})' if names else ''}: {reason}; "
        f"ask for at most {len(result)}"
    )


def check_path(
    network: NeuralNetwork,
    begin: str,
    numbers: Sequence[int],
    clearable: Collection[int] = (),
    places: Mapping[int, str] = MappingProxyType({}),
) -> None:
    """Raise ModelError for the first layer of ``numbers`` that has the wrong kind or that no gradient reaches."""
    if not numbers:
        raise ModelError("layers: found no name, expected at least one; name a layer or omit the option")
    path = gradient_path(network, begin, clearable)
    for number in numbers:
        layer = network.layers[number]
        where = places.get(number) or place(number, layer)
        if not can_be_updatable(layer):
            raise ModelError(
                f"{where}: is {with_article(layer_kind(layer))}, expected a convolution or innerProduct (or "
                "uniDirectionalLSTM); name another layer"
            )
        if number not in path:
            stop = _stop(network, path, places)
            raise ModelError(
                f"{where}: the gradient does not reach it, because {stop} blocks it; train only layers after that one"
            )


def in_the_way(network: NeuralNetwork, begin: str, numbers: Sequence[int], clearable: Collection[int]) -> list[int]:
    """Return the layers of ``clearable`` between the layers ``numbers`` and the blob ``begin``."""
    return [
        index
        for index in gradient_path(network, begin, clearable)
        if index in clearable and set(numbers) & set(needed_layers(network.layers, list(network.layers[index].input)))
    ]


def _blamed(network: NeuralNetwork, index: int, places: Mapping[int, str]) -> str:
    """Return layer ``number``, or, if it only reshapes, the layer before it that also blocks the gradient.

    Marking itself replaces such reshapes, so removing only this one would not be enough.
    """
    written, layer = producers(network.layers), network.layers[index]
    before = written.get(str(layer.input[0])) if layer.input else None
    if layer_kind(layer) in RESHAPES and before is not None and not passes_gradients(network.layers[before]):
        return _blamed(network, before, places)
    return f"{places.get(index) or place(index, layer)} ({layer_kind(layer)})"


def _stop(network: NeuralNetwork, path: Sequence[int], places: Mapping[int, str]) -> str:
    return _blamed(network, path[-1], places) if path else "nothing before the loss"
