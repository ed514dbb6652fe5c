"""Rules for which layer may read and write which blob, including the networks inside branches and loops.

After a branch with two sides, the blobs that both write are known; after one with a single side, none. After a loop,
those that its condition writes, or without a condition its body. Only a copy may write a blob again.
"""

from collections.abc import Iterator
from typing import Literal, TypeAlias

from coreml_updatable.checking.problem import Finding
from coreml_updatable.errors import with_article
from coreml_updatable.spec.graph import layer_kind, place
from coreml_updatable.spec.messages import Model, NeuralNetwork, NeuralNetworkLayer
from coreml_updatable.spec.network import network_of

_Blobs: TypeAlias = dict[str, frozenset[str]]  # name -> names of the layers that write it
_Tangle: TypeAlias = tuple[Literal["read", "written", "loop"], Finding]
_INPUT = frozenset({"__input"})


def tangles(model: Model) -> Iterator[_Tangle]:
    """Yield the faults in the connections between the layers of the network."""
    yield from _walk(network_of(model), "", _inputs(model), _first_writers(model), 0)


def written_blobs(model: Model) -> set[str]:
    """Return the blobs that can be outputs: those that layers write and that exist at the end of the network."""
    blobs = _inputs(model)
    for _ in _walk(network_of(model), "", blobs, _first_writers(model), 0):
        pass
    return {name for name, writers in blobs.items() if writers != _INPUT}


def _inputs(model: Model) -> _Blobs:
    return {str(feature.name): _INPUT for feature in model.description.input}


def _first_writers(model: Model) -> dict[str, str]:
    return {str(feature.name): "the model's input" for feature in model.description.input}


def _walk(network: NeuralNetwork, inside: str, blobs: _Blobs, places: dict[str, str], loops: int) -> Iterator[_Tangle]:
    """Extend ``blobs`` and ``places`` (blob -> its first writer); ``loops``: how many loops contain this network."""
    for index, layer in enumerate(network.layers):
        where, kind = inside + place(index, layer), layer_kind(layer)
        if kind == "branch":  # its condition is there before it
            yield from _reads(layer, where, blobs, places)
            yield from _branch(layer, where, blobs, places, loops)
        elif kind == "loop":
            yield from _loop(layer, where, blobs, places, loops)
        elif kind in ("loopBreak", "loopContinue") and loops == 0:
            yield (
                "loop",
                Finding(where, f"is {with_article(kind)} outside a loop", "it inside a bodyNetwork", "remove it"),
            )
        if kind != "branch":
            yield from _reads(layer, where, blobs, places)
        for blob in map(str, layer.output):
            if blob in blobs and kind != "copy":
                result = f"writes '{blob}', as does {places.get(blob, 'another layer')}"
                yield "written", Finding(where, result, "a unique name")
            blobs[blob] = blobs.get(blob, frozenset()) | {str(layer.name)}
            places.setdefault(blob, where)


def _reads(layer: NeuralNetworkLayer, where: str, blobs: _Blobs, places: dict[str, str]) -> Iterator[_Tangle]:
    for blob in map(str, layer.input):
        if blob not in blobs:
            inner = "only the inside of a branch or loop" if blob in places else "nothing before it"
            actual = f"reads '{blob}', which {inner} writes"
            expected = "a model input or the output of an earlier layer"
            yield "read", Finding(where, actual, expected, "put the layers in order")


def _branch(
    layer: NeuralNetworkLayer, where: str, blobs: _Blobs, places: dict[str, str], loops: int
) -> Iterator[_Tangle]:
    sides = []
    for name in ("ifBranch", "elseBranch"):
        side = getattr(layer.branch, name)
        if side.layers:
            sides.append(dict(blobs))
            yield from _walk(side, f"{where}: {name}: ", sides[-1], places, loops)
    if len(sides) == 2:
        for blob in sides[0].keys() & sides[1].keys():
            blobs[blob] = sides[0][blob] | sides[1][blob]


def _loop(
    layer: NeuralNetworkLayer, where: str, blobs: _Blobs, places: dict[str, str], loops: int
) -> Iterator[_Tangle]:
    params = layer.loop
    condition, variable = dict(blobs), str(params.conditionVar)
    if params.conditionNetwork.layers:
        yield from _walk(params.conditionNetwork, f"{where}: conditionNetwork: ", condition, places, loops)
        if variable and condition.get(variable) == blobs.get(variable):
            result = f"has the conditionVar '{variable}', which its conditionNetwork does not write"
            yield "loop", Finding(where, result, "a blob of that network", "write it there")
        blobs.update(condition)
    body = dict(blobs)
    yield from _walk(params.bodyNetwork, f"{where}: bodyNetwork: ", body, places, loops + 1)
    kept = condition if params.conditionNetwork.layers else body
    for blob in kept:
        if blob in body:
            blobs[blob] = blobs.get(blob, frozenset()) | body[blob]
