"""Train the parameters that require a gradient: extractor and then head, only a head, or everything."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample

from coreml_updatable.converting.contract import ConversionRequest
from coreml_updatable.data.inputs import Examples, ImageInput
from coreml_updatable.errors import DataError, SourceError, a_kind

from .fitting import History, Labelled, Vary, fit, fit_head, staged
from .heads import features, last_layer, name_of, new_head, replace_module, trainable_head
from .probabilities import as_tensor
from .source import TorchSource, TorchTraining

SHIFT = 0.08  # of the picture's size
ZOOM = 0.1
JITTER = 0.2  # of brightness and contrast
TINT = 0.08  # of each channel


def photo(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Apply flips, small shifts and zooms, and other light to float32 [n, channels, height, width] in 0..1."""
    count, channels, height, width = pictures.shape

    def between(size: float, *shape: int) -> Tensor:
        return (torch.rand(count, *shape, generator=generator) * 2 - 1) * size

    zoom = 1 + between(ZOOM)
    flip = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    shift = between(SHIFT * 2, 2)  # places run from -1 to 1
    across = _middles(width) * (zoom * flip)[:, None] + shift[:, :1]
    down = _middles(height) * zoom[:, None] + shift[:, 1:]
    grid = torch.stack(torch.broadcast_tensors(across[:, None, :], down[:, :, None]), 3)
    moved = grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
    contrast = 1 + between(JITTER, 1, 1, 1)
    middle = moved.mean(dim=(1, 2, 3), keepdim=True)
    light = 1 + between(JITTER, 1, 1, 1) + between(TINT, channels, 1, 1)
    return moved.sub_(middle).mul_(contrast).add_(middle).mul_(light).clamp_(0, 1)


def _middles(pixels: int) -> Tensor:
    """Return the places of the pixels' middles on a side that runs from -1 to 1, as ``grid_sample`` reads them."""
    return torch.linspace(-1, 1, pixels) * (pixels - 1) / pixels


def turned(pictures: Tensor, labels: Tensor, by: Tensor, turns: int) -> tuple[Tensor, Tensor]:
    """Rotate each picture by ``by`` quarters of a circle (halves if ``turns`` is 2); return labels + ``by``."""
    step = 4 // turns
    result = pictures.clone() if turns > 1 else pictures
    for quarter in range(1, turns):
        chosen = by == quarter
        result[chosen] = torch.rot90(pictures[chosen], quarter * step, (2, 3))
    return result, labels + by


SHRINKAGE = 0.003  # times the mean variance, added to every direction so that mere noise is not blown up


def decorrelating(features: Tensor, count: int) -> nn.Linear:
    """Return the frozen linear layer that whitens ``features`` float32 [n, D] onto the ``count`` strongest directions.

    y = (v_k . (x - mean)) / sqrt(w_k + shrinkage), with w and v the eigenvalues and eigenvectors of the covariance (PCA
    whitening); at most D of them. If all features are correlated, a head that is trained on one new picture changes its
    predictions for everything; if they are independent, only for similar pictures.
    """
    values = features.double()
    mean = values.mean(dim=0)
    covariance = torch.cov(values.T).reshape(values.shape[1], values.shape[1])
    strengths, directions = torch.linalg.eigh(covariance)  # rising
    kept = min(count, values.shape[1])
    strengths, directions = strengths[-kept:].flip(0).clamp(min=0), directions[:, -kept:].flip(1)
    # An eigenvector may point either way; the largest entry is made positive so that the bytes do not depend on it.
    largest = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True))
    directions = directions * largest.sign()
    matrix = (directions / (strengths + SHRINKAGE * covariance.diagonal().mean()).sqrt()).T
    layer = nn.Linear(values.shape[1], kept).requires_grad_(False)
    layer.weight.copy_(matrix)
    layer.bias.copy_(-matrix @ mean)
    return layer


HEAD_DECAY = 0.01


def chosen_head(network: nn.Module, source: TorchSource) -> nn.Linear | None:
    """The new head on pretrained weights of which the recipe says nothing: what it is, is chosen from the rows."""
    if source.weights is None or not source.training.is_chosen:
        return None
    return new_head(network) if source.weights == "pretrained" else trainable_head(network)


def train(network: nn.Module, request: ConversionRequest, settings: TorchTraining) -> History:
    """Train ``network`` in place; return one entry per epoch, or none if nothing requires a gradient.

    If ``settings.extractor_learns`` is not "labels", the extractor of a new network is first trained to distinguish the
    kinds and then frozen. A frozen extractor runs once per picture, and only the head is trained on these features.
    """
    if not any(parameter.requires_grad for parameter in network.parameters()):
        return ()
    if len(request.train) < 2 or len(request.validation) < 1:
        raise DataError(
            f"data: found {len(request.train)} rows for training and {len(request.validation)} for validation, "
            "expected at least 2 and 1; add some"
        )
    _expect_possible(request, settings)
    history: History = ()
    if trainable_head(network) is None and settings.extractor_learns != "labels":
        history = _train_extractor(network, request, settings)
    head = trainable_head(network)
    if head is not None:
        fitted = _train_head(network, head, request, settings)
        return history or fitted
    vary = _photo if _as_photos(request, settings) else None
    parts = (_labelled(request.train), _labelled(request.validation))
    return fit(network, *parts, settings, vary, request.seed, staged(request.on_progress, "train"), request.checkpoint)


def as_after_training(
    network: nn.Module, request: ConversionRequest, settings: TorchTraining, *, head_only: bool
) -> None:
    """Give ``network`` the layers that it has after ``train``, in place; the request needs no rows.

    ``head_only``: as if its extractor had pretrained weights.
    """
    if not any(parameter.requires_grad for parameter in network.parameters()):
        return
    _expect_possible(request, settings)
    head = new_head(network) if head_only else trainable_head(network)
    if head is None and (head_only or settings.extractor_learns != "labels"):
        one = np.zeros((1, *request.train.values.shape[1:]), request.train.values.dtype)
        name = last_layer(network, as_tensor(one))
        head = _linear_head(network, name, settings)
    if head is not None and head_only and settings.is_chosen:
        from .fitted import untrained_tail

        replace_module(network, name_of(network, head), untrained_tail(head.in_features, head.out_features))
    if head is not None and settings.embedding is not None:
        kept = min(settings.embedding, head.in_features)
        layers = nn.Sequential(nn.Linear(head.in_features, kept), nn.Linear(kept, head.out_features))
        replace_module(network, name_of(network, head), layers)


def _linear_head(network: nn.Module, name: str, settings: TorchTraining) -> nn.Linear:
    head = network.get_submodule(name)
    if not isinstance(head, nn.Linear):
        raise SourceError(
            f"source.training.extractor_learns is {settings.extractor_learns!r}, but the network's last layer "
            f"{name!r} is {a_kind(head)}, expected a Linear head; change the network or train on the labels"
        )
    return head


def _train_extractor(network: nn.Module, request: ConversionRequest, settings: TorchTraining) -> History:
    """Train on the kinds, of which a label may have several, then freeze everything except a new head for the labels.

    A network that is trained only on labels loses other distinctions, and cannot learn later that one kind should be
    labeled differently. Kinds preserve more, and predicting the rotation of a picture as well preserves even more
    (self-supervised label augmentation: Lee, Hwang and Shin 2020).
    """
    name = last_layer(network, as_tensor(request.train.values[:1]))
    head = _linear_head(network, name, settings)
    kinds = sorted({*request.train.kinds, *request.validation.kinds})
    turns = 1 if settings.extractor_learns == "kinds" else _turns(request)
    train, validation = (_by_kind(part, kinds, turns) for part in (request.train, request.validation))
    validation = _turned_evenly(validation, turns)
    replace_module(network, name, nn.Linear(head.in_features, len(kinds) * turns))
    result = staged(request.on_progress, "train")
    vary = _vary(request, settings, turns)
    history = fit(network, train, validation, settings, vary, request.seed, result, request.checkpoint)
    network.requires_grad_(False)
    replace_module(network, name, nn.Linear(head.in_features, head.out_features))
    return history


def _train_head(network: nn.Module, head: nn.Linear, request: ConversionRequest, settings: TorchTraining) -> History:
    seen = [
        (features(network, head, part.values, request.on_progress, what), torch.from_numpy(part.labels))
        for part, what in ((request.train, "train"), (request.validation, "validation"))
    ]
    if settings.embedding is not None:
        layer = decorrelating(seen[0][0], settings.embedding)
        name, head = name_of(network, head), nn.Linear(layer.out_features, head.out_features)
        replace_module(network, name, nn.Sequential(layer, head))
        with torch.no_grad():
            seen = [(layer(inputs), labels) for inputs, labels in seen]
    return fit_head(
        head,
        seen[0],
        seen[1],
        HEAD_DECAY if settings.head_decay is None else settings.head_decay,
        staged(request.on_progress, "head"),
    )


def _labelled(part: Examples) -> Labelled:
    return _inputs(part), torch.from_numpy(part.labels)


def _by_kind(part: Examples, kinds: list[str], turns: int) -> Labelled:
    return _inputs(part), torch.tensor([kinds.index(kind) * turns for kind in part.kinds])


def _inputs(part: Examples) -> Tensor:
    """Return rows as one block each: pictures come with their channels last, and every step would move them."""
    return as_tensor(part.values).contiguous()


def _expect_possible(request: ConversionRequest, settings: TorchTraining) -> None:
    """Raise SourceError for settings that apply to pictures only."""
    if isinstance(request.input, ImageInput):
        return
    for field, value in (("augment", settings.augment), ("extractor_learns", settings.extractor_learns)):
        if value in ("photo", "turned kinds"):
            raise SourceError(
                f"source.training.{field} is {value!r}, which is for pictures, but the input {request.input.name!r} "
                "is an array; omit it"
            )


def _as_photos(request: ConversionRequest, settings: TorchTraining) -> bool:
    return settings.augment in (None, "photo") and isinstance(request.input, ImageInput)


def _turns(request: ConversionRequest) -> int:
    assert isinstance(request.input, ImageInput)
    return 4 if request.input.width == request.input.height else 2


def _turned_evenly(labelled: Labelled, turns: int) -> Labelled:
    pictures, labels = labelled
    return turned(pictures, labels, torch.arange(len(labels)) % turns, turns)


def _vary(request: ConversionRequest, settings: TorchTraining, turns: int) -> Vary | None:
    if not isinstance(request.input, ImageInput):
        return None
    as_photos = _as_photos(request, settings)

    def vary(pictures: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> Labelled:
        if as_photos:
            pictures = photo(pictures, generator)
        return turned(pictures, labels, torch.randint(turns, (len(labels),), generator=generator), turns)

    return vary


def _photo(pictures: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> Labelled:
    return photo(pictures, generator), labels
