"""Circles of layers, against Python's own topological sorter."""

from graphlib import CycleError, TopologicalSorter

from hypothesis import given
from hypothesis import strategies as st

from coreml_updatable.spec.graph import circle, producers
from coreml_updatable.spec.messages import NeuralNetwork_pb2

Layer = NeuralNetwork_pb2.NeuralNetworkLayer
_BLOBS = st.lists(st.sampled_from("xabcdefg"), max_size=3)


@given(st.lists(st.tuples(_BLOBS, _BLOBS), max_size=8))
def test_a_circle_is_found_where_graphlib_finds_one(wires: list[tuple[list[str], list[str]]]) -> None:
    layers = [Layer(input=read, output=written) for read, written in wires]
    writer = producers(layers)
    waits_for = {
        number: {writer[str(blob)] for blob in layer.input if blob != "x" and blob in writer}
        for number, layer in enumerate(layers)
    }
    found = circle(layers, {"x"})
    try:
        list(TopologicalSorter(waits_for).static_order())
    except CycleError:
        assert found
        for one, next_one in zip(found, [*found[1:], found[0]], strict=True):
            assert one in waits_for[next_one]
    else:
        assert not found


def test_a_long_chain_backwards_takes_no_recursion() -> None:
    layers = [Layer(input=[f"{number + 1}"], output=[f"{number}"]) for number in range(20_000)]
    assert circle(layers, {"20000"}) == []
    layers[-1].input[0] = "0"
    assert len(circle(layers, set())) == 20_000
