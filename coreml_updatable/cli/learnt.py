"""An update from files, and what it came to."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from coreml_updatable.cli.changes import Changes, changes
from coreml_updatable.cli.learning import told
from coreml_updatable.cli.rows.features import features_of
from coreml_updatable.cli.rows.fit import Fit
from coreml_updatable.cli.rows.naming import named
from coreml_updatable.cli.rows.reading import training_rows
from coreml_updatable.cli.variants import Chosen
from coreml_updatable.errors import ModelError, UserError, located
from coreml_updatable.runtime import FrozenRow, RunnableModel, load
from coreml_updatable.updating import UpdateContext, UpdateTask

AT_A_TIME = 64
EPOCH_LOSS = {
    "last batch": "of the epoch's last mini-batch",
    "mean over batches": "mean over the epoch's mini-batches",
    "mean over rows": "mean over the epoch's rows",
}


@dataclass(frozen=True)
class Learnt:
    """``losses``: lossValue of each epochEnd; none for a k-NN."""

    context: UpdateContext
    rows: int
    losses: list[float]
    changes: Changes
    variants: Chosen

    def as_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "parameters": dict(self.context.parameters),
            "epochs": [{"epochIndex": number, "lossValue": loss} for number, loss in enumerate(self.losses)],
            "layers": list(self.changes.layers),
            "samples": self.changes.samples,
            "added": dict(self.changes.added),
            "variants": {**asdict(self.variants.learning), **asdict(self.variants.voting)},
            "probedOn": self.variants.source or None,
        }

    def as_lines(self) -> list[str]:
        what = f"learnt {_counted(self.rows, 'row')}"
        if self.losses:
            ends = f"loss {self.losses[0]:.4g} -> {self.losses[-1]:.4g}"
            what += (
                f" in {_counted(len(self.losses), 'epoch')}, {ends} ({EPOCH_LOSS[self.variants.learning.epoch_loss]})"
            )
        lines = [what]
        if self.losses:
            lines.append(f"layers changed: {', '.join(self.changes.layers) or 'none'}")
        if self.changes.samples is not None:
            listed = ", ".join(f"{count} {label}" for label, count in self.changes.added)
            lines.append(f"samples added: {listed}; the model has {self.changes.samples}")
        return [*lines, f"variants: {self.variants}"]


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def learn(model: Path, data: Path, fit: Fit, parameters: Mapping[str, Any], variants: Chosen, *, quiet: bool) -> Learnt:
    """Train the model in ``model`` on the rows of ``data``; a UserError names the row that can not be learnt."""
    runnable = load(model, variants=variants.voting)
    names: list[str] = []
    losses: list[float] = []
    with told(quiet=quiet) as tell:

        def on_event(context: UpdateContext) -> None:
            _expect_finite(context)
            if context.event == "epochEnd":
                losses.append(context.metrics["lossValue"])
            tell(context)

        rows = _frozen(runnable, data, fit, names)
        with located("model", model):
            task = UpdateTask(runnable, rows, parameters, on_event, variants.learning, variants.voting)
            try:
                context = task.resume()
            except UserError as error:
                raise named(error, names) from error
    return Learnt(context, len(names), losses, changes(runnable.message, context.model.message), variants)


def _frozen(model: RunnableModel, data: Path, fit: Fit, names: list[str]) -> Iterator[FrozenRow]:
    """The rows after the frozen part, a block at a time; ``names`` grows as they come."""
    incoming = training_rows(data, model.message, features_of(model.message, fit))
    while block := list(islice(incoming, AT_A_TIME)):
        try:
            frozen = model.frozen([row for _, row in block])
        except UserError as error:
            raise named(error, [name for name, _ in block]) from error
        names += [name for name, _ in block]
        yield from frozen


def _expect_finite(context: UpdateContext) -> None:
    loss = context.metrics.get("lossValue", 0.0)
    if not math.isfinite(loss):
        epoch = int(context.metrics["epochIndex"]) + 1
        raise ModelError(f"update: the loss is {loss} in epoch {epoch}, nothing is written; lower the learning rate")
