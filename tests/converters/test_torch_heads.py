"""What a torch network's numbers mean, in every spelling: its own answers, run by torch, are the judge."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.converting.finished import probabilities
from coreml_updatable.errors import SourceError, UserError
from coreml_updatable.runtime import load
from tests.converters.torch_modules import (
    PICTURE,
    VALUES,
    Behind,
    Convolutional,
    Head,
    answered,
    converted,
    learns,
    rows,
    said,
    scripted,
    tracing,
)


def exp_by_sum(z: Tensor) -> Tensor:
    powers = torch.exp(z - z.max(1, keepdim=True)[0])
    return powers / powers.sum(1, keepdim=True)


MEAN_AND_VARIANCE = torch.tensor([0.5, -1, 0]), torch.tensor([0.5, 2, 1])


SOFTMAXES: dict[str, Behind] = {
    "functional": lambda z: functional.softmax(z, 1),
    "last axis, dropout behind": lambda z: functional.dropout(z.softmax(-1), 0.5, training=False),
    "temperature": lambda z: functional.softmax(z / 2.5, 1),
    "clamped": lambda z: z.softmax(1).clamp(1e-7, 1 - 1e-7),
    "written out": lambda z: torch.exp(z) / torch.exp(z).sum(1, keepdim=True),
    "written out, stable": exp_by_sum,
    "of logarithms": lambda z: functional.log_softmax(z, 1).softmax(1),
    "map": lambda z: z.softmax(1)[:, :, None, None],
    "another order": lambda z: z[:, [2, 0, 1]].softmax(1),
    "turned around behind": lambda z: z.softmax(1).flip(1),
    "side by side": lambda z: torch.cat([z[:, 1:], z[:, :1] - z[:, 1:2]], 1).softmax(1),
    "a batch normalization": lambda z: functional.batch_norm(z, *MEAN_AND_VARIANCE).softmax(1),
    "a shape that is computed": lambda z: z.softmax(1).reshape(-1, z.shape[1]),
    "a tuple of one": lambda z: (z.softmax(1),),
}


LOGARITHMS: dict[str, Behind] = {
    "log_softmax": lambda z: functional.log_softmax(z, -1),
    "log of softmax": lambda z: torch.log(z.softmax(1)),
    "log of softmax and a little": lambda z: torch.log(z.softmax(1) + 1e-7),
    "minus logsumexp": lambda z: z - torch.logsumexp(z, 1, keepdim=True),
}


LOGITS: dict[str, Behind] = {
    "plain": lambda z: z,
    "scaled": lambda z: 3 * z,
    "kept small": lambda z: 5 * torch.tanh(z / 5),
    "rectified": torch.relu,
    "squeezed batch": lambda z: z.squeeze(0),
    "logits of several": lambda z: {"hidden": z * 2, "logits": z},
}


def only(answer: Any) -> Tensor:
    answer = answer[0] if isinstance(answer, tuple) else answer["logits"] if isinstance(answer, dict) else answer
    assert isinstance(answer, Tensor)
    return answer


@pytest.mark.parametrize("name", [*SOFTMAXES, *LOGARITHMS, *LOGITS])
def test_several_classes(name: str) -> None:
    behind = {**SOFTMAXES, **LOGARITHMS, **LOGITS}[name]
    result = converted(Head(3, behind), VALUES)
    own = answered(Head(3, lambda z: only(behind(z))), rows())
    expected = own if name in SOFTMAXES else np.exp(own)
    if name in LOGITS:
        expected = torch.from_numpy(own).softmax(1).numpy()
    np.testing.assert_allclose(expected.sum(1), 1, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.1
    np.testing.assert_allclose(said(result, (0, 1, 2)), expected, atol=2e-6)
    assert result.agreement.proved
    assert result.agreement.relative is not None
    assert result.agreement.relative < 1e-5
    learns(result)


REFUSED: dict[str, tuple[int, Behind, str]] = {
    "sigmoid": (3, torch.sigmoid, "3 independent labels (multi-label)"),
    "two sigmoids": (2, torch.sigmoid, "2 independent labels (multi-label)"),
    "log sigmoid": (3, functional.logsigmoid, "3 independent labels (multi-label)"),
    "sigmoids side by side": (
        3,
        lambda z: torch.cat([torch.sigmoid(z[:, :1]), torch.sigmoid(z[:, 1:])], 1),
        "multi-label",
    ),
    "clamped sigmoid": (3, lambda z: torch.sigmoid(z).clamp(1e-6, 1 - 1e-6), "multi-label"),
    "tanh": (3, torch.tanh, "numbers bounded by tanh"),
    "hard sigmoid": (3, functional.hardsigmoid, "numbers bounded by hardsigmoid"),
    "one hard sigmoid": (1, functional.hardsigmoid, "numbers bounded by hardsigmoid"),
    "hard sigmoid written out": (3, lambda z: functional.relu6(z + 3) / 6, "numbers bounded by"),
    "clamped, then made small": (3, lambda z: (z + 3).clamp(0, 6) / 6, "numbers bounded by"),
    "clamped to 0..1": (3, lambda z: (z / 6 + 0.5).clamp(0, 1), "numbers bounded by"),
    "softplus": (3, functional.softplus, "numbers from softplus"),
    "softmax twice": (3, lambda z: z.softmax(1).softmax(1), "a softmax of a softmax"),
    "other axis": (3, lambda z: z.softmax(0), "does not add up to 1 over the classes"),
    "percent": (3, lambda z: z.softmax(1) * 100, "with scaled or shifted outputs"),
    "divided by the sum": (
        3,
        lambda z: functional.softplus(z) / functional.softplus(z).sum(1, keepdim=True),
        "divided by their sum",
    ),
    "embedding": (3, lambda z: functional.normalize(z, dim=1), "an embedding divided by its length"),
    "mean of two": (3, lambda z: (z.softmax(1) + (2 * z).softmax(1)) / 2, "several softmaxes"),
    "softmax of one": (1, lambda z: z.softmax(1), "always 1"),
    "label": (3, lambda z: z.argmax(1), "torch.int64, expected logits or probabilities"),
    "part": (3, lambda z: z.softmax(1)[:, :2], "a part of a softmax"),
    "shares of two sigmoids": (
        2,
        lambda z: torch.stack([1 - torch.sigmoid(z[:, 0]), torch.sigmoid(z[:, 1])], 1),
        "multi-label",
    ),
    "a column of three": (3, lambda z: z.softmax(1)[:, 1:2], "a part of a softmax"),
    "the label as a number": (3, lambda z: z.argmax(1, keepdim=True).float(), "what argmax makes of the answers"),
    "yes or no": (1, lambda z: (torch.sigmoid(z) > 0.5).float(), "what gt makes of the answers"),
    "two tensors": (3, lambda z: (z, z + 1), "2 tensors (0 [1, 3], 1 [1, 3]), expected one; choose the one"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_neither_is_refused_and_a_new_head_helps(name: str) -> None:
    outputs, behind, sentence = REFUSED[name]
    with pytest.raises(SourceError) as error:
        converted(Head(outputs, behind), VALUES)
    assert sentence in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    if name in ("two tensors", "label"):
        return
    assert "--head new --labels a,b" in str(error.value)
    result = converted(Head(outputs, behind), VALUES, labels=("a", "b", "c"), head="new")
    assert result.agreement.difference < 1e-6
    assert result.facts["features"] == (3 if name == "embedding" else 8)
    learns(result)


def test_each_label_of_several_becomes_a_model_of_its_own() -> None:
    network = Head(3, torch.sigmoid)
    for column in range(3):
        result = converted(network, VALUES, labels=("no", "yes"), column=column)
        np.testing.assert_allclose(said(result, ("no", "yes"))[:, 1], answered(network, rows())[:, column], atol=1e-6)
        learns(result)
    with pytest.raises(SourceError, match="--column 3: the source returns 3 numbers, expected 0 to 2"):
        converted(network, VALUES, column=3)


def test_the_answer_that_counts_is_named() -> None:
    network = Head(3, lambda z: (z * 2, z.softmax(1)))
    expected = answered(Head(3, lambda z: z.softmax(1)), rows())
    np.testing.assert_allclose(said(converted(network, VALUES, answer="1"), (0, 1, 2)), expected, atol=1e-6)
    with pytest.raises(
        SourceError, match=r"--answer 2: the source returns no tensor with that name; it returns 0 \[1, 3"
    ):
        converted(network, VALUES, answer="2")
    with pytest.raises(SourceError, match="--answer logits: the source returns a single tensor; omit the option"):
        converted(Head(3, torch.relu), VALUES, answer="logits")


class Features(nn.Module):
    """A backbone without its head: what comes from the pooling is no classification."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 7, 3), nn.BatchNorm2d(7), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )

    def forward(self, pictures: Tensor) -> Tensor:
        answer: Tensor = self.body(pictures)
        return answer


def test_features_without_a_head_are_no_classes() -> None:
    torch.manual_seed(0)
    network = Features().eval()
    with pytest.raises(SourceError, match=r"7 numbers from 'relu', not from a layer with weights.*--head new"):
        converted(network, PICTURE)
    result = converted(network, PICTURE, labels=("a", "b"), head="new")
    assert result.facts["features"] == 7
    assert result.agreement.difference < 1e-6
    result = converted(network, PICTURE, labels=tuple("abcdefg"))  # somebody who names them knows what they are
    assert any("they count as logits" in note for note in result.notes)


def multi_label() -> nn.Module:
    torch.manual_seed(2)
    front = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*front, nn.Linear(8, 4), nn.Sigmoid()).eval()


@pytest.mark.parametrize("compile_it", [True, False])
def test_torchscript_with_several_labels(compile_it: bool) -> None:
    """The case of the issue: .92 .96 .03 .03 became .35 .37 .14 .14, and was proved."""
    with tracing.quiet():
        script = scripted(multi_label) if compile_it else torch.jit.trace(multi_label(), torch.rand(1, 3, 12, 12))
    with pytest.raises(SourceError, match=r"4 independent labels \(multi-label\)"):
        converted(script, PICTURE, labels=tuple("abcd"))
    result = converted(script, PICTURE, labels=("x", "y", "z"), head="new")
    assert result.facts["features"] == 8
    assert result.agreement.difference < 1e-6
    pixels = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3), np.uint8)
    (layer,) = (item for item in result.model.neuralNetworkClassifier.layers if item.name == result.updatable[0])
    front: Any = multi_label()
    with torch.no_grad():
        expected = front[:4](torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255)
    answers = load(result.model).predict([{"image": item} for item in pixels], intermediate=True)
    np.testing.assert_allclose(np.stack([np.ravel(answer[layer.input[0]]) for answer in answers]), expected, atol=1e-5)
    cut = converted(script, PICTURE, labels=("x", "y"), head="new", cut="4")
    assert cut.facts["features"] == 8
    one = converted(script, PICTURE, labels=("no", "yes"), column=2)
    with torch.no_grad():
        yes = front(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255)[:, 2].double().numpy()
    output = probabilities(load(one.model), [{"image": row} for row in pixels], ("no", "yes"))
    np.testing.assert_allclose(output[:, 1], yes, atol=1e-6)


def test_a_head_that_gives_maps_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 5, 1)).eval()
    with pytest.raises(SourceError, match=r"the source returns \[1, 5, 10, 10\] .*to classif"):
        converted(network, PICTURE)
    result = converted(network, PICTURE, labels=("a", "b"), head="new", cut="2")
    assert result.facts["features"] == 8


def test_squeezenets_head_stays_one_of_logits() -> None:
    torch.manual_seed(0)
    result = converted(Convolutional().eval(), PICTURE)
    assert result.agreement.proved
    assert result.notes[-1] == "the source has no labels; they are the numbers 0 to 2"


class Fixed(nn.Module):
    """A network whose weights see nothing: the same for every row, or far apart, as ``scale`` is 0 or large."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc = nn.Linear(6, 3)
        with torch.no_grad():
            self.fc.weight.mul_(scale)
            self.fc.bias.copy_(torch.tensor([0.0, 0.0, 1e3]))

    def forward(self, values: Tensor) -> Tensor:
        answer: Tensor = self.fc(values)
        return answer


def test_answers_that_never_change_are_not_called_proved() -> None:
    result = converted(Fixed(0), VALUES)
    assert not result.agreement.proved
    assert any(note.startswith("NOT PROVED: ") and "all 8 rows" in note for note in result.notes)


@pytest.mark.parametrize("softmax", [True, False])
def test_saturated_answers_are_proved_by_their_logits(softmax: bool) -> None:
    """As a network of random weights answers 0, 0, 1 for anything: its logits differ, and are compared."""
    network = nn.Sequential(Fixed(3), nn.Softmax(1)) if softmax else Fixed(3)
    with torch.no_grad():
        assert set(network(torch.from_numpy(rows())).softmax(1).argmax(1).tolist()) == {2}
    result = converted(network, VALUES)
    assert result.agreement.proved
    assert result.agreement.relative is not None
    assert result.agreement.relative < 1e-2  # 0 on some processors
    assert any("the same probabilities on every row (the largest is 1)" in note for note in result.notes)


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize(
    "pick",
    [
        lambda z: z.argmax(1),
        lambda z: z.softmax(1).argmax(1, keepdim=True).int(),
        lambda z: z.max(1)[1],
        lambda z: z.topk(1)[1],
        lambda z: z > 0,
    ],
)
def test_what_answers_a_class_alone_gets_a_new_head(pick: Behind, traced: bool) -> None:
    network = Head(4, pick)
    with tracing.quiet():
        source = torch.jit.trace(network.eval(), torch.zeros(1, 6)) if traced else network
    with pytest.raises(SourceError, match=r"numbers of type torch\.\w+, .*--head new --labels a,b"):
        converted(source, VALUES)
    result = converted(source, VALUES, labels=("a", "b"), head="new")
    assert result.facts["features"] == 8
    assert result.agreement.difference < 1e-6
    learns(result)


def test_a_label_beside_its_probabilities_is_left_out() -> None:
    result = converted(Head(3, lambda z: (z.argmax(1), z.softmax(1))), VALUES)
    assert result.agreement.difference < 1e-6


def test_of_several_tensors_the_one_with_as_many_numbers_as_labels_is_proposed() -> None:
    with pytest.raises(SourceError, match="such as --answer 2"):
        converted(Head(3, lambda z: (torch.cat([z, z], 1), z.sum(1), z)), VALUES, labels=("a", "b", "c"))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_weights_of_another_type_are_converted_in_32_bits(dtype: torch.dtype) -> None:
    network = Head(3, lambda z: z).to(dtype)
    result = converted(network, VALUES)
    with torch.no_grad():
        expected = torch.stack([network(torch.from_numpy(row[None]).to(dtype))[0].double() for row in rows()])
    assert np.allclose(
        said(result, range(3)), expected.softmax(1).numpy(), atol=2e-3 if dtype == torch.float16 else 1e-6
    )
    assert any(str(dtype) in note for note in result.notes)
    assert {parameter.dtype for parameter in network.parameters()} == {dtype}  # the caller's own network is as it was


@pytest.mark.parametrize("kind", [nn.utils.parametrizations.spectral_norm, nn.utils.parametrizations.weight_norm])
def test_parametrized_weights_are_what_they_compute(kind: Any) -> None:
    network = Head(3, lambda z: z)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            kind(module)
    result = converted(network.eval(), VALUES)
    expected = torch.from_numpy(answered(network, rows())).softmax(1).numpy()
    assert np.allclose(said(result, range(3)), expected, atol=1e-6)
    assert any(hasattr(module, "parametrizations") for module in network.modules())


class Underflow(nn.Module):
    """Adds relu(x) to x, through 1e-50, which 32 bits take for 0: their copy converts exactly, to another network."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.fc = nn.Linear(6, 3).double()

    def forward(self, values: Tensor) -> Tensor:
        small = torch.relu(torch.relu(values * 1e-25) * 1e-25)
        logits: Tensor = self.fc(values + torch.relu(small * 1e25) * 1e25)
        return logits


def test_the_source_in_its_own_type_is_what_counts() -> None:
    with pytest.raises(UserError, match="its probabilities differ from those of the torch module"):
        converted(Underflow(), VALUES)
    converted(Underflow().float(), VALUES)
