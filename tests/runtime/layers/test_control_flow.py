"""Branches and loops against the same flow in Python, for rows that take different ways."""

from typing import Any

import numpy as np
import pytest
from coremltools.models.neural_network import NeuralNetworkBuilder
from hypothesis import given, settings
from hypothesis import strategies as st

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime import load


def inside(network: Any) -> Any:
    """A builder that writes into a nested network."""
    return NeuralNetworkBuilder(nn_spec=network, disable_rank5_shape_mapping=True)


def scaled(builder: Any, name: str, x: str, y: str, factor: float, shift: float) -> None:
    builder.add_activation(name, "LINEAR", x, y, [factor, shift])


def constant(builder: Any, name: str, value: float) -> None:
    builder.add_load_constant_nd(name, name, np.array([value]), [1])


def row(**values: float) -> dict[str, Any]:
    return {name: np.array([value], np.float32) for name, value in values.items()}


def branching(builder: Any) -> None:
    """y = 2 x if c else -x."""
    layer = builder.add_branch("branch", "c")
    scaled(inside(layer.branch.ifBranch), "if", "x", "y", 2.0, 0.0)
    scaled(inside(layer.branch.elseBranch), "else", "x", "y", -1.0, 0.0)


def test_branch_takes_each_rows_own_way(answers: Any) -> None:
    conditions = [1.0, 0.0, -3.0, 1e-7, 2e-6]
    result = answers(branching, [row(c=condition, x=3.0) for condition in conditions])
    assert [answer["y"].item() for answer in result] == [6.0, -3.0, 6.0, -3.0, 6.0]


def only_if(builder: Any) -> None:
    """y = 7, and x instead where c holds; "mine" exists only then."""
    constant(builder, "seven", 7.0)
    builder.add_copy("copy", "seven", "y")
    layer = builder.add_branch("branch", "c")
    nested = inside(layer.branch.ifBranch)
    scaled(nested, "if", "x", "mine", 1.0, 0.0)
    nested.add_copy("over", "mine", "y")


def test_without_an_else_nothing_happens(answers: Any, make_model: Any) -> None:
    rows = [row(c=1.0, x=3.0), row(c=0.0, x=3.0)]
    assert [answer["y"].item() for answer in answers(only_if, rows)] == [3.0, 7.0]
    seen = load(make_model(only_if, {"c": (1,), "x": (1,)}, False)).predict(rows, intermediate=True)
    assert ["mine" in answer for answer in seen] == [True, False]


def test_blobs_of_a_branch_not_taken_are_missing(make_model: Any) -> None:
    def unread(builder: Any) -> None:
        layer = builder.add_branch("branch", "c")
        scaled(inside(layer.branch.ifBranch), "if", "x", "z", 2.0, 0.0)
        builder.add_copy("after", "z", "y")

    model = load(make_model(unread, {"c": (1,), "x": (1,)}, False))
    assert model.predict(row(c=1.0, x=3.0))["y"].item() == 6.0
    with pytest.raises(ModelError, match="layer 'after': reads blob 'z', which no layer has written yet"):
        model.predict([row(c=1.0, x=3.0), row(c=0.0, x=3.0)])

    def unwritten(builder: Any) -> None:
        layer = builder.add_branch("branch", "c")
        scaled(inside(layer.branch.ifBranch), "if", "x", "y", 2.0, 0.0)

    model = load(make_model(unwritten, {"c": (1,), "x": (1,)}, False))
    with pytest.raises(ModelError, match="no branch that ran wrote the output 'y'; write it in both branches"):
        model.predict(row(c=0.0, x=3.0))


def collatz(builder: Any) -> None:
    """y = how many steps n takes to 1; while n > 1: n = n / 2 if even, else 3 n + 1."""
    constant(builder, "zero", 0.0)
    builder.add_copy("n0", "x", "n")
    builder.add_copy("y0", "zero", "y")
    loop = builder.add_loop("loop", condition="more", max_iterations=0).loop
    inside(loop.conditionNetwork).add_greater_than("more", ["n"], "more", alpha=1.0)
    body = inside(loop.bodyNetwork)
    constant(body, "two", 2.0)
    body.add_mod_broadcastable("odd", ["n", "two"], "odd")
    branch = body.add_branch("branch", "odd").branch
    scaled(inside(branch.ifBranch), "up", "n", "next", 3.0, 1.0)
    scaled(inside(branch.elseBranch), "down", "n", "next", 0.5, 0.0)
    body.add_copy("n1", "next", "n")
    scaled(body, "count", "y", "counted", 1.0, 1.0)
    body.add_copy("y1", "counted", "y")


@settings(max_examples=10, deadline=None)
@given(numbers=st.lists(st.integers(1, 30), min_size=2, max_size=4))
def test_while(answers: Any, numbers: list[int]) -> None:
    def steps(number: int) -> int:
        return 0 if number == 1 else 1 + steps(3 * number + 1 if number % 2 else number // 2)

    result = answers(collatz, [row(x=float(number)) for number in numbers])
    assert [answer["y"].item() for answer in result] == [steps(number) for number in numbers]


def doubling(builder: Any, rounds: int | None = None, count: str | None = None, below: float | None = None) -> Any:
    """y = x, doubled round after round: ``rounds`` times, or ``count`` times, while y < below."""
    builder.add_copy("y0", "x", "y")
    condition = None if below is None else "more"
    loop = builder.add_loop("loop", input_name=count, condition=condition, max_iterations=rounds).loop
    if below is not None:
        inside(loop.conditionNetwork).add_less_than("more", ["y"], "more", alpha=below)
    body = inside(loop.bodyNetwork)
    scaled(body, "double", "y", "twice", 2.0, 0.0)
    body.add_copy("y1", "twice", "y")
    return body


def test_a_number_of_rounds(answers: Any) -> None:
    for rounds in (0, 1, 5):
        (result,) = answers(lambda b, rounds=rounds: doubling(b, rounds), [row(x=3.0)])
        assert result["y"].item() == 3.0 * 2**rounds
    result = answers(lambda b: doubling(b, 9, "n"), [row(x=3.0, n=2.0), row(x=3.0, n=0.0), row(x=3.0, n=4.0)])
    assert [answer["y"].item() for answer in result] == [12.0, 3.0, 48.0]


def test_rounds_and_a_condition_together(answers: Any) -> None:
    result = answers(lambda b: doubling(b, 3, below=10.0), [row(x=1.0), row(x=6.0), row(x=20.0)])
    assert [answer["y"].item() for answer in result] == [8.0, 12.0, 20.0]
    rows = [row(x=1.0, n=0.0), row(x=1.0, n=2.0), row(x=6.0, n=9.0)]
    result = answers(lambda b: doubling(b, None, "n", 10.0), rows)
    assert [answer["y"].item() for answer in result] == [1.0, 4.0, 12.0]


@pytest.mark.parametrize(("leave", "expected"), [("add_loop_break", [8.0, 6.0]), ("add_loop_continue", [8.0, 6.0])])
def test_break_and_continue_leave_the_rest_of_the_round(answers: Any, leave: str, expected: list[float]) -> None:
    """At y > 5 the round ends early, so that y adds no more; five rounds, counted in "n"."""

    def add(builder: Any) -> None:
        constant(builder, "zero", 0.0)
        builder.add_copy("y0", "x", "y")
        builder.add_copy("n0", "zero", "n")
        body = inside(builder.add_loop("loop", max_iterations=5).loop.bodyNetwork)
        scaled(body, "count", "n", "counted", 1.0, 1.0)
        body.add_copy("n1", "counted", "n")
        body.add_greater_than("enough", ["y"], "enough", alpha=5.0)
        getattr(inside(body.add_branch("branch", "enough").branch.ifBranch), leave)("leave")
        scaled(body, "double", "y", "twice", 2.0, 0.0)
        body.add_copy("y1", "twice", "y")

    actual = answers(add, [row(x=1.0), row(x=6.0)], outputs=("y", "n"))
    assert [answer["y"].item() for answer in actual] == expected
    rounds = [4.0, 1.0] if leave == "add_loop_break" else [5.0, 5.0]
    assert [answer["n"].item() for answer in actual] == rounds


def test_break_ends_only_the_loop_around_it(answers: Any) -> None:
    def add(builder: Any) -> None:
        builder.add_copy("y0", "x", "y")
        outer = inside(builder.add_loop("outer", max_iterations=3).loop.bodyNetwork)
        inner = inside(outer.add_loop("inner", max_iterations=100).loop.bodyNetwork)
        scaled(inner, "one", "y", "more", 1.0, 1.0)
        inner.add_copy("y1", "more", "y")
        inner.add_loop_break("break")

    (result,) = answers(add, [row(x=0.0)])
    assert result["y"].item() == 3.0


@pytest.mark.parametrize("leave", ["add_loop_break", "add_loop_continue"])
def test_leaving_without_a_loop(answers: Any, leave: str) -> None:
    def add(builder: Any) -> None:
        getattr(builder, leave)("leave")
        builder.add_copy("copy", "x", "y")

    with pytest.raises(ModelError, match="layer 'leave': is outside the body of a loop"):
        answers(add, [row(x=0.0)])


def test_faults(answers: Any) -> None:
    with pytest.raises(ModelError, match="layer 'branch': its condition has 2 values, the layer expects 1"):
        answers(branching, [{"c": np.ones(2, np.float32), "x": np.ones(1, np.float32)}])
    with pytest.raises(
        ModelError, match=r"layer 'loop': reads a blob of the shape \[2\] where it needs a single number"
    ):
        answers(lambda b: doubling(b, 1, "n"), [{"x": np.ones(1, np.float32), "n": np.ones(2, np.float32)}])

    def no_condition(builder: Any) -> None:
        doubling(builder, 1)
        builder.spec.neuralNetwork.layers[1].loop.conditionVar = "gone"

    with pytest.raises(ModelError, match="layer 'loop': no layer writes its condition 'gone'; check the names"):
        answers(no_condition, [row(x=1.0)])


ENDLESS = "loops would run more than 20000 layers and iterations, the maximum; check the condition, or set"


def test_loops_without_an_end(answers: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("coreml_updatable.runtime.engine.work.MOST", 20_000)
    with pytest.raises(ModelError, match=f"layer 'loop': {ENDLESS} a lower maxLoopIterations"):
        answers(lambda b: doubling(b, 2**63), [row(x=0.0)])
    with pytest.raises(ModelError, match=f"layer '.+': {ENDLESS}"):
        answers(lambda b: doubling(b, 0, below=np.inf), [row(x=0.0)])


def nest(builder: Any, depth: int, rounds: int) -> None:
    """y = x and the number of innermost rounds, ``rounds ** depth``."""
    body = inside(builder.add_loop(f"loop {depth}", max_iterations=rounds).loop.bodyNetwork)
    if depth > 1:
        nest(body, depth - 1, rounds)
        return
    scaled(body, "one", "y", "more", 1.0, 1.0)
    body.add_copy("y1", "more", "y")


def nested_loops(depth: int, rounds: int) -> Any:
    def add(builder: Any) -> None:
        builder.add_copy("y0", "x", "y")
        nest(builder, depth, rounds)

    return add


def test_nested_loops_share_one_bound(answers: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("coreml_updatable.runtime.engine.work.MOST", 20_000)
    (result,) = answers(nested_loops(3, 9), [row(x=0.0)])
    assert result["y"].item() == 9**3
    with pytest.raises(ModelError, match=ENDLESS):
        answers(nested_loops(5, 99), [row(x=0.0)])


def test_values_count_as_work(make_model: Any, monkeypatch: Any) -> None:
    """A thousand rounds are few; where each value counts as a layer does, two thousand are too many."""
    model = load(make_model(lambda b: doubling(b, 1000), {"x": (100,)}, False))
    assert model.predict({"x": np.zeros(100, np.float32)})["y"].shape == (100,)
    monkeypatch.setattr("coreml_updatable.runtime.engine.work.VALUES", 1)
    monkeypatch.setattr("coreml_updatable.runtime.engine.work.MOST", 20_000)
    with pytest.raises(ModelError, match=ENDLESS):
        load(make_model(lambda b: doubling(b, 2000), {"x": (100,)}, False)).predict({"x": np.zeros(100, np.float32)})
