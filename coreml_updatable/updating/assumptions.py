"""Assumptions about training where Apple's documentation is silent, each with choices, a default and a reason.

docs/probes.md says what is known about each of them, and how to find out what a device does.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from coreml_updatable.runtime.assumptions import PredictionAssumptions


@dataclass(frozen=True, kw_only=True)
class Assumptions(PredictionAssumptions):
    """How a device trains and predicts, where no documentation says; what it predicts is in PredictionAssumptions.

    UserError for a choice that there is not.

    last_mini_batch: fewer rows than a mini-batch holds, at the end of an epoch. Default "keep": with few rows, as on a
        phone, dropping them would drop most of what there is to learn. "drop" keeps them where they are the only ones.
    gradient: default "mean" over a mini-batch, the convention for which learning rates are published; or "sum".
    epoch_loss: lossValue at epochEnd. Default "last batch", the loss of the epoch's last mini-batch: the losses that
        public apps show are too uneven for a mean (docs/probes.md). Or "mean over batches", or "mean over rows", which
        counts a short last mini-batch for what it is.
    first_epoch: default "shuffled", as all others are: a model that a Mac updated is far from what rows in order give
        (docs/probes.md). "in order" takes "shuffle the data between epochs" to the letter.
    shuffled: what changes places. Default "rows", so that every epoch has other mini-batches; or "mini-batches": they
        stay as they are, and come in another order.
    no_seed: the order where neither the model nor the app sets a seed. Default "one order", the same in every update,
        that of the seed 0; or "new order", another one each time.
    generator: what shuffles. Default "PCG64", NumPy's own; or "MT19937". Apple's is unknown: no order agrees by seed.
    momentum: default "accumulate", v = mu v + g, w = w - lr v, which is PyTorch's; or "velocity", v = mu v - lr g,
        w = w + v. They differ only where the learning rate changes on the way.
    adam_bias: default "corrected" (Kingma and Ba, Adam, 2015, algorithm 1); or "uncorrected".
    adam_eps: default "outside" the root of the corrected second moment, as in algorithm 1; "inside" has it under the
        root; "scaled" adds it to the uncorrected root (end of their section 2).
    squared_error: of a row. Default "mean" over the output's elements, as the loss is called, and as PyTorch's is;
        "half" of the sum, which two models that a Mac updated rule out (docs/probes.md); or "sum".
    """

    last_mini_batch: Literal["keep", "drop"] = "keep"
    gradient: Literal["mean", "sum"] = "mean"
    epoch_loss: Literal["mean over rows", "mean over batches", "last batch"] = "last batch"
    first_epoch: Literal["shuffled", "in order"] = "shuffled"
    shuffled: Literal["rows", "mini-batches"] = "rows"
    no_seed: Literal["one order", "new order"] = "one order"
    generator: Literal["PCG64", "MT19937"] = "PCG64"
    momentum: Literal["accumulate", "velocity"] = "accumulate"
    adam_bias: Literal["corrected", "uncorrected"] = "corrected"
    adam_eps: Literal["outside", "inside", "scaled"] = "outside"
    squared_error: Literal["mean", "half", "sum"] = "mean"


# What models and losses left by MLUpdateTask in public repositories have settled: the choices that remain
# (docs/probes.md, "settled by").
SETTLED: Mapping[str, tuple[str, ...]] = {
    "gradient": ("mean",),
    "first_epoch": ("shuffled",),
    "squared_error": ("mean", "sum"),
}


def trained_under(given: PredictionAssumptions) -> Assumptions:
    """Return ``given`` where it says how training works, or with the defaults for that."""
    if isinstance(given, Assumptions):
        return given
    return Assumptions(**asdict(given))
