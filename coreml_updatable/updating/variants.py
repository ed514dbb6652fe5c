"""What Apple leaves open about learning: named choices, each with a default and its reason."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Variants:
    """How an update task learns, where no documentation says.

    last_mini_batch: fewer rows than a mini-batch holds, at the end of an epoch. Default "keep": with few rows, as on a
        phone, dropping them would drop most of what there is to learn. "drop" keeps them where they are the only ones.
    gradient: default "mean" over a mini-batch, the convention for which learning rates are published; or "sum".
    epoch_loss: lossValue at epochEnd. Default "mean over rows", which counts a short last mini-batch for what it is;
        or "mean over batches", or "last batch".
    first_epoch: default "shuffled", as all others are, for rows often come sorted by label; "in order" takes "shuffle
        the data between epochs" to the letter.
    generator: what shuffles. Default "PCG64", NumPy's own; or "MT19937". Apple's is unknown: no order agrees by seed.
    momentum: default "accumulate", v = mu v + g, w = w - lr v, which is PyTorch's; or "velocity", v = mu v - lr g,
        w = w + v. They differ only where the learning rate changes on the way.
    adam_bias: default "corrected" (Kingma and Ba, Adam, 2015, algorithm 1); or "uncorrected".
    adam_eps: default "outside" the root of the corrected second moment, as in algorithm 1; "inside" has it under the
        root; "scaled" adds it to the uncorrected root (end of their section 2).
    squared_error: of a row. Default "mean" over the output's elements, as the loss is called, and as PyTorch's is;
        "half" of the sum, or "sum".
    """

    last_mini_batch: Literal["keep", "drop"] = "keep"
    gradient: Literal["mean", "sum"] = "mean"
    epoch_loss: Literal["mean over rows", "mean over batches", "last batch"] = "mean over rows"
    first_epoch: Literal["shuffled", "in order"] = "shuffled"
    generator: Literal["PCG64", "MT19937"] = "PCG64"
    momentum: Literal["accumulate", "velocity"] = "accumulate"
    adam_bias: Literal["corrected", "uncorrected"] = "corrected"
    adam_eps: Literal["outside", "inside", "scaled"] = "outside"
    squared_error: Literal["mean", "half", "sum"] = "mean"
