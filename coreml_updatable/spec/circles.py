"""Layers that wait for each other."""

from collections.abc import Collection, Sequence

from coreml_updatable.spec.graph import consumers, producers
from coreml_updatable.spec.messages import NeuralNetworkLayer


def circle(layers: Sequence[NeuralNetworkLayer], inputs: Collection[str]) -> list[int]:
    """Numbers of layers that feed each other in a circle, in the order of the flow; none where there is no circle.

    ``inputs``: the blobs that are there from the start.

    Kahn's algorithm (1962): take away what waits for nothing; what is left contains a circle, or hangs behind one.
    """
    writer, readers = producers(layers), consumers(layers)
    waits_for = [
        {writer[blob] for blob in map(str, layer.input) if blob in writer and blob not in inputs} for layer in layers
    ]
    ready = [number for number, waiting in enumerate(waits_for) if not waiting]
    left = set(range(len(layers))) - set(ready)
    while ready:
        done = ready.pop()
        for blob in map(str, layers[done].output):
            if writer[blob] != done:
                continue
            for number in readers.get(blob, ()):
                waits_for[number].discard(done)
                if number in left and not waits_for[number]:
                    left.discard(number)
                    ready.append(number)
    return _walked(min(left), waits_for, left) if left else []


def _walked(start: int, waits_for: Sequence[set[int]], left: set[int]) -> list[int]:
    """Back from ``start`` until a layer comes twice; every layer that is left waits for one that is left."""
    walked: dict[int, None] = {}
    at = start
    while at not in walked:
        walked[at] = None
        at = min(waits_for[at] & left)
    found = list(walked)
    return found[found.index(at) :][::-1]
