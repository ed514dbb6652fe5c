"""Teach the filter a style: to a pretrained network, its pictures look like their contents, textured like the style.

Perceptual loss: Gatys, Ecker and Bethge, "Image style transfer using convolutional neural networks" (CVPR 2016). The
features are those of EfficientNet-Lite0 (see README.md on what of them serves).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from coreml_updatable.converting.contract import Snapshot, SourceRequest

from .network import StyleNetwork

checkpoints = import_module("coreml_updatable.converters.torch.checkpoints")
packaged = import_module("coreml_updatable.converters.torch.packaged_weights")
weights = import_module("coreml_updatable.converters.torch.weights")
BACKBONE = "efficientnet_lite0"
DEEPEST = 8  # block whose widened features are the deepest that count
TAPS = (1, 3, 5, DEEPEST)  # blocks whose widened features, behind ReLU6, tell the style; the stem's do, too
CONTENT = (2, 3)  # of the stem and the taps: those that tell the content
COLOR, DIRECTIONS = 0.2, 8  # weight of the colors in the style, and in how many directions they are compared
SMOOTH = 0.5  # weight of the difference between neighboring pixels
RATE, WARM_UP = 3e-3, 0.05  # the highest learning rate, and the share of the steps until then


@dataclass(frozen=True)
class Plan:
    """``strength``: of the style against the content; ``side``: of the pieces of pictures that a step looks at."""

    strength: float
    epochs: int
    steps: int  # an epoch
    batch: int
    side: int


@dataclass(frozen=True)
class Wanted:
    """The style's picture, and what its features at each tap have in common."""

    style: Tensor
    grams: Sequence[Tensor]


class Features(nn.Module):
    """Pictures float32 [n, 3, height, width] in 0..1 -> features [n, channels, h, w] of the stem and each tap."""

    def __init__(self) -> None:
        super().__init__()
        network = packaged.create(BACKBONE)
        weights.load_state(network, packaged.packaged_state(BACKBONE), BACKBONE)
        self.stem, self.blocks = network.stem, network.blocks[: DEEPEST + 1]
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        values = self.stem((pictures - packaged.MEAN) / packaged.STD)
        result = [values]
        for index, block in enumerate(self.blocks):
            if index in TAPS:
                result.append(block.layers[:3](values))
            if index < DEEPEST:
                values = block(values)
        return result


def gram(features: Tensor) -> Tensor:
    """How often each two features occur at one place, whatever the place: [n, channels, channels]."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def off_color(result: Tensor, style: Tensor, directions: Tensor) -> Tensor:
    """How far the colors of pictures [n, 3, h, w] are from those of the style [1, 3, h', w'], of the style's variance.

    The sliced Wasserstein distance (Rabin et al. 2011): along each of the ``directions`` [d, 3], sorted against sorted.
    """
    ours, theirs = (directions @ item.transpose(0, 1).flatten(1) for item in (result, style))
    ours, theirs = ours.sort(dim=1).values, theirs.sort(dim=1).values
    at = torch.linspace(0, theirs.shape[1] - 1, ours.shape[1]).long()
    return (ours - theirs[:, at]).square().mean() / theirs.var(dim=1).mean()


def train(
    network: StyleNetwork, style: Tensor, contents: Tensor, shown: Tensor, plan: Plan, request: SourceRequest
) -> tuple[tuple[Mapping[str, float], ...], tuple[Snapshot, ...]]:
    """Train ``network`` in place; its history and snapshots of the picture ``shown`` float32 [1, 3, height, width].

    ``style`` float32 [1, 3, height, width], ``contents`` uint8 [n, 3, height, width]. After each epoch the state is
    kept in the request's checkpoint; where it holds one, the training goes on from there, to the same weights.
    """
    features, random = Features(), np.random.default_rng(request.seed)
    wanted = Wanted(style, [gram(item) for item in features(style)])
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total_steps=plan.epochs * plan.steps, pct_start=WARM_UP
    )
    history: list[Mapping[str, float]] = []
    frames: list[tuple[str, Tensor]] = []
    kept: Mapping[str, Any] | None = checkpoints.read(request.checkpoint)
    parts: dict[str, Any] = {"network": network, "optimizer": optimizer, "schedule": schedule}
    if kept is not None:
        for name, part in parts.items():
            part.load_state_dict(kept[name])
        history, frames = kept["history"], kept["frames"]
    first, started = len(history), time.perf_counter()
    for epoch in range(first + 1, plan.epochs + 1):
        random = np.random.default_rng([request.seed, epoch])
        network.train()
        losses = []
        for pictures in pieces(contents, plan, random):
            content, style_loss, total = loss(network, features, pictures, wanted, plan.strength, random)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            schedule.step()
            losses.append((float(content.detach()), float(style_loss.detach())))
        means = np.mean(losses, axis=0).tolist()
        history.append({"epoch": epoch, "style_loss": means[1], "content_loss": means[0]})
        left = (time.perf_counter() - started) / (epoch - first) * (plan.epochs - epoch)
        request.on_progress(
            "train",
            epoch / plan.epochs,
            f"epoch {epoch} of {plan.epochs}, style loss {means[1]:.4f}, content {means[0]:.3f}, {left:.0f} s left",
        )
        if is_shown(epoch, plan.epochs, request.snapshots):
            frames.append((f"epoch {epoch}", picture(network, shown)))
        states = {name: part.state_dict() for name, part in parts.items()}
        checkpoints.write(request.checkpoint, {**states, "history": history, "frames": frames})
    network.eval()
    return tuple(history), tuple(Snapshot(title, pixels.numpy()) for title, pixels in frames)


def pieces(contents: Tensor, plan: Plan, random: np.random.Generator) -> Iterator[Tensor]:
    """Pieces of the pictures, float32 [batch, 3, side, side] for each step of an epoch, some mirrored."""
    height, width = (int(size) - plan.side + 1 for size in contents.shape[2:])
    for _ in range(plan.steps):
        chosen = []
        for index in random.integers(len(contents), size=plan.batch):
            top, left = random.integers(height), random.integers(width)
            piece = contents[index, :, top : top + plan.side, left : left + plan.side]
            chosen.append(piece.flip(2) if random.random() < 0.5 else piece)
        yield torch.stack(chosen).float() / 255


def loss(
    network: nn.Module,
    features: Features,
    pictures: Tensor,
    wanted: Wanted,
    strength: float,
    random: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Content, style, and their sum with the smoothness."""
    result = network(pictures)
    # A stride of two never looks at some pixels twice: moved by a pixel at random, it leaves no grid.
    down, right = random.integers(2, size=2)
    ours, theirs = (
        features(item[:, :, down : item.shape[2] - 2 + down, right : item.shape[3] - 2 + right])
        for item in (result, pictures)
    )
    # Without their contrasts, which are the style's: 0 of the same features, 1 of features that have nothing in common.
    bare = [[functional.instance_norm(item[tap]) for tap in CONTENT] for item in (ours, theirs)]
    content = sum((functional.mse_loss(*pair) / 2 for pair in zip(*bare, strict=True)), torch.zeros(())) / len(CONTENT)
    style = sum(
        (
            (gram(item) - target).square().sum(dim=(1, 2)).mean() / target.square().sum()
            for item, target in zip(ours, wanted.grams, strict=True)
        ),
        torch.zeros(()),
    ) / len(ours)
    directions = functional.normalize(torch.from_numpy(random.normal(size=(DIRECTIONS, 3))).float())
    style = style + COLOR * off_color(result, wanted.style, directions)
    rough = (result[:, :, 1:] - result[:, :, :-1]).square().mean() + (
        result[..., 1:] - result[..., :-1]
    ).square().mean()
    return content, style, content + strength * style + SMOOTH * rough


def is_shown(epoch: int, epochs: int, snapshots: int) -> bool:
    """Whether one of ``snapshots`` evenly spaced over the epochs, the last at the end, comes after ``epoch``."""
    return epoch * snapshots // epochs > (epoch - 1) * snapshots // epochs


def picture(network: nn.Module, given: Tensor) -> Tensor:
    """What the network makes of ``given`` [1, 3, height, width] in 0..1: uint8 [height, width, 3]."""
    network.eval()
    with torch.no_grad():
        result: Tensor = network(given)[0]
    return (result * 255).round().byte().permute(1, 2, 0).contiguous()
