"""Owners a second: the engine's linear heads against UpdateTask, one owner after another, and loops in torch and ONNX
Runtime training, which has no momentum and keeps what its Adam remembers, so that only SGD is beside ours. Beside Adam:
its square roots and divisions alone, one each for every weight in every step, which no order of the work avoids.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.figure import Figure
from benchmarks.training_peer import interpreter
from coreml_updatable.personalization.linear_heads import train_in_span, train_weights
from coreml_updatable.updating.assumptions import Assumptions
from coreml_updatable.updating.network import LinearHead
from coreml_updatable.updating.task import LinearLayer
from coreml_updatable.updating.training import train

SIZE, CLASSES, SHOTS, EPOCHS, PICTURES = 1280, 5, 10, 10, 500
OWNERS = 10_000
ONE_BY_ONE = 60  # owners of the slow ways; times are scaled
CASES = (
    ("SGD, mini-batch 1", 1, "sgd"),
    ("SGD, full batch", SHOTS, "sgd"),
    ("Adam, mini-batch 1", 1, "adam"),
    ("Adam, full batch", SHOTS, "adam"),
)


def figures(onnxruntime_python: str | None) -> Iterator[Figure]:
    """Processor seconds, so that a busy machine says the same as an idle one."""
    python = interpreter(onnxruntime_python, "owners")
    random = np.random.default_rng(0)
    vectors = (random.normal(size=(PICTURES, SIZE)) / 36).astype(np.float32)
    weights = (random.normal(size=(CLASSES, SIZE)) / 10).astype(np.float32)
    shots = np.stack([random.permutation(PICTURES)[:SHOTS] for _ in range(OWNERS)])
    targets = random.integers(0, CLASSES, (OWNERS, SHOTS))
    for what, batch, optimizer in CASES:
        adam = optimizer == "adam"
        layer = LinearLayer(weights, np.zeros(CLASSES, np.float32), ("weights", "bias"), f"{optimizer}Optimizer")
        parameters = {"learningRate": 0.001 if adam else 0.1, "epochs": EPOCHS, "miniBatchSize": batch, "shuffle": True}
        parameters |= {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8} if adam else {"momentum": 0.9}
        owners = OWNERS // 20 if adam else OWNERS
        ours = _batched(layer, vectors, shots[:owners], targets[:owners], parameters) / owners
        slow = _one_by_one(layer, vectors, shots, targets, parameters) / ONE_BY_ONE
        peer = _by_torch(layer, vectors, shots, targets, parameters) / ONE_BY_ONE
        peers = f"torch.optim: {1e6 * peer:.0f} us"
        if python is not None and not adam:
            peers += f", ONNX Runtime training: {1e6 * _by_onnxruntime(python, batch):.0f} us"
        if adam:
            peers += f", its roots and divisions alone: {1e6 * _roots_and_divisions(EPOCHS * SHOTS // batch):.0f} us"
        yield Figure(
            f"an update of one owner, {CLASSES} x {SIZE}, {SHOTS} shots, {EPOCHS} epochs: {what}",
            f"{1e6 * ours:.0f} us, {slow / ours:.0f} times as fast as UpdateTask's own loop ({1e6 * slow:.0f} us)",
            "1/100 of UpdateTask",
            peers,
        )


def _batched(layer: LinearLayer, vectors: Any, shots: Any, targets: Any, parameters: Any) -> float:
    started = time.process_time()
    if layer.optimizer == "adamOptimizer":
        for block in range(0, len(shots), 64):
            train_weights(
                layer, vectors[shots[block : block + 64]], targets[block : block + 64], parameters, Assumptions()
            )
        return time.process_time() - started
    products, start = layer.products(vectors, vectors), layer.logits(vectors)
    for block in range(0, len(shots), 512):
        rows = shots[block : block + 512]
        result = products[rows[:, :, None], rows[:, None, :]]
        train_in_span(result, start[rows], targets[block : block + 512], parameters, Assumptions())
    return time.process_time() - started


def _roots_and_divisions(steps: int) -> float:
    """Processor seconds of one owner, in the cache."""
    moments, quotients = np.ones((2, CLASSES, SIZE + 1), np.float32)
    started = time.process_time()
    for _ in range(ONE_BY_ONE * steps):
        np.divide(moments, np.sqrt(moments, out=quotients), out=quotients)
    return (time.process_time() - started) / ONE_BY_ONE


class _Learner:
    """What UpdateTask trains, without its reading of rows and writing of models."""

    def __init__(self, layer: LinearLayer, x: Any, targets: Any) -> None:
        self.weights = [layer.weights.copy(), layer.bias.copy()]
        self.optimizer = layer.optimizer
        self.head = LinearHead(x, targets, self.weights[0], self.weights[1], ("weights", "bias"))


def _one_by_one(layer: LinearLayer, vectors: Any, shots: Any, targets: Any, parameters: Any) -> float:
    started = time.process_time()
    for owner in range(ONE_BY_ONE):
        train(
            _Learner(layer, vectors[shots[owner]], targets[owner]),
            SHOTS,
            parameters,
            Assumptions(),
            lambda _event, _metrics: True,
        )
    return time.process_time() - started


def _by_onnxruntime(python: str, batch: int) -> float:
    """Processor seconds of one owner; plain SGD."""
    settings = [str(value) for value in (SIZE, CLASSES, SHOTS, EPOCHS, batch, ONE_BY_ONE)]
    command = [python, "-m", "benchmarks.onnxruntime_owners", *settings]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    if result.returncode:
        sys.exit(f"onnxruntime_owners.py: {result.stderr.strip()}")
    return float(result.stdout.split()[-1]) / ONE_BY_ONE


def _by_torch(layer: LinearLayer, vectors: Any, shots: Any, targets: Any, parameters: Any) -> float:
    head = torch.nn.Linear(SIZE, CLASSES)
    rate = parameters["learningRate"]
    started = time.process_time()
    for owner in range(ONE_BY_ONE):
        with torch.no_grad():
            head.weight.copy_(torch.from_numpy(layer.weights))
            head.bias.zero_()
        x, t = torch.from_numpy(vectors[shots[owner]]), torch.from_numpy(targets[owner])
        optimizer: Any = (
            torch.optim.SGD(head.parameters(), lr=rate, momentum=parameters["momentum"])
            if "momentum" in parameters
            else torch.optim.Adam(head.parameters(), lr=rate)
        )
        for _ in range(EPOCHS):
            order = torch.randperm(SHOTS)
            for batch in order.split(int(parameters["miniBatchSize"])):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(head(x[batch]), t[batch]).backward()
                optimizer.step()
    return time.process_time() - started
