"""Heads of several layers, of all owners together: the weights of a loop in torch, in double precision."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import coreml_updatable as cu
from coreml_updatable.personalization.linear_heads import batches
from coreml_updatable.updating.assumptions import Assumptions
from coreml_updatable.updating.task import learning_part

OWNERS, SHOTS, SIZE = 3, 7, 6
SGD = {"learningRate": 0.2, "momentum": 0.6, "epochs": 3, "miniBatchSize": 3, "shuffle": True, "seed": 4}
ADAM = {"learningRate": 0.02, "beta1": 0.9, "beta2": 0.99, "eps": 1e-6, **{k: SGD[k] for k in list(SGD)[2:]}}


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(SIZE, 5), nn.Tanh(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))


def model(adam: bool) -> Any:
    result = cu.convert(network(), converter="torch", inputs=[f"point:{SIZE}"], labels=["a", "b", "c"])
    optimizer = cu.Adam(0.02, 3) if adam else cu.SGD(0.2, 3, momentum=0.6)
    return cu.mark(result, last=3, optimizer=optimizer, epochs=3)


def data() -> tuple[Any, Any]:
    random = np.random.default_rng(2)
    return random.normal(size=(OWNERS, SHOTS, SIZE)), random.integers(0, 3, (OWNERS, SHOTS))


@pytest.mark.parametrize(("adam", "gradient", "last"), list(product([False, True], ["mean", "sum"], ["keep", "drop"])))
def test_all_owners_together_are_a_loop_in_torch_of_each(adam: bool, gradient: Any, last: Any) -> None:
    parameters, assumptions = ADAM if adam else SGD, Assumptions(gradient=gradient, last_mini_batch=last)
    result = model(adam)
    head = learning_part(result, {"point": np.zeros(SIZE, np.float32)}).owners
    assert head is not None
    rows, targets = data()
    plan = [batch for _, batch in batches(SHOTS, parameters, assumptions)]
    output = head.double().trained(rows, targets, plan, parameters, assumptions)
    for owner in range(OWNERS):
        alone = network().double()
        rate = float(parameters["learningRate"])
        optimizer: Any = (
            torch.optim.Adam(alone.parameters(), rate, betas=(0.9, 0.99), eps=1e-6)
            if adam
            else torch.optim.SGD(alone.parameters(), rate, momentum=0.6)
        )
        loss = nn.CrossEntropyLoss(reduction=gradient)
        for batch in plan:
            optimizer.zero_grad()
            loss(alone(torch.from_numpy(rows[owner, batch])), torch.from_numpy(targets[owner, batch])).backward()
            optimizer.step()
        wanted = [parameter.detach().numpy() for parameter in alone.parameters()]
        start = [parameter.detach().numpy() for parameter in network().double().parameters()]
        for want, base in zip(wanted, start, strict=True):
            (ours,) = [
                array[owner] for array in output if array[owner].shape == want.shape and near(array[owner], want)
            ]
            assert np.abs(ours - want).max() <= 1e-10 * np.abs(want - base).max()
        asked = torch.from_numpy(rows[owner])
        assert head.logits(rows[owner], output)[owner] == pytest.approx(alone(asked).detach().numpy(), abs=1e-10)


def near(one: Any, other: Any) -> bool:
    return bool(np.abs(one - other).max() < 1e-6)


@pytest.mark.parametrize("adam", [False, True])
def test_all_owners_together_are_the_update_task_of_each(adam: bool) -> None:
    result, (rows, targets) = model(adam), data()
    part = learning_part(result, {"point": np.zeros(SIZE, np.float32)})
    assert part.owners is not None
    rows = rows.astype(np.float32)
    values = dict(cu.UpdateTask(result, []).parameters)
    plan = [batch for _, batch in batches(SHOTS, values, Assumptions())]
    output = part.owners.trained(rows, targets, plan, values, Assumptions())
    ours = part.owners.logits(rows, output)
    label = str(result.message.description.predictedFeatureName)
    probabilities = str(result.message.description.predictedProbabilitiesName)
    for owner in range(OWNERS):
        given = [{"point": row, label: "abc"[target]} for row, target in zip(rows[owner], targets[owner], strict=True)]
        personal = cu.UpdateTask(result, given).resume().model
        said = personal.predict([{"point": row} for row in rows[owner]])
        theirs = np.array([[answer[probabilities][name] for name in "abc"] for answer in said])
        shares = np.exp(ours[owner]) / np.exp(ours[owner]).sum(axis=1, keepdims=True)
        assert shares == pytest.approx(theirs, abs=1e-4 if adam else 1e-5)
