"""Fitting a head on features that never change: a convex problem, solved to the end in a moment."""

from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from .torch_fitting import History, Labelled, score

ITERATIONS = 200
ROUND = 10  # iterations between two entries of the history


def fit_head(
    head: nn.Linear, train: Labelled, validation: Labelled, decay: float, on_progress: Callable[[float, str], None]
) -> History:
    """Multinomial logistic regression: cross entropy + decay / 2 * sum(weights^2), the bias left free, by L-BFGS.

    Features float32 [n, D]. One entry every ten iterations, until nothing moves any more.
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
    for number in range(1, ITERATIONS // ROUND + 1):
        before = exact.weight.detach().clone()
        optimizer.step(loss_and_gradient)
        with torch.no_grad():
            train_loss = float(cross_entropy(exact(inputs), labels))
            head.weight.copy_(exact.weight)
            head.bias.copy_(exact.bias)
        history.append({"epoch": number, "train_loss": train_loss, **score(head, validation)})
        on_progress(number * ROUND / ITERATIONS, f"validation {history[-1]['validation_accuracy']:.1%}")
        if float((exact.weight.detach() - before).abs().max()) < 1e-6:
            break
    return tuple(history)
