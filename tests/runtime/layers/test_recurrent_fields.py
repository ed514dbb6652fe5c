"""Recurrent layers with their fields unset and at the values where their formulas change, from messages.

The reference is torch's own cells where they compute the same, and else the formulas of the format's comments.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from coreml_updatable.errors import ModelError
from tests.runtime.layers.test_fields_and_boundaries import floats, ran, random

STEPS, BATCH, INPUTS, SIZE = 4, 2, 3, 2
X = random(STEPS, BATCH, INPUTS)
GATES = ("inputGate", "forgetGate", "blockInput", "outputGate")  # the order of torch's rows too
SIZES = f"inputVectorSize: {INPUTS} outputVectorSize: {SIZE}"


def blob(x: Tensor) -> Tensor:
    return x[..., None, None]


def array(name: str, values: Tensor) -> str:
    return floats(name, values.detach().ravel().tolist())


def weights(lstm: nn.LSTM, suffix: str = "") -> str:
    """``LSTMWeightParams`` in text."""
    parameters = dict(lstm.named_parameters())
    kinds = {"weight_ih_l0": "WeightMatrix", "weight_hh_l0": "RecursionMatrix"}
    if lstm.bias:
        kinds["bias_ih_l0"] = "BiasVector"
    return " ".join(
        array(gate + kind, part)
        for name, kind in kinds.items()
        for gate, part in zip(GATES, parameters[name + suffix].chunk(4), strict=True)
    )


def torch_lstm(bias: bool = True, both: bool = False) -> nn.LSTM:
    torch.manual_seed(3)
    lstm = nn.LSTM(INPUTS, SIZE, bias=bias, bidirectional=both)
    for name, parameter in lstm.named_parameters():
        if name.startswith("bias_hh"):  # the format has one bias
            nn.init.zeros_(parameter)
    return lstm


def functions(field: str = "activations") -> str:
    return " ".join(f"{field} {{ {kind} {{}} }}" for kind in ("sigmoid", "tanh", "tanh"))


def one_way(lstm: nn.LSTM, options: str, more: str = "") -> str:
    return (
        f"uniDirectionalLSTM {{ {SIZES} {functions()} params {{ {options} }} "
        f"weightParams {{ {weights(lstm)} }} {more} }}"
    )


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("forgets", [False, True])
def test_an_lstm_is_torchs(whole: bool, backwards: bool, biased: bool, forgets: bool) -> None:
    """A bias that is not declared is not added; ``forgetBias`` adds 1 to the forget gate's."""
    lstm = torch_lstm()
    bias = dict(lstm.named_parameters())["bias_ih_l0"]
    options = f"sequenceOutput: {str(whole).lower()}" if whole else ""
    options += " hasBiasVectors: true" if biased else ""
    options += " forgetBias: true" if forgets else ""
    y, h, c = ran(one_way(lstm, options, "reverseInput: true" if backwards else ""), blob(X), outputs=3)
    with torch.no_grad():
        if not biased:
            bias.zero_()
        if forgets:
            bias[SIZE : 2 * SIZE] += 1
        expected, (last, cell) = lstm(X.flip(0) if backwards else X)
    torch.testing.assert_close(y, blob(expected if whole else expected[-1:]))
    torch.testing.assert_close(h, blob(last))
    torch.testing.assert_close(c, blob(cell))


@pytest.mark.parametrize("whole", [False, True])
def test_two_directions_are_torchs(whole: bool) -> None:
    """Without ``sequenceOutput`` the second direction gives the step that it read last, the sequence's first."""
    lstm = torch_lstm(both=True)
    given = (
        f"biDirectionalLSTM {{ {SIZES} {functions('activationsForwardLSTM')} {functions('activationsBackwardLSTM')} "
        f"params {{ hasBiasVectors: true {'sequenceOutput: true' if whole else ''} }} "
        f"weightParams {{ {weights(lstm)} }} weightParams {{ {weights(lstm, '_reverse')} }} }}"
    )
    y, h, c, h_back, c_back = ran(given, blob(X), outputs=5)
    with torch.no_grad():
        expected, (last, cell) = lstm(X)
    torch.testing.assert_close(y, blob(expected if whole else last.transpose(0, 1).reshape(1, BATCH, 2 * SIZE)))
    torch.testing.assert_close(torch.cat([h, h_back]), blob(last))
    torch.testing.assert_close(torch.cat([c, c_back]), blob(cell))


@pytest.mark.parametrize(
    ("threshold", "limit"), [("", 50.0), ("cellClipThreshold: 0", 50.0), ("cellClipThreshold: 3", 3)]
)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_cell_is_clipped(threshold: str, limit: float, sign: float) -> None:
    """All gates linear, input and block input 10 times x, so that c is 100 where x is 1; o is 1."""
    linear = " ".join("activations { linear {} }" for _ in range(3))
    zeros = {f"{gate}{kind}": 0.0 for gate in GATES for kind in ("WeightMatrix", "RecursionMatrix", "BiasVector")}
    values = zeros | {"inputGateBiasVector": 10.0, "blockInputWeightMatrix": 10.0, "outputGateBiasVector": 1.0}
    text = " ".join(floats(name, [value]) for name, value in values.items())
    layer = (
        f"uniDirectionalLSTM {{ inputVectorSize: 1 outputVectorSize: 1 {linear} "
        f"params {{ hasBiasVectors: true {threshold} }} weightParams {{ {text} }} }}"
    )
    (y,) = ran(layer, torch.full((1, 1, 1, 1, 1), sign))
    assert y.item() == sign * limit


@pytest.mark.parametrize("coupled", [False, True])
def test_peepholes_and_coupled_gates(coupled: bool) -> None:
    """Peepholes of the input and forget gates see the cell before, that of the output gate the new one."""
    lstm = torch_lstm()
    p_i, p_f, p_o = torch.tensor([1.5, -1]), torch.tensor([-2.0, 0.5]), torch.tensor([0.5, 3])
    holes = {"inputGate": p_i, "forgetGate": p_f, "outputGate": p_o}
    text = " ".join(array(f"{gate}PeepholeVector", values) for gate, values in holes.items())
    options = "hasBiasVectors: true hasPeepholeVectors: true sequenceOutput: true"
    options += " coupledInputAndForgetGate: true" if coupled else ""
    given = one_way(lstm, options).replace("weightParams {", f"weightParams {{ {text}")
    (result,) = ran(given, blob(X))
    y = c = torch.zeros(BATCH, SIZE)
    named = dict(lstm.named_parameters())
    weight, recursion, bias = (named[f"{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih"))
    with torch.no_grad():
        for x, step in zip(X, result, strict=True):
            gates = x @ weight.T + y @ recursion.T + bias
            of_i, of_f, of_z, of_o = gates.chunk(4, -1)
            i = torch.sigmoid(of_i + p_i * c)
            f = 1 - i if coupled else torch.sigmoid(of_f + p_f * c)
            c = f * c + i * torch.tanh(of_z)
            y = torch.tanh(c) * torch.sigmoid(of_o + p_o * c)
            torch.testing.assert_close(step, blob(y))


CONSTANTS: list[
    tuple[str, Callable[[Tensor], Tensor]]
] = [  # of a recurrent layer's activation whose fields are unset, and set
    ("linear {}", lambda x: x),
    ("linear { alpha: 2 }", lambda x: 2 * x),
    ("linear { beta: 3 }", lambda x: 0 * x + 3),
    ("scaledTanh {}", lambda x: 1.7159 * torch.tanh(2 / 3 * x)),
    ("scaledTanh { alpha: 2 beta: 0.5 }", lambda x: 2 * torch.tanh(0.5 * x)),
    ("sigmoidHard {}", lambda x: (0.2 * x + 0.5).clamp(0, 1)),
    ("sigmoidHard { beta: 0.25 }", lambda x: 0 * x + 0.25),
    ("sigmoidHard { alpha: 1 }", lambda x: x.clamp(0, 1)),
    ("sigmoid {}", torch.sigmoid),
    ("tanh {}", torch.tanh),
    ("ReLU {}", torch.relu),
]


@pytest.mark.parametrize(("kind", "expected"), CONSTANTS, ids=[kind for kind, _ in CONSTANTS])
def test_a_simple_layer_of_one_number(kind: str, expected: Callable[[Tensor], Tensor]) -> None:
    """W 1, R 2: every step is f(clip(x + 2 y')), clipped at 50; a bias that is not declared is not added."""
    x = torch.tensor([-51.0, -2.5, -0.5, 0.0, 0.25, 2.5, 49.0, 50.0, 51.0])
    layer = (
        f"simpleRecurrent {{ inputVectorSize: 1 outputVectorSize: 1 activation {{ {kind} }} sequenceOutput: true "
        f"{floats('weightMatrix', [1])} {floats('recursionMatrix', [2])} {floats('biasVector', [7])} }}"
    )
    (actual,) = ran(layer, x[:, None, None, None, None])
    y = torch.zeros(())
    for value, step in zip(x, actual.ravel(), strict=True):
        y = expected((value + 2 * y).clamp(-50, 50))
        torch.testing.assert_close(step, y)
    (last,) = ran(layer.replace("sequenceOutput: true", ""), x[:, None, None, None, None])
    assert last.ravel().tolist() == [actual.ravel()[-1]]
    (biased,) = ran(
        layer.replace("sequenceOutput", "hasBiasVector: true sequenceOutput"), x[:1, None, None, None, None]
    )
    torch.testing.assert_close(biased.ravel()[0], expected(torch.tensor(-51.0 + 7)))


@pytest.mark.parametrize("layer", ["simpleRecurrent", "gru", "uniDirectionalLSTM"])
def test_activations_are_not_optional(layer: str) -> None:
    with pytest.raises(ModelError, match="activation"):
        ran(f"{layer} {{ inputVectorSize: 1 outputVectorSize: 1 }}", torch.zeros(1, 1, 1, 1, 1))
