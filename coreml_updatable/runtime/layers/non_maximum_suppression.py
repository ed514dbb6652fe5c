"""NonMaximumSuppression: of overlapping boxes, keeps the one with the highest score. Boxes [B, N, 4] are (x, y, width,
height), where x and y are the center; scores are [B, N, C], and the score of a box is its highest. Three more inputs of
one value each can replace ``iouThreshold``, ``scoreThreshold`` and ``maxBoxes``. Outputs: the kept boxes [B, M, 4] and
their scores [B, M, C], both padded with 0; their indices [B, M], padded with -1; and their number [B]. M is
``maxBoxes``. Starting with the highest score, a box is kept unless its intersection over union with a box that was kept
earlier exceeds the threshold; with ``perClassSuppression``, only boxes with the same best class are compared. Boxes
below ``scoreThreshold`` are dropped; if none remains, the best box is kept. The format leaves two points open: here,
the first of boxes with equal scores wins, and two boxes without area have an overlap of 0.
"""

import torch
from torch import Tensor, nn

from coreml_updatable.runtime.layers._shared.context import Context
from coreml_updatable.runtime.layers._shared.sizes import expect_shape
from coreml_updatable.spec.messages import NeuralNetworkLayer

MAX_BOXES = 2**20  # of boxes in the output; more is an absurd size


class NonMaximumSuppression(nn.Module):
    def __init__(self, layer: NeuralNetworkLayer, context: Context) -> None:
        super().__init__()
        params = layer.NonMaximumSuppression
        self.context = context
        self.defaults = (float(params.iouThreshold), float(params.scoreThreshold), float(params.maxBoxes))
        self.by_class = params.perClassSuppression

    def forward(self, boxes: Tensor, scores: Tensor, *given: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if boxes.dim() != 3 or boxes.shape[2] != 4 or scores.dim() != 3 or boxes.shape[:2] != scores.shape[:2]:
            raise self.context.error(
                f"boxes {list(boxes.shape)} and scores {list(scores.shape)}, the layer expects [B, N, 4] and [B, N, C]"
            )
        overlap, least, most = (*(self._one(value) for value in given), *self.defaults[len(given) :])
        if not 1 <= most <= MAX_BOXES:
            raise self.context.error(f"maxBoxes is {most:g}, the layer expects 1 to {MAX_BOXES}")
        count = int(most)
        expect_shape([*scores.shape[:1], count, 4 + scores.shape[2]], self.context)
        kept = [self._kept(*row, overlap, least, count) for row in zip(boxes, scores, strict=True)]
        return (
            torch.stack([_padded(row[numbers], count, 0.0) for row, numbers in zip(boxes, kept, strict=True)]),
            torch.stack([_padded(row[numbers], count, 0.0) for row, numbers in zip(scores, kept, strict=True)]),
            torch.stack([_padded(numbers.to(boxes.dtype), count, -1.0) for numbers in kept]),
            torch.tensor([float(len(numbers)) for numbers in kept]),
        )

    def _one(self, value: Tensor) -> float:
        if value.numel() != 1:
            raise self.context.error(f"a threshold has {value.numel()} values, the layer expects 1")
        return float(value)

    def _kept(self, boxes: Tensor, scores: Tensor, overlap: float, least: float, count: int) -> Tensor:
        """The numbers of the boxes to keep, highest score first."""
        best, classes = scores.max(-1)
        order = best.argsort(descending=True, stable=True)
        candidates = order[best[order] >= least]
        kept: list[Tensor] = []
        while len(candidates) and len(kept) < count:
            first, rest = candidates[0], candidates[1:]
            kept.append(first)
            near = _overlaps(boxes[first], boxes[rest]) > overlap
            if self.by_class:
                near &= classes[rest] == classes[first]
            candidates = rest[~near]
        return torch.stack(kept) if kept else order[:1]


def _overlaps(box: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of one box [4] with others [n, 4] -> [n]."""
    low, high = box[:2] - box[2:] / 2, box[:2] + box[2:] / 2
    lows, highs = others[:, :2] - others[:, 2:] / 2, others[:, :2] + others[:, 2:] / 2
    common = (torch.minimum(high, highs) - torch.maximum(low, lows)).clamp(min=0).prod(-1)
    union = box[2:].prod() + others[:, 2:].prod(-1) - common
    return torch.where(union > 0, common / union, 0.0)


def _padded(values: Tensor, count: int, by: float) -> Tensor:
    """``values`` [n, ...] with ``by`` behind them, up to [count, ...]."""
    return torch.cat([values, values.new_full((count - len(values), *values.shape[1:]), by)])


def build(layer: NeuralNetworkLayer, context: Context) -> nn.Module:
    return NonMaximumSuppression(layer, context)
