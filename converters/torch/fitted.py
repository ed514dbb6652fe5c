"""A head on a pretrained network's features: fitted on all rows, and once more for each fold that is to judge it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from coreml_updatable.converting import fitted_head, head_selection
from coreml_updatable.converting.contract import ConversionRequest, Converted, HeadOnFeatures
from coreml_updatable.converting.fitted_head import FittedHead, Frame, HeadSettings
from coreml_updatable.data.inputs import ArrayInput, Float32Array, Float64Array, Int64Array

from .heads import features, name_of, replace_module
from .probabilities import probabilities
from .tracing import to_core_ml


class ToEmbedding(nn.Module):
    """Features [n, D] -> placed in ``frame``, each of one length [n, D]."""

    mean: Tensor

    def __init__(self, frame: Frame, length: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(frame.mean.astype(np.float32)))
        self.length = length
        self.along, self.shorter = None, None
        if len(frame.shares):
            size = len(frame.mean)
            self.along = nn.Linear(size, len(frame.shares), bias=False)
            self.shorter = nn.Linear(len(frame.shares), size, bias=False)
            with torch.no_grad():
                self.along.weight.copy_(torch.from_numpy(frame.directions))
                self.shorter.weight.copy_(torch.from_numpy(frame.directions.T * frame.shares))

    def forward(self, values: Tensor) -> Tensor:
        centered = values - self.mean
        if self.along is not None and self.shorter is not None:
            centered = centered - self.shorter(self.along(centered))
        length = torch.linalg.vector_norm(centered, dim=1, keepdim=True).clamp_min(1e-6)
        embedded: Tensor = centered / length * self.length
        return embedded


@dataclass(frozen=True)
class Fitted:
    """What was fitted: for the report, and for whoever compares the models without running the network again."""

    choice: HeadSettings
    features: Mapping[str, Float32Array]  # of the rows to learn, of the test and of the owner's
    tails: tuple[HeadOnFeatures, ...]
    judged: Float64Array  # [test, classes]: of each test row by a head that never saw it
    judged_on_half: Float64Array  # the same by a head that learned half of each label's rows
    answers: Float64Array  # [test, classes]: of each test row by the whole network


def fit_chosen(network: nn.Module, head: nn.Linear, request: ConversionRequest, by_kinds: bool = False) -> Fitted:
    """Replace ``head`` of ``network``, in place, by an embedding and a head fitted on all rows that are to be learned.

    The embedding shortens the directions in which rows of one label differ, ``by_kinds`` those of one kind.

    Where the request has folds, its test rows are the rows it learns from, and each fold's are judged by a tail that
    was chosen and fitted on the other folds.
    """
    parts = {"train": request.train, "validation": request.validation}
    seen = {
        name: features(network, head, part.values, request.on_progress, name).numpy()
        for name, part in (
            *parts.items(),
            *(() if len(request.folds) else (("test", request.test),)),
            ("owner", request.owner),
            ("held out", request.held_out),
        )
        if len(part)
    }
    rows = np.concatenate([seen[name] for name in parts if name in seen])
    labels = np.concatenate([part.labels for part in parts.values()])
    kinds = (*request.train.kinds, *request.validation.kinds)
    groups = request.groups if len(request.groups) == len(rows) else np.arange(len(rows))
    alike = np.unique(kinds, return_inverse=True)[1] if by_kinds else labels
    classes = len(request.labels)

    def fitted(chosen: Any) -> FittedHead:
        some = [kinds[row] for row in chosen]
        choice = head_selection.choose(
            rows[chosen], labels[chosen], some, groups[chosen], classes, request.seed, by_kinds
        )
        return fitted_head.fit(rows[chosen], labels[chosen], classes, choice, alike[chosen])

    request.on_progress("head", 0.0, "choosing embedding and regularization")

    def of_half(item: FittedHead, chosen: Int64Array, asked: Int64Array | None = None) -> Float64Array:
        half = chosen[fitted_head.half_of(labels[chosen], request.seed)]
        head = fitted_head.fit(rows[half], labels[half], classes, item.choice, alike[half])
        return head.probabilities(seen["test"] if asked is None else rows[asked])

    whole = fitted(np.arange(len(rows)))
    tails = [_tail(whole, request)]
    if len(request.folds):
        judged, on_half = np.zeros((len(rows), classes)), np.zeros((len(rows), classes))
        count = int(request.folds.max()) + 1
        for fold in range(count):
            inside, outside = np.flatnonzero(request.folds == fold), np.flatnonzero(request.folds != fold)
            one = fitted(outside)
            judged[inside] = one.probabilities(rows[inside])
            on_half[inside] = of_half(one, outside, inside)
            tails.append(_tail(one, request))
            request.on_progress("head", (fold + 1) / count, f"fold {fold + 1} of {count}")
        test = rows
    else:
        test = seen["test"]
        judged, on_half = whole.probabilities(test), of_half(whole, np.arange(len(rows)))
    nothing = np.zeros((0, rows.shape[1]), np.float32)
    tail = tail_module(whole)
    replace_module(network, name_of(network, head), tail)
    kept = {
        "learned": rows,
        "test": test,
        "owner": seen.get("owner", nothing),
        "held out": seen.get("held out", nothing),
    }
    # The network is its features, then this tail (``features`` checked it): it need not run on the pictures again.
    return Fitted(whole.choice, kept, tuple(tails), judged, on_half, probabilities(tail, test))


def tail_module(head: FittedHead) -> nn.Sequential:
    """``head`` as torch runs it: features [n, D] -> logits [n, classes]."""
    classes, length = head.weights.shape
    linear = nn.Linear(length, classes)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(head.weights))
        linear.bias.copy_(torch.from_numpy(head.bias))
    embedding = ToEmbedding(head.frame, head.choice.length)
    return nn.Sequential(embedding, linear).requires_grad_(False).eval()


def untrained_tail(length: int, classes: int) -> nn.Sequential:
    """The layers of a tail before anything is known."""
    frame = Frame(np.zeros(length), np.zeros((0, length)), np.zeros(0))
    return tail_module(FittedHead(HeadSettings(), frame, np.zeros((classes, length)), np.zeros(classes)))


def with_fitted(converted: Converted, fitted: Fitted) -> Converted:
    """``converted`` and what a build needs to compare without running the network again."""
    from dataclasses import replace

    facts = {
        "trained": "logistic regression on the features of the fixed network",
        "how it was chosen": "; ".join(fitted.choice.why),
    }
    return replace(
        converted,
        facts={**converted.facts, **facts},
        features=fitted.features,
        tails=fitted.tails,
        judged=fitted.judged,
        judged_on_half=fitted.judged_on_half,
    )


def _tail(head: FittedHead, request: ConversionRequest) -> HeadOnFeatures:
    given = ArrayInput(request.input.name, (len(head.frame.mean),))
    return HeadOnFeatures(to_core_ml(tail_module(head), given), head.choice.samples_per_kind, head.choice.neighbors)
