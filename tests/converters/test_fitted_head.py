"""A chosen head: scikit-learn's own on the same embedding, judged by nobody who saw the row."""

from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import fractional_matrix_power
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import Normalizer

from coreml_updatable.converting import fitted_head, head_selection
from coreml_updatable.converting.contract import ConversionRequest
from coreml_updatable.data.folds import folds_of
from coreml_updatable.data.inputs import ArrayInput, Examples
from coreml_updatable.runtime import load

fitted = import_module("coreml_updatable.converters.torch.fitted")
KINDS = ("oak", "elm", "cat", "dog")
WIDTH = 12


def rows(count: int = 96, seed: int = 0) -> tuple[Any, Any, list[str]]:
    """Features of four kinds, two of each label, all positive as behind a ReLU."""
    random = np.random.default_rng(seed)
    numbers = np.arange(count) % 4
    centers = np.random.default_rng(9).normal(0, 1.0, (4, WIDTH))
    values = np.abs(centers[numbers] + random.normal(0, 0.5, (count, WIDTH))).astype(np.float32)
    return values, numbers // 2, [KINDS[number] for number in numbers]


def apart(numbers: Any, labels: Any) -> Any:
    """(S / t + I)^(-1/2) (x - mean), of length 1; S is the covariance within the labels, t a part of its mean."""
    rest = np.concatenate(
        [numbers[labels == label] - numbers[labels == label].mean(axis=0) for label in np.unique(labels)]
    )
    within = np.cov(rest.T, bias=True)
    kept = fitted_head.KEPT * np.trace(within) / len(within)
    whitening = fractional_matrix_power(within / kept + np.eye(len(within)), -0.5)
    return Normalizer().transform((numbers - numbers.mean(axis=0)) @ whitening)


@pytest.mark.parametrize("decay", [3.0, 100.0])
@pytest.mark.parametrize("classes", [2, 4])
def test_the_head_is_scikit_learns_logistic_regression(classes: int, decay: float) -> None:
    values, labels, kinds = rows()
    if classes == 4:
        labels = np.array([KINDS.index(kind) for kind in kinds])
    head = fitted_head.fit(values, labels, classes, fitted_head.HeadSettings(decay=decay))
    placed = apart(values.astype(np.float64), labels)
    expected = LogisticRegression(C=decay, tol=1e-8, max_iter=5000).fit(placed, labels).predict_proba(placed)
    logits = head.logits(values)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    assert np.abs(powers / powers.sum(axis=1, keepdims=True) - expected).max() < 2e-3


def test_torch_and_core_ml_compute_the_same_tail() -> None:
    values, labels, _ = rows()
    head = fitted_head.fit(values, labels, 2, fitted_head.HeadSettings(step=0.4))
    with torch.no_grad():
        logits = fitted.tail_module(head)(torch.from_numpy(values)).numpy()
    assert np.abs(logits - head.logits(values)).max() < 1e-4
    tail = fitted.to_core_ml(fitted.tail_module(head), ArrayInput("values", (WIDTH,)))
    expected = torch.softmax(torch.from_numpy(head.logits(values[:7])), dim=1).numpy()
    said = [row["probabilities"].ravel() for row in load(tail).predict([{"values": value} for value in values[:7]])]
    assert np.abs(np.stack(said) - expected).max() < 1e-5
    lengths = np.linalg.norm(head.embed(values), axis=1)
    assert lengths == pytest.approx(head.choice.length)


def test_labels_are_set_apart_by_the_shrunk_covariance_within_them() -> None:
    values, labels, _ = rows()
    numbers = values.astype(np.float64)
    frame = fitted_head.frame_of(numbers, labels)
    assert np.abs(frame.placed(numbers) - apart(numbers, labels)).max() < 1e-9
    assert frame.directions @ frame.directions.T == pytest.approx(np.eye(len(frame.shares)))


def test_where_rows_are_fewer_than_numbers_nothing_else_is_shortened() -> None:
    random = np.random.default_rng(0)
    values, labels = random.normal(size=(12, 200)), np.arange(12) % 3
    frame = fitted_head.frame_of(values, labels)
    assert len(frame.shares) == 9  # 12 rows less the means of three labels
    unseen = random.normal(size=200)
    unseen -= frame.directions.T @ (frame.directions @ unseen)
    expected = Normalizer().transform([unseen])
    assert frame.placed(frame.mean + unseen[None]) == pytest.approx(expected)


def request(values: Any, labels: Any, kinds: list[str], folds: Any) -> ConversionRequest:
    part = Examples(values, labels, tuple(map(str, range(len(values)))), tuple(kinds))
    nothing = Examples(values[:0], labels[:0], (), ())
    return ConversionRequest(
        source={},
        folder=None,  # type: ignore[arg-type]
        input=ArrayInput("values", (WIDTH,)),
        labels=("tree", "animal"),
        train=part,
        validation=nothing,
        test=part,
        seed=0,
        owner=nothing,
        held_out=nothing,
        groups=np.arange(len(values)),
        folds=folds,
    )


class Network(torch.nn.Module):
    """Its features are what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(WIDTH, 2)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.head(values)
        return answer


def test_no_fold_is_judged_by_a_head_that_saw_its_labels() -> None:
    """Other labels of one fold change the answers on the other folds and not on that one."""
    values, labels, kinds = rows(64)
    folds = folds_of(labels, np.arange(64), 4, seed=0)

    def judged(labels: Any) -> Any:
        network = Network()
        return fitted.fit_chosen(network, network.head, request(values, labels, kinds, folds)).judged

    before = judged(labels)
    changed = np.where(folds == 2, 1 - labels, labels)
    after = judged(changed)
    assert np.array_equal(before[folds == 2], after[folds == 2])
    assert np.abs(before - after)[folds != 2].max() > 0.01
    assert (before.argmax(axis=1) == labels).mean() > 0.8


def test_the_shipped_head_is_fitted_on_everything() -> None:
    values, labels, kinds = rows(64)
    network = Network()
    given = request(values, labels, kinds, folds_of(labels, np.arange(64), 4, seed=0))
    result = fitted.fit_chosen(network, network.head, given)
    whole = fitted_head.fit(values, labels, 2, result.choice)
    with torch.no_grad():
        logits = network(torch.from_numpy(values)).numpy()
    assert np.abs(logits - whole.logits(values)).max() < 1e-4
    assert len(result.tails) == 5
    assert len(result.choice.why) == 3


def test_rows_of_which_nothing_can_be_chosen_get_the_defaults() -> None:
    values, labels, _ = rows(4)
    choice = head_selection.choose(values[[0, 2]], labels[[0, 2]], ["oak", "cat"], np.arange(2), 2, seed=0)
    assert replace(choice, why=()) == fitted_head.HeadSettings()


def test_choosing_twice_gives_the_same() -> None:
    values, labels, kinds = rows()
    groups = np.arange(len(values))
    assert head_selection.choose(values, labels, kinds, groups, 2, 3) == head_selection.choose(
        values, labels, kinds, groups, 2, 3
    )
