"""A torch network with one sigmoid, or one logit, becomes a classifier of two classes; torch is the judge."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.converting.finished import probabilities
from coreml_updatable.errors import SourceError
from coreml_updatable.runtime import load
from tests.converters.torch_modules import PICTURE, VALUES, Behind, Head, answered, converted, learns, rows, said

SIGMOIDS: dict[str, tuple[int, Behind]] = {
    "sigmoid": (1, torch.sigmoid),
    "squeezed": (1, lambda z: torch.sigmoid(z).squeeze()),
    "squeezed before": (1, lambda z: torch.sigmoid(z.squeeze(1))),
    "flat, dropout behind": (1, lambda z: functional.dropout(torch.sigmoid(z.flatten()), 0.1, training=False)),
    "special": (1, torch.special.expit),
    "written out": (1, lambda z: 1 / (1 + torch.exp(-z))),
    "written out the other way": (1, lambda z: torch.exp(z) / (1 + torch.exp(z))),
    "one minus": (1, lambda z: 1 - torch.sigmoid(z)),
    "clamped": (1, lambda z: torch.sigmoid(z).clamp(1e-6, 1 - 1e-6)),
    "scaled before": (1, lambda z: torch.sigmoid(z.view(-1) * 3 + 1)),
    "one label of four": (4, lambda z: torch.sigmoid(z)[:, 2]),
    "one label of four, kept in a column": (4, lambda z: torch.sigmoid(z)[:, -1:]),
    "of the logit of one of four": (4, lambda z: torch.sigmoid(z[:, 1])),
    "of a difference": (2, lambda z: torch.sigmoid(z[:, 1:] - z[:, :1])),
    "the second column of a softmax": (2, lambda z: z.softmax(1)[:, 1]),
    "the first column of a softmax": (2, lambda z: z.softmax(1)[:, :1]),
}


@pytest.mark.parametrize("name", SIGMOIDS)
def test_one_sigmoid_is_two_classes(name: str) -> None:
    outputs, behind = SIGMOIDS[name]
    network = Head(outputs, behind)
    result = converted(network, VALUES, labels=("no", "yes"))
    yes = answered(network, rows())[:, 0]
    assert np.ptp(yes) > 0.01
    np.testing.assert_allclose(said(result, ("no", "yes")), np.stack([1 - yes, yes], 1), atol=1e-6)
    (head,) = (
        layer.innerProduct for layer in result.model.neuralNetworkClassifier.layers if layer.name == result.updatable[0]
    )
    assert (head.inputChannels, head.outputChannels) == (8, 2)
    learns(result)


@pytest.mark.parametrize("behind", [lambda z: z, lambda z: z[:, 0], lambda z: z.view(-1) / 2])
def test_one_logit_is_two_classes_where_labels_say_so(behind: Behind) -> None:
    network = Head(1, behind)
    result = converted(network, VALUES, labels=("no", "yes"))
    yes = torch.from_numpy(answered(network, rows())[:, 0]).sigmoid().numpy()
    np.testing.assert_allclose(said(result, ("no", "yes"))[:, 1], yes, atol=1e-6)
    learns(result)
    with pytest.raises(SourceError, match=r"one number without a sigmoid.*--labels no,yes.*--head new --labels a,b"):
        converted(network, VALUES)
    with pytest.raises(SourceError, match=r"labels: found 3 for a single output, .*; name both"):
        converted(network, VALUES, labels=("a", "b", "c"))


SHARES: dict[str, Behind] = {
    "yes first": lambda z: torch.cat([torch.sigmoid(z), 1 - torch.sigmoid(z)], 1),
    "no first": lambda z: torch.cat([1 - torch.sigmoid(z), torch.sigmoid(z)], 1),
    "stacked": lambda z: torch.stack([1 - torch.sigmoid(z[:, 0]), torch.sigmoid(z[:, 0])], 1),
    "a softmax of zero and the logit": lambda z: torch.cat([torch.zeros_like(z), z], 1).softmax(1),
}


@pytest.mark.parametrize("name", SHARES)
def test_both_shares_of_one_sigmoid(name: str) -> None:
    network = Head(1, SHARES[name])
    result = converted(network, VALUES)
    np.testing.assert_allclose(said(result, (0, 1)), answered(network, rows()), atol=1e-6)
    learns(result)


class Pooled(nn.Module):
    """A convolution with one output, averaged: the binary head of a network without dense layers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.body, self.last, self.pool = nn.Conv2d(3, 8, 3, 2), nn.Conv2d(8, 1, 1), nn.AdaptiveAvgPool2d(1)

    def forward(self, pictures: Tensor) -> Tensor:
        return torch.sigmoid(self.pool(self.last(torch.relu(self.body(pictures)) * 4)).flatten(1))


def test_a_convolution_with_one_output_is_two_classes() -> None:
    network = Pooled().eval()
    result = converted(network, PICTURE, labels=("no", "yes"))
    pixels = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3), np.uint8)
    pixels[1] //= 3
    with torch.no_grad():
        yes = network(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255)[:, 0].double().numpy()
    assert np.ptp(yes) > 1e-3
    answers = probabilities(load(result.model), [{"image": item} for item in pixels], ("no", "yes"))
    np.testing.assert_allclose(answers[:, 1], yes, atol=1e-6)
