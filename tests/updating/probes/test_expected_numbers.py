"""The numbers that probes expect, against PyTorch's optimizers and losses and scikit-learn's neighbors."""

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from sklearn.neighbors import KNeighborsClassifier
from torch.nn import functional

from coreml_updatable.updating.probes import Probe, all_probes, document
from coreml_updatable.updating.probes.outcomes import outcomes
from coreml_updatable.updating.probes.probe import EQUAL

PROBES = {probe.assumption: probe for probe in all_probes()}


def _expected(option: str, **choices: str) -> list[float]:
    (result,) = [outcome.values for outcome in outcomes(PROBES[option]) if outcome.choices == choices]
    return result


def _trained(
    probe: Probe, optimizer: Callable[[list[torch.Tensor]], torch.optim.Optimizer], reduction: str = "mean"
) -> list[float]:
    """Scores of the query after learning the probe's rows in its mini-batches, in order."""
    network = probe.model.neuralNetwork
    product = network.layers[0].innerProduct
    shape = (product.outputChannels, product.inputChannels)
    weights = torch.tensor(list(product.weights.floatValue)).reshape(shape).requires_grad_()
    steps = optimizer([weights])
    kind = getattr(network.updateParams.optimizer, network.updateParams.optimizer.WhichOneof("OptimizerType"))
    size = kind.miniBatchSize.defaultValue
    for epoch in range(network.updateParams.epochs.defaultValue):
        for start in range(0, len(probe.rows), size):
            batch = probe.rows[start : start + size]
            scores = torch.tensor([row["x"] for row in batch]) @ weights.T
            if "probabilities_true" in batch[0]:
                target = torch.tensor([int(row["probabilities_true"][0]) for row in batch])
                loss = functional.cross_entropy(scores, target, reduction=reduction)
            else:
                loss = functional.mse_loss(
                    scores, torch.tensor([row["scores_true"] for row in batch]), reduction=reduction
                )
            (weights.grad,) = torch.autograd.grad(loss, [weights])
            steps.step()
        for group in steps.param_groups:
            group["lr"] = probe.then.get(epoch, {}).get("learningRate", group["lr"])
    assert probe.query is not None
    answer: list[float] = (weights @ torch.tensor(probe.query["x"])).tolist()
    return answer


@pytest.mark.parametrize("choice", ["mean", "sum"])
@pytest.mark.parametrize("option", ["gradient", "squared_error"])
def test_reductions_are_those_of_torch(option: str, choice: str) -> None:
    result = _trained(PROBES[option], lambda weights: torch.optim.SGD(weights, lr=1.0), choice)
    assert _expected(option, **{option: choice}) == pytest.approx(result, abs=1e-6)


def test_a_kept_mini_batch_is_learned_as_torch_does() -> None:
    result = _trained(PROBES["last_mini_batch"], lambda weights: torch.optim.SGD(weights, lr=1.0))
    assert _expected("last_mini_batch", last_mini_batch="keep") == pytest.approx(result, abs=1e-6)


def test_accumulated_momentum_is_that_of_torch() -> None:
    result = _trained(PROBES["momentum"], lambda weights: torch.optim.SGD(weights, lr=1.0, momentum=0.9))
    assert _expected("momentum", momentum="accumulate") == pytest.approx(result, abs=1e-6)


def test_adam_with_corrected_bias_is_that_of_torch() -> None:
    result = _trained(PROBES["adam_bias"], lambda weights: torch.optim.Adam(weights, lr=1, betas=(0.9, 0.75), eps=1e-8))
    assert _expected("adam_bias", adam_bias="corrected") == pytest.approx(result, rel=1e-5)
    result = _trained(PROBES["adam_eps"], lambda weights: torch.optim.Adam(weights, lr=10, betas=(0.9, 0.75), eps=0.5))
    assert _expected("adam_eps", adam_bias="corrected", adam_eps="outside") == pytest.approx(result, rel=1e-5)


def test_losses_are_those_of_torch() -> None:
    probe = PROBES["epoch_loss"]
    scores = torch.tensor([[row["x"][0], 0.0] for row in probe.rows])
    losses = functional.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long), reduction="none")
    batches = [float(part.mean()) for part in torch.split(losses, 2)]
    keep = {"last_mini_batch": "keep"}
    assert _expected("epoch_loss", **keep, epoch_loss="mean over rows") == pytest.approx([float(losses.mean())])
    assert _expected("epoch_loss", **keep, epoch_loss="mean over batches") == pytest.approx([np.mean(batches)])
    assert _expected("epoch_loss", **keep, epoch_loss="last batch") == pytest.approx(batches[-1:])


def test_no_two_ways_to_make_mini_batches_have_the_same_losses() -> None:
    probe = PROBES["shuffled"]
    scores = torch.tensor([[row["x"][0], 0.0] for row in probe.rows], dtype=torch.double)
    losses = functional.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.long), reduction="none").numpy()
    ways = np.array(list(_ways(tuple(range(len(losses))), 3)))
    assert len(ways) == 15400  # 12! / (3!^4 4!)
    means = np.sort(losses[ways].mean(2), axis=1)
    distances, _ = cKDTree(means).query(means, k=2, p=np.inf)
    assert distances[:, 1].min() > 2 * EQUAL


def _ways(rows: tuple[int, ...], size: int) -> Iterator[list[tuple[int, ...]]]:
    if not rows:
        yield []
        return
    for others in combinations(rows[1:], size - 1):
        left = tuple(row for row in rows[1:] if row not in others)
        for way in _ways(left, size):
            yield [(rows[0], *others), *way]


@pytest.mark.parametrize(("choice", "power"), [("distance", 1), ("squared distance", 2)])
def test_inverse_distances_vote_as_in_scikit_learn(choice: str, power: int) -> None:
    classifier = PROBES["inverse_of"].model.kNearestNeighborsClassifier
    samples = np.array([list(sample.vector) for sample in classifier.nearestNeighborsIndex.floatSamples])
    reference = KNeighborsClassifier(2, weights=lambda distances: distances**-power)
    reference.fit(samples, list(classifier.stringClassLabels.vector))
    one, two = reference.predict_proba([[0.0]])[0]
    assert _expected("inverse_of", inverse_of=choice) == pytest.approx([two / one])


def test_the_document_holds_every_probe() -> None:
    result = document(list(PROBES.values()))
    assert [entry["assumption"] for entry in result["probes"]] == list(PROBES)
    for entry, probe in zip(result["probes"], PROBES.values(), strict=True):
        assert entry["model"] == f"{probe.assumption}.mlmodel"
        assert entry["tolerance"] > 0
        assert entry["rows"] == list(probe.rows)
    entries = {entry["assumption"]: entry for entry in result["probes"]}
    assert entries["momentum"]["atEpochEnd"] == [{"epoch": 0, "parameters": {"learningRate": 0.1}}]
    assert {option for option, entry in entries.items() if "seed" not in entry["parameters"] and entry["rows"]} == {
        "no_seed"
    }
    assert {option for option, entry in entries.items() if entry["updates"] != 1} == {"no_seed"}
    assert result["probes"][-1]["parameters"] == {"numberOfNeighbors": 1}


@pytest.mark.parametrize(("choice", "axis"), [("last axis", -1), ("axis -3", -3)])
def test_a_softmax_at_rank_3_is_that_of_torch(choice: str, axis: int) -> None:
    query = PROBES["softmax_at_rank_3"].query
    assert query is not None
    result = torch.softmax(torch.tensor(query["x"]).reshape(2, 1, 2), axis).ravel().tolist()
    assert _expected("softmax_at_rank_3", softmax_at_rank_3=choice) == pytest.approx(result, abs=1e-6)
