"""One number with or without a sigmoid as two classes, several sigmoids with a new head; torch is the reference."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from coreml_updatable.checking import check
from coreml_updatable.converting.equivalence import ALLOWED_DIFFERENCE, unchanged
from coreml_updatable.converting.marked import marked_and_proved
from coreml_updatable.errors import ModelError
from coreml_updatable.marking import mark, marked
from coreml_updatable.runtime import load
from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import class_labels, network_of
from tests.marking.networks import convert
from tests.marking.test_mark import SETTINGS

TWO = ("no", "yes")
End = Callable[[Tensor], Tensor]


class Vector(nn.Module):
    """A hidden layer, one of ``outputs`` numbers, and ``end`` behind it."""

    def __init__(self, end: End, outputs: int = 1) -> None:
        super().__init__()
        self.hidden, self.head, self.end = nn.Linear(5, 7), nn.Linear(7, outputs), end

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.hidden(x).relu())
        return self.end(out)


class Picture(nn.Module):
    """A convolution to ``outputs`` maps, averaged."""

    def __init__(self, end: End, outputs: int = 1) -> None:
        super().__init__()
        self.body, self.head, self.end = nn.Conv2d(3, 4, 3), nn.Conv2d(4, outputs, 1), end

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(x).relu())
        return self.end(out.mean((2, 3)))


SHAPES = {Vector: (1, 5), Picture: (1, 3, 6, 6)}
ENDS: dict[str, tuple[End, Callable[[Tensor], Tensor]]] = {  # the end, and the probability of yes from the answer
    "sigmoid": (torch.sigmoid, lambda said: said),
    "logit": (lambda z: z, torch.sigmoid),
    "squeezed sigmoid": (lambda z: torch.sigmoid(z).squeeze(1), lambda said: said),
    "sigmoid of squeezed": (lambda z: torch.sigmoid(z.squeeze(1)), lambda said: said),
    "scaled": (lambda z: torch.sigmoid(2 * z - 0.5), lambda said: said),
    "one minus": (lambda z: 1 - torch.sigmoid(z), lambda said: said),
    "negated": (lambda z: torch.sigmoid(-z), lambda said: said),
}


def made(kind: type[nn.Module], end: End, outputs: int = 1) -> nn.Module:
    torch.manual_seed(3)
    return kind(end, outputs).eval()


@pytest.mark.parametrize("kind", [Vector, Picture])
@pytest.mark.parametrize("name", ENDS)
def test_one_number_becomes_two_classes(kind: type[nn.Module], name: str) -> None:
    end, to_yes = ENDS[name]
    source = made(kind, end)
    model = convert(source, SHAPES[kind])
    result, proof = marked_and_proved(model, SETTINGS, labels=TWO)
    rows = torch.randn(6, *SHAPES[kind][1:])
    yes = torch.stack([to_yes(source(row[None])).reshape(()) for row in rows]).detach().numpy()
    feature = str(result.model.description.input[0].name)
    answers = load(result.model).predict([{feature: row[None].numpy()} for row in rows])
    np.testing.assert_allclose([answer["labelProbability"]["yes"] for answer in answers], yes, atol=1e-6)
    assert proof.proved
    assert proof.relative is not None
    assert class_labels(result.model) == TWO
    assert not [problem for problem in check(result.model) if problem.severity == "error"]
    assert mark(result.model, SETTINGS) == result.model


def test_the_proof_sees_the_two_classes_swapped() -> None:
    model = convert(made(Vector, torch.sigmoid), (1, 5))
    swapped = mark(model, SETTINGS, labels=TWO)
    head = next(layer for layer in reversed(network_of(swapped).layers) if layer_kind(layer) == "innerProduct")
    weights = np.reshape(head.innerProduct.weights.floatValue, (2, -1))[::-1].ravel()
    head.innerProduct.weights.floatValue[:] = weights.tolist()
    with pytest.raises(Exception, match="differ from those before"):
        unchanged(model, swapped)


def test_one_number_for_three_labels_is_refused_and_a_new_head_takes_them() -> None:
    model = convert(made(Vector, torch.sigmoid), (1, 5))
    with pytest.raises(ModelError, match=r"two labels.*--head new"):
        mark(model, SETTINGS, labels=("a", "b", "c"))
    result, proof = marked_and_proved(model, SETTINGS, labels=("a", "b", "c"), head="new")
    assert class_labels(result.model) == ("a", "b", "c")
    assert proof.proved


def test_a_number_that_no_one_layer_gives_is_refused_and_a_new_head_named() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.head(x)
            return out.sum(1, keepdim=True)

    with pytest.raises(ModelError, match="--head new"):
        mark(convert(Sum().eval(), (1, 5)), SETTINGS, labels=TWO)


@pytest.mark.parametrize("kind", [Vector, Picture])
@pytest.mark.parametrize("end", [torch.sigmoid, torch.tanh, lambda z: torch.sigmoid(z * 2), nn.functional.softplus])
@pytest.mark.parametrize("labels", [("a", "b", "c", "d"), ("x", "y", "z")])
def test_several_sigmoids_are_refused_and_the_new_head_named_works(
    kind: type[nn.Module], end: End, labels: tuple[str, ...]
) -> None:
    model = convert(made(kind, end, 4), SHAPES[kind])
    with pytest.raises(ModelError, match="--head new"):
        mark(model, SETTINGS, labels=("a", "b", "c", "d"))
    result, proof = marked_and_proved(model, SETTINGS, labels=labels, head="new")
    assert proof.proved
    assert proof.difference <= ALLOWED_DIFFERENCE
    assert class_labels(result.model) == labels
    assert not [problem for problem in check(result.model) if problem.severity == "error"]
    kinds = [layer_kind(layer) for layer in network_of(result.model).layers]
    assert kinds[-1] == "softmax"
    assert kinds.count("activation") == 1  # the ReLU inside
    assert load(result.model).predict({str(model.description.input[0].name): np.zeros(SHAPES[kind], np.float32)})


SHIFTS: dict[str, Callable[[Tensor], Tensor]] = {
    "minus one": lambda z: 3 * z - 1,
    "one minus": lambda z: 1 - z,
    "centered": lambda z: z - z.mean(1, keepdim=True),
    "softmax of centered": lambda z: torch.softmax(z - z.mean(1, keepdim=True), 1),
    "from the largest": lambda z: torch.softmax(z - z.max(1, keepdim=True)[0], 1),
    "log softmax by hand": lambda z: z - z.logsumexp(1, keepdim=True),
    "logarithm of a softmax of centered": lambda z: torch.log(torch.softmax(z - z.mean(1, keepdim=True), 1)),
}


@pytest.mark.parametrize("kind", [Vector, Picture])
@pytest.mark.parametrize("name", SHIFTS)
def test_what_all_logits_have_in_common_is_dropped(kind: type[nn.Module], name: str) -> None:
    source = made(kind, SHIFTS[name], 3)
    model = convert(source, SHAPES[kind])
    actual = marked(model, SETTINGS, labels=("a", "b", "c")).model
    rows = torch.randn(5, *SHAPES[kind][1:])
    said = torch.cat([source(row[None]) for row in rows]).detach()
    expected = (said if name in ("softmax of centered", "from the largest") else said.softmax(1)).numpy()
    feature = str(actual.description.input[0].name)
    answers = load(actual).predict([{feature: row[None].numpy()} for row in rows])
    shares = np.array([[answer["labelProbability"][label] for label in ("a", "b", "c")] for answer in answers])
    np.testing.assert_allclose(shares, expected, atol=1e-6)
    assert unchanged(model, actual) <= ALLOWED_DIFFERENCE


def test_what_features_have_in_common_before_the_head_is_kept() -> None:
    """The head sees a difference there that a softmax behind it does not see."""

    class Centered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.head = nn.Linear(5, 4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            features = torch.relu(self.first(x))
            centered: Tensor = features - features.mean(1, keepdim=True)
            out: Tensor = torch.softmax(self.head(centered), 1)
            return out

    source = Centered().eval()
    result = marked(convert(source, (1, 5)), SETTINGS, labels=("a", "b", "c")).model
    rows = torch.randn(6, 5)
    feature = str(result.description.input[0].name)
    answers = load(result).predict([{feature: row[None].numpy()} for row in rows])
    shares = np.array([[answer["labelProbability"][label] for label in ("a", "b", "c")] for answer in answers])
    np.testing.assert_allclose(shares, source(rows).detach().numpy(), atol=1e-6)


def test_what_is_not_common_to_all_logits_stays() -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.other = nn.Linear(5, 3), nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.head(x) + self.other(x)
            return out

    model: Model = convert(Shifted().eval(), (1, 5))
    with pytest.raises(ModelError, match="expected a trainable linear layer or"):
        mark(model, SETTINGS, labels=("a", "b", "c"))
