"""Two ways of training: AdamW with early stopping, and a head on fixed features as a convex problem."""

import copy
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from coreml_updatable.converting.contract import Checkpoint
from coreml_updatable.data.inputs import Progress

from . import checkpoints
from .probabilities import BATCH
from .reproducible import freed_memory_kept
from .source import TorchTraining

History = tuple[Mapping[str, float], ...]
Labelled = tuple[Tensor, Tensor]  # inputs [n, ...], labels int64 [n]
Vary = Callable[[Tensor, Tensor, torch.Generator], Labelled]  # another look at a batch


@freed_memory_kept()
def fit(
    module: nn.Module,
    train: Labelled,
    validation: Labelled,
    settings: TorchTraining,
    vary: Vary | None,
    seed: int,
    on_progress: Callable[[float, str], None],
    checkpoint: Checkpoint | None = None,
) -> History:
    """Train ``module`` with cross entropy; leave it in evaluation mode with the weights of the lowest validation loss.

    Return one entry per epoch: epoch, train_loss, validation_loss, validation_accuracy. After each, the state is kept
    in ``checkpoint``; where it holds one, the training goes on from there, to the same weights.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs, labels = train
    batches = -(-len(labels) // settings.batch_size)
    optimizer = torch.optim.AdamW(module.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, epochs=settings.epochs, steps_per_epoch=batches
    )
    history: list[Mapping[str, float]] = []
    best, best_state, waited = float("inf"), copy.deepcopy(module.state_dict()), 0
    kept = checkpoints.read(checkpoint)
    if kept is not None:
        module.load_state_dict(kept["module"])
        optimizer.load_state_dict(kept["optimizer"])
        schedule.load_state_dict(kept["schedule"])
        generator.set_state(kept["generator"])
        torch.set_rng_state(kept["random"])
        history, best, best_state, waited = kept["history"], kept["best"], kept["best_state"], kept["waited"]
    started, first = time.perf_counter(), len(history)
    for epoch in range(first + 1, settings.epochs + 1):
        if waited >= settings.patience:
            break
        module.train()
        total = 0.0
        # Parts of nearly equal size: a last batch of one picture would break batch normalization.
        for chosen in torch.randperm(len(labels), generator=generator).tensor_split(batches):
            batch = (inputs[chosen], labels[chosen])
            batch = batch if vary is None else vary(*batch, generator)
            loss = cross_entropy(module(batch[0]), batch[1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(chosen)
        history.append({"epoch": epoch, "train_loss": total / len(labels), **score(module, validation)})
        left = (time.perf_counter() - started) / (epoch - first) * (settings.epochs - epoch)
        on_progress(epoch / settings.epochs, f"{_words(history[-1], settings.epochs)}, at most {left:.0f} s left")
        if history[-1]["validation_loss"] < best:
            best, best_state, waited = history[-1]["validation_loss"], copy.deepcopy(module.state_dict()), 0
        else:
            waited += 1
        state: dict[str, Any] = {
            "module": module.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
        }
        state |= {"generator": generator.get_state(), "random": torch.get_rng_state(), "history": history}
        checkpoints.write(checkpoint, {**state, "best": best, "best_state": best_state, "waited": waited})
    module.load_state_dict(best_state)
    module.eval()
    return tuple(history)


def staged(on_progress: Progress, stage: str) -> Callable[[float, str], None]:
    return lambda fraction, detail: on_progress(stage, fraction, detail)


def score(module: nn.Module, labelled: Labelled) -> Mapping[str, float]:
    """Return mean cross entropy and accuracy in evaluation mode."""
    module.eval()
    inputs, labels = labelled
    with torch.no_grad():
        logits = torch.cat([module(part) for part in torch.split(inputs, BATCH)])
    accuracy = (logits.argmax(dim=1) == labels).double().mean()
    return {"validation_loss": float(cross_entropy(logits, labels)), "validation_accuracy": float(accuracy)}


def _words(entry: Mapping[str, float], epochs: int) -> str:
    return (
        f"epoch {entry['epoch']:.0f} of {epochs}, loss {entry['train_loss']:.3f}, validation loss "
        f"{entry['validation_loss']:.3f}, accuracy {entry['validation_accuracy']:.1%}"
    )


ITERATIONS = 200
ROUND = 10  # iterations between two entries of the history


def fit_head(
    head: nn.Linear, train: Labelled, validation: Labelled, decay: float, on_progress: Callable[[float, str], None]
) -> History:
    """Fit a multinomial logistic regression by L-BFGS: cross entropy + decay / 2 * sum(weights^2), without the bias.

    Features are float32 [n, D]. Return one entry every ten iterations, until convergence.
    """
    exact = nn.Linear(head.in_features, head.out_features, dtype=torch.float64)
    nn.init.zeros_(exact.weight)
    nn.init.zeros_(exact.bias)
    inputs, labels = train[0].double(), train[1]
    optimizer = torch.optim.LBFGS(
        exact.parameters(),
        max_iter=ROUND,
        tolerance_grad=1e-9,
        tolerance_change=1e-14,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def loss_and_gradient() -> torch.Tensor:
        optimizer.zero_grad()
        loss = cross_entropy(exact(inputs), labels) + decay / 2 * exact.weight.square().sum()
        loss.backward()
        return loss

    history: list[Mapping[str, float]] = []
    for index in range(1, ITERATIONS // ROUND + 1):
        before = exact.weight.detach().clone()
        optimizer.step(loss_and_gradient)
        with torch.no_grad():
            train_loss = float(cross_entropy(exact(inputs), labels))
            head.weight.copy_(exact.weight)
            head.bias.copy_(exact.bias)
        history.append({"epoch": index, "train_loss": train_loss, **score(head, validation)})
        on_progress(index * ROUND / ITERATIONS, f"validation {history[-1]['validation_accuracy']:.1%}")
        if float((exact.weight.detach() - before).abs().max()) < 1e-6:
            break
    return tuple(history)
