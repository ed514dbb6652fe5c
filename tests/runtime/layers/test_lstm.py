"""LSTM layers against torch.nn.LSTM where it has the same formula, and else against the format's formula in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime import load

GATES = ("i", "f", "o", "z")  # the order of coremltools' builder
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "SIGMOID": lambda x: 1 / (1 + np.exp(-x)),
    "TANH": np.tanh,
    "RELU": lambda x: np.maximum(x, 0),
    "LINEAR": lambda x: x,
    "SCALED_TANH": lambda x: 1.7159 * np.tanh(x * 2 / 3),
    "SIGMOID_HARD": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
}
NAMES = st.sampled_from(sorted(FUNCTIONS))


def weights(random: Any, inputs: int, size: int) -> dict[str, Any]:
    """Small ones, so that rounding does not grow from step to step."""

    def arrays(*shape: int, count: int = 4) -> list[Any]:
        return [random.normal(scale=0.4, size=shape).astype(np.float32) for _ in range(count)]

    return {"x": arrays(size, inputs), "h": arrays(size, size), "b": arrays(size), "p": arrays(size, count=3)}


def run(x: Any, y: Any, c: Any, w: dict[str, Any], names: Any, options: dict[str, Any]) -> tuple[Any, Any, Any]:
    """The format's formula, a step after the other: every y [Seq, B, k], and the last y and c."""
    f, g, h = (FUNCTIONS[name] for name in names)
    zeros = [np.zeros(len(y[0]))] * 4
    b, p = (w["b"] if options["bias"] else zeros), (w["p"] if options["peep"] else zeros)
    result = []
    for step in x.astype(np.float64):
        at = {
            gate: step @ w["x"][n].T + y @ w["h"][n].T + b[n] for n, gate in enumerate(GATES)
        }  # before activation and peepholes
        i = f(np.clip(at["i"] + p[0] * c, -50, 50))
        keep = f(np.clip(at["f"] + options["forget_bias"] + p[1] * c, -50, 50))
        keep = 1 - i if options["coupled_input_forget_gate"] else keep
        limit = options["cell_clip_threshold"] or 50.0
        c = np.clip(c * keep + i * g(np.clip(at["z"], -50, 50)), -limit, limit)
        y = h(c) * f(np.clip(at["o"] + p[2] * c, -50, 50))
        result.append(y)
    return np.stack(result), y, c


OPTIONS = st.fixed_dictionaries(
    {
        "bias": st.booleans(),
        "peep": st.booleans(),
        "forget_bias": st.booleans(),
        "coupled_input_forget_gate": st.booleans(),
        "cell_clip_threshold": st.sampled_from([0.0, 0.3, 50000.0]),
    }
)
SIZES = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(1, 3))  # Seq, B, n, k


def blob(array: Any) -> Any:
    return array[..., None, None].astype(np.float32)


def keywords(
    w: dict[str, Any], names: Any, options: dict[str, Any], prefix: str = "", back: str = ""
) -> dict[str, Any]:
    del prefix
    given = {key: value for key, value in options.items() if key not in ("bias", "peep")}
    return given | {
        "inner_activation": names[0],
        "cell_state_update_activation": names[1],
        "output_activation": names[2],
        f"W_h{back}": w["h"],
        f"W_x{back}": w["x"],
        f"b{back}": w["b"] if options["bias"] else None,
        f"peep{back}": w["p"] if options["peep"] else None,
    }


@settings(max_examples=25, deadline=None)
@given(
    sizes=SIZES, options=OPTIONS, names=st.tuples(NAMES, NAMES, NAMES), whole=st.booleans(), backwards=st.booleans(),
    states=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_one_direction(
    answers: Any, sizes: Any, options: Any, names: Any, whole: bool, backwards: bool, states: bool, seed: int
) -> None:
    steps, batch, inputs, size = sizes
    random = np.random.default_rng(seed)
    w = weights(random, inputs, size)
    rows = []
    for _ in range(2):
        row = {"x": blob(random.normal(size=(steps, batch, inputs)))}
        if states:
            row |= {name: blob(random.normal(size=(1, batch, size))) for name in ("h0", "c0")}
        rows.append(row)
    read, written = (["x", "h0", "c0"], ["y", "h", "c"]) if states else (["x"], ["y"])
    actual = answers(
        lambda b: b.add_unilstm(
            "lstm", hidden_size=size, input_size=inputs, input_names=read, output_names=written, output_all=whole,
            reverse_input=backwards, **keywords(w, names, options),
        ),
        rows, outputs=written,
    )  # fmt: skip
    for row, answer in zip(rows, actual, strict=True):
        x = row["x"][..., 0, 0]
        y0, c0 = (row[name][0, ..., 0, 0] if states else np.zeros((batch, size)) for name in ("h0", "c0"))
        result, y, c = run(x[::-1] if backwards else x, y0, c0, w, names, options)
        expected = blob(result if whole else result[-1:])
        np.testing.assert_allclose(answer["y"], expected, rtol=2e-4, atol=2e-4, strict=True)
        if states:
            np.testing.assert_allclose(answer["h"], blob(y[None]), rtol=2e-4, atol=2e-4, strict=True)
            np.testing.assert_allclose(answer["c"], blob(c[None]), rtol=2e-4, atol=2e-4, strict=True)


@settings(max_examples=15, deadline=None)
@given(sizes=SIZES, options=OPTIONS, whole=st.booleans(), states=st.booleans(), seed=st.integers(0, 99))
def test_two_directions(answers: Any, sizes: Any, options: Any, whole: bool, states: bool, seed: int) -> None:
    steps, batch, inputs, size = sizes
    random = np.random.default_rng(seed)
    names = ("SIGMOID", "TANH", "TANH")
    forwards, back = weights(random, inputs, size), weights(random, inputs, size)
    row = {"x": blob(random.normal(size=(steps, batch, inputs)))}
    given = ["h0", "c0", "h0_back", "c0_back"] if states else []
    row |= {name: blob(random.normal(size=(1, batch, size))) for name in given}
    written = ["y", "h", "c", "h_back", "c_back"] if states else ["y"]
    (actual,) = answers(
        lambda b: b.add_bidirlstm(
            "lstm", hidden_size=size, input_size=inputs, input_names=["x", *given], output_names=written,
            output_all=whole, **keywords(forwards, names, options), **{
                key: value for key, value in keywords(back, names, options, back="_back").items() if "_back" in key
            },
        ),
        [row], outputs=written,
    )  # fmt: skip
    x = row["x"][..., 0, 0]
    zeros = np.zeros((batch, size))
    y0, c0, y1, c1 = (row[name][0, ..., 0, 0] for name in given) if states else (zeros,) * 4
    result, *last = run(x, y0, c0, forwards, names, options)
    made_back, *last_back = run(x[::-1], y1, c1, back, names, options)
    both = np.concatenate([result, made_back[::-1]], -1) if whole else np.concatenate([result[-1:], made_back[-1:]], -1)
    np.testing.assert_allclose(actual["y"], blob(both), rtol=2e-4, atol=2e-4, strict=True)
    for name, expected in zip(written[1:], [*last, *last_back], strict=states):
        np.testing.assert_allclose(actual[name], blob(expected[None]), rtol=2e-4, atol=2e-4, strict=True)


def of_torch(peer: torch.nn.LSTM, kind: str, suffix: str) -> list[Any]:
    """torch orders the gates i, f, z, o; the builder i, f, o, z."""
    i, f, z, o = getattr(peer, kind + suffix).detach().numpy().reshape(4, peer.hidden_size, -1)
    return [i, f, o, z]


def side(peer: torch.nn.LSTM, suffix: str, back: str) -> dict[str, Any]:
    """The builder's arguments for one direction; torch has two biases, whose sum is the format's."""
    biases = [a + b for a, b in zip(*(of_torch(peer, kind, suffix) for kind in ("bias_ih", "bias_hh")), strict=True)]
    recursion, inputs = of_torch(peer, "weight_hh", suffix), of_torch(peer, "weight_ih", suffix)
    return {f"W_h{back}": recursion, f"W_x{back}": inputs, f"b{back}": biases}


def like_torch(builder: Any, peer: torch.nn.LSTM) -> None:
    shared = {"hidden_size": 5, "input_size": 3, "input_names": ["x"], "output_names": ["y"], "output_all": True}
    if peer.bidirectional:
        builder.add_bidirlstm("lstm", **side(peer, "_l0", ""), **side(peer, "_l0_reverse", "_back"), **shared)
    else:
        builder.add_unilstm("lstm", **side(peer, "_l0", ""), **shared)


@pytest.mark.parametrize("both", [False, True])
def test_equal_to_torch(answers: Any, both: bool) -> None:
    torch.manual_seed(0)
    peer = torch.nn.LSTM(3, 5, bidirectional=both)
    x = torch.randn(6, 2, 3)
    (result,) = answers(lambda builder: like_torch(builder, peer), [{"x": blob(x.numpy())}])
    np.testing.assert_allclose(result["y"][..., 0, 0], peer(x)[0].detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("both", [False, True])
def test_gradients_equal_torchs(make_model: Any, both: bool) -> None:
    """Those of the weights by the names of their fields; updates read them."""
    torch.manual_seed(1)
    peer = torch.nn.LSTM(3, 5, bidirectional=both)
    x, weight = torch.randn(4, 2, 3), torch.randn(4, 2, 10 if both else 5)
    spec = make_model(lambda builder: like_torch(builder, peer), {"x": (4, 2, 3, 1, 1)}, False)
    spec.neuralNetwork.layers[0].isUpdatable = True
    model: Any = load(spec)
    module = model.trainable_steps[0].module
    for parameter in module.parameters():
        parameter.requires_grad_()
    (module(x[..., None, None])[..., 0, 0] * weight).sum().backward()
    (peer(x)[0] * weight).sum().backward()
    sides = {"weightParams.0": "_l0", "weightParams.1": "_l0_reverse"} if both else {"weightParams": "_l0"}
    kinds = {"WeightMatrix": "weight_ih", "RecursionMatrix": "weight_hh", "BiasVector": "bias_ih"}
    for prefix, suffix in sides.items():
        for field, kind in kinds.items():
            expected = getattr(peer, kind + suffix).grad.reshape(4, 5, -1)
            for gate, of_gate in zip(("inputGate", "forgetGate", "blockInput", "outputGate"), expected, strict=True):
                actual = module.get_parameter(f"{prefix}.{gate}{field}").grad
                np.testing.assert_allclose(actual.reshape(of_gate.shape), of_gate, rtol=1e-4, atol=1e-5)


def one_lstm(builder: Any) -> None:
    w = weights(np.random.default_rng(0), 3, 2)
    builder.add_unilstm("lstm", w["h"], w["x"], w["b"], 2, 3, ["x"], ["y"])


def test_parameters_are_the_fields_of_the_message(make_model: Any) -> None:
    """So that training and writing back find them."""
    spec = make_model(one_lstm, {"x": (1, 1, 3, 1, 1)}, False)
    layer = spec.neuralNetwork.layers[0]
    layer.isUpdatable = True
    message = layer.uniDirectionalLSTM.weightParams
    fields = [field.name for field, _ in message.ListFields()]
    model: Any = load(spec)
    (step,) = model.trainable_steps
    assert sorted(dict(step.module.named_parameters())) == sorted(f"weightParams.{name}" for name in fields)
    for name in fields:
        stored = np.array(getattr(message, name).floatValue, np.float32)
        np.testing.assert_array_equal(step.module.get_parameter(f"weightParams.{name}").numpy().ravel(), stored)


def faulty(change: Any) -> Any:
    return lambda layer: change(layer.uniDirectionalLSTM, layer)


ERRORS = [
    (lambda p, _: p.activations.pop(), "has 2 activations, expected 3"),
    (lambda p, _: p.activations[0].softplus.SetInParent(), "'softplus' is not an activation of a recurrent layer"),
    (lambda p, _: p.weightParams.forgetGateWeightMatrix.floatValue.pop(), "forgetGateWeightMatrix: contains 5 values"),
    (lambda p, _: setattr(p, "inputVectorSize", 0), "has the shape .2, 0., expected no zero"),
    (lambda _, layer: layer.input.append("x"), "has 2 inputs, the layer expects 1 or 3"),
    (lambda _, layer: layer.output.append("z"), "has 2 outputs, expected 1 or 3"),
]


@pytest.mark.parametrize(("change", "message"), ERRORS)
def test_faults_of_the_message(answers: Any, change: Any, message: str) -> None:
    with pytest.raises(ModelError, match=f"layer 'lstm': .*{message}"):
        answers(one_lstm, [{"x": np.ones((1, 1, 3, 1, 1), np.float32)}], edit=faulty(change))


@pytest.mark.parametrize("shape", [(1, 1, 4, 1, 1), (1, 3), (1, 1, 3, 2, 1)])
def test_wrong_shapes(answers: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"layer 'lstm': .*the layer expects \[Seq, Batch, 3, 1, 1\]"):
        answers(one_lstm, [{"x": np.ones(shape, np.float32)}])


def test_wrong_state(answers: Any) -> None:
    def add(builder: Any) -> None:
        one_lstm(builder)
        builder.spec.neuralNetwork.layers[0].input.extend(["h", "h"])

    row = {"x": np.ones((1, 2, 3, 1, 1), np.float32), "h": np.ones((1, 2, 3, 1, 1), np.float32)}
    with pytest.raises(
        ModelError, match=r"a state has the shape \[1, 2, 3, 1, 1\], the layer expects \[1, 2, 2, 1, 1\]"
    ):
        answers(add, [row])


def test_two_directions_need_two_sets_of_weights(answers: Any) -> None:
    w = weights(np.random.default_rng(0), 3, 2)
    with pytest.raises(ModelError, match="layer 'lstm': has weights for 1 directions, expected 2"):
        answers(
            lambda b: b.add_bidirlstm("lstm", w["h"], w["x"], w["b"], w["h"], w["x"], w["b"], 2, 3, ["x"], ["y"]),
            [{"x": np.ones((1, 1, 3, 1, 1), np.float32)}],
            edit=lambda layer: layer.biDirectionalLSTM.weightParams.pop(),
        )
