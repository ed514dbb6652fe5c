"""Answers that are a sum or a mean of several linear heads become one head, judged by torch's own answers."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import coreml_updatable as cu


def unusual(norm: Any) -> None:
    """A normalization that has seen data."""
    norm.running_mean.normal_(std=0.1)
    norm.running_var.uniform_(0.5, 2)


class Heads(nn.Module):
    """Two embeddings of five and eight numbers, heads on each, and one way of putting these together."""

    def __init__(self, answer: Callable[["Heads", Tensor, Tensor], Tensor], outputs: int = 3) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(6, 5)
        self.a, self.b, self.c = nn.Linear(8, outputs), nn.Linear(8, outputs), nn.Linear(5, outputs, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm1d(8), nn.BatchNorm1d(8, eps=0.1), nn.BatchNorm1d(5, affine=False)])
        self.drop = nn.Dropout(0.5)
        self.share = nn.Parameter(torch.tensor(0.3))
        self.each = nn.Parameter(torch.rand(outputs) + 0.5)
        self.answer = answer
        for norm in self.norms:
            unusual(norm)
            for weight in norm.parameters():
                nn.init.normal_(weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(self, torch.relu(self.first(x)), torch.tanh(self.second(x)))


# Each with the width of the one head that it is: 8 on the first embedding, 13 on both.
WAYS: dict[str, tuple[Callable[[Any, Tensor, Tensor], Tensor], int]] = {
    "the mean on one embedding": (lambda m, e, _: (m.a(e) + m.b(e)) / 2, 8),
    "the sum on one embedding": (lambda m, e, _: m.a(e) + m.b(e), 8),
    "a difference": (lambda m, e, _: m.a(e) - m.b(e), 8),
    "LeViT: each behind its own normalization": (lambda m, e, _: (m.a(m.norms[0](e)) + m.b(m.norms[1](e))) / 2, 8),
    "normalized, then dropout": (lambda m, e, _: m.a(m.drop(m.norms[0](e))) + m.b(m.drop(m.norms[1](m.drop(e)))), 8),
    "DeiT: the mean on two embeddings": (lambda m, e, d: (m.a(e) + m.c(d)) / 2, 13),
    "normalized and not": (lambda m, e, d: m.a(m.norms[1](e)) + m.b(e) + m.c(m.norms[2](d)), 13),
    "stacked, then the mean": (lambda m, e, d: torch.stack([m.a(e), m.c(d)]).mean(0), 13),
    "stacked behind, then the sum": (lambda m, e, d: torch.stack([m.a(e), m.b(e), m.c(d)], -1).sum(-1), 13),
    "learned shares": (lambda m, e, d: m.share * m.a(e) + (1 - m.share) * m.c(d), 13),
    "a scale for each class": (lambda m, e, d: m.each * m.a(e) + m.c(d) / m.each, 13),
    "a shift for each class": (lambda m, e, d: m.each + m.a(e) + m.c(d), 13),
    "three heads": (lambda m, e, d: (m.a(e) + m.b(e) + m.c(d)) / 3, 13),
    "with a factor": (lambda m, e, d: torch.add(m.a(e), m.c(d), alpha=2), 13),
    "taken from a number": (lambda m, e, d: 1 - (m.a(e) - m.c(d)), 13),
    "products of matrices": (lambda m, e, d: e @ m.a.weight.t() + d @ m.c.weight.t() + m.a.bias, 13),
    "a softmax behind": (lambda m, e, d: torch.softmax((m.a(e) + m.c(d)) / 2, 1), 13),
    "logarithms of a softmax behind": (lambda m, e, _: torch.log_softmax(m.a(e) + m.b(e), 1), 8),
}


def rows(count: int = 20) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(1).normal(size=(count, 6)).astype(np.float32)


def shares(model: cu.RunnableModel, labels: str = "abc") -> Any:
    result = [answer["labelProbability"] for answer in model.predict([{"x": row} for row in rows()])]
    return np.array([[item[label] for label in labels] for item in result])


def converted(network: nn.Module, labels: str = "abc", **options: Any) -> cu.RunnableModel:
    return cu.convert(network, converter="torch", inputs=["x:6"], labels=list(labels), **options)


@pytest.mark.parametrize("way", WAYS)
def test_several_heads_are_one(way: str) -> None:
    torch.manual_seed(0)
    answer, width = WAYS[way]
    network = Heads(answer).eval()
    model = converted(network)
    said = network(torch.tensor(rows())).detach()
    expected = said if way == "a softmax behind" else torch.softmax(said, 1)
    assert np.allclose(shares(model), expected, atol=1e-5)
    (head,) = [layer for layer in model.message.neuralNetworkClassifier.layers if layer.isUpdatable]
    assert (head.innerProduct.inputChannels, head.innerProduct.outputChannels) == (width, 3)
    learned = cu.UpdateTask(
        model, [{"x": row, "label": "c"} for row in rows(8)], parameters={"epochs": 20, "learningRate": 0.1}
    ).resume()
    assert shares(learned.model)[:8, 2].mean() > shares(model)[:8, 2].mean()


@pytest.mark.parametrize("sigmoid", [True, False])
def test_one_number_of_two_heads_is_two_classes(sigmoid: bool) -> None:
    torch.manual_seed(0)
    network = Heads(lambda m, e, d: (m.a(e) + m.c(d)) / 2, outputs=1).eval()
    whole = nn.Sequential(network, nn.Sigmoid()) if sigmoid else network
    model = converted(whole.eval(), "ny")
    yes = torch.sigmoid(network(torch.tensor(rows()))).detach().numpy()
    assert np.allclose(shares(model, "ny"), np.concatenate([1 - yes, yes], 1), atol=1e-5)


OTHERS: dict[str, tuple[Callable[[Any, Tensor, Tensor], Tensor], str]] = {
    "one of them rectified": (lambda m, e, d: m.a(e) + torch.relu(m.c(d)), "add"),
    "a product": (lambda m, e, d: m.a(e) * m.c(d), "mul"),
    "the larger": (lambda m, e, d: torch.maximum(m.a(e), m.c(d)), "maximum"),
    "a sum with features": (lambda m, e, d: m.a(e) + d[:, :3], "add"),
    "the mean of softmaxes": (lambda m, e, d: (torch.softmax(m.a(e), 1) + torch.softmax(m.c(d), 1)) / 2, "softmaxes"),
}


@pytest.mark.parametrize("way", OTHERS)
def test_what_is_no_sum_of_linear_heads_is_refused_with_its_reason(way: str) -> None:
    """The advice is followed: a new head, which learns."""
    torch.manual_seed(0)
    answer, reason = OTHERS[way]
    network = Heads(answer).eval()
    with pytest.raises(cu.SourceError) as refused:
        converted(network)
    for fact in (reason, "head='new'", "labels=["):
        assert fact in str(refused.value)
    model = converted(network, "xy", head="new")
    (head,) = [layer for layer in model.message.neuralNetworkClassifier.layers if layer.isUpdatable]
    assert head.innerProduct.inputChannels == {"a sum with features": 3, "the larger": 3}.get(way, 13)
    learned = cu.UpdateTask(
        model, [{"x": row, "label": "y"} for row in rows(8)], parameters={"epochs": 20, "learningRate": 0.1}
    ).resume()
    assert shares(learned.model, "xy")[:8, 1].mean() > shares(model, "xy")[:8, 1].mean()


def test_a_new_head_reads_all_embeddings() -> None:
    torch.manual_seed(0)
    network = Heads(WAYS["DeiT: the mean on two embeddings"][0]).eval()
    model = converted(network, "xy", head="new")
    (head,) = [layer for layer in model.message.neuralNetworkClassifier.layers if layer.isUpdatable]
    assert (head.innerProduct.inputChannels, head.innerProduct.outputChannels) == (13, 2)


@pytest.mark.vision
@pytest.mark.parametrize(
    ("name", "width"), [("levit_128s", 384), ("deit_tiny_distilled_patch16_224", 384), ("efficientformerv2_s0", 176)]
)
def test_distilled_networks_of_timm_convert(name: str, width: int) -> None:
    timm: Any = import_module("coreml_updatable.converters.torch.architectures").import_library("timm")
    torch.manual_seed(0)
    source = timm.create_model(name, num_classes=5).eval()
    for module in source.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            unusual(module)
    config = timm.data.resolve_data_config({}, model=source)
    size = config["input_size"][1]
    model = cu.convert(
        source, converter="torch", inputs=[f"image:{size}x{size}"], mean=config["mean"], std=config["std"]
    )
    picture = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    scaled = (picture / 255 - np.array(config["mean"])) / np.array(config["std"])
    with torch.no_grad():
        expected = source(torch.tensor(scaled.transpose(2, 0, 1)[None], dtype=torch.float32)).softmax(1)[0].numpy()
    actual = model.predict({"image": picture})["labelProbability"]
    assert np.allclose(list(actual.values()), expected, atol=1e-4)
    (head,) = [layer for layer in model.message.neuralNetworkClassifier.layers if layer.isUpdatable]
    assert head.innerProduct.inputChannels == width
