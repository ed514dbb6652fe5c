"""The architectures of `docs/architectures.md`, each with random weights under which its answers say something."""

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.data.inputs import ArrayInput, ImageInput

LABELS = tuple(f"class{index}" for index in range(10))
BATCH = 8
# As wide as the published ones, with two of their layers: what converts does not depend on how many there are.
LAYERS = 2


@dataclass(frozen=True)
class Source:
    """A converter's name, and what it is asked; ``note`` is what a reader should know of the network."""

    converter: str
    request: SourceRequest
    note: str = ""


def torch_source(name: str, side: int = 224) -> Callable[[Path], Source]:
    """An architecture of torchvision or timm, its weights in a file."""

    def saved(folder: Path) -> Source:
        architectures = import_module("coreml_updatable.converters.torch.architectures")
        network = architectures.create(name, len(LABELS))
        known = import_module("coreml_updatable.converters.torch.declared_pictures").declared_by(name)
        mean, std = (torch.tensor(item).view(3, 1, 1) for item in (known.mean, known.std))
        settle(network, [(torch.rand(BATCH, 3, side, side) - mean) / std])
        path = folder / "weights.pt"
        torch.save(network.state_dict(), path)
        picture = ImageInput("image", side, side, "rgb")
        return Source("torch", SourceRequest(path, (picture,), LABELS, architecture=name))

    return saved


def folder_source(make: Callable[[Any, dict[str, Any]], Any], batches: Callable[[], list[Tensor]], *inputs: Any) -> Any:
    """A classifier of Hugging Face, saved as transformers saves it; ``make`` gets the library and what names labels."""

    def saved(folder: Path) -> Source:
        with import_module("coreml_updatable.converters.transformers.module").quiet():
            import transformers

            network = make(transformers, {"id2label": dict(enumerate(LABELS))}).eval()
        settle(network, batches())
        network.save_pretrained(folder)
        scaling = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
        (folder / "preprocessor_config.json").write_text(json.dumps(scaling))
        return Source("transformers", SourceRequest(folder, inputs), f"{LAYERS} layers instead of 6 or 12")

    return saved


def _distilbert(library: Any, named: dict[str, Any]) -> Any:
    config = library.DistilBertConfig(n_layers=LAYERS, **named)
    return library.DistilBertForSequenceClassification(config)


def _spectrograms() -> Tensor:
    """[rows, frames, bins] at random, normalized as AST's own preprocessor does by default."""
    with import_module("coreml_updatable.converters.transformers.module").quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its filters of no mel, which the published model has too
        import transformers

        extractor = transformers.ASTFeatureExtractor()
    noise = torch.randn(BATCH // 2, extractor.max_length, extractor.num_mel_bins)
    return (noise - float(extractor.mean)) / (2 * float(extractor.std))


SOURCES: dict[str, Callable[[Path], Source]] = {
    "torchvision mobilenet_v3_small": torch_source("torchvision:mobilenet_v3_small"),
    "torchvision efficientnet_b0": torch_source("torchvision:efficientnet_b0"),
    "torchvision resnet50": torch_source("torchvision:resnet50"),
    "torchvision convnext_tiny": torch_source("torchvision:convnext_tiny"),
    "torchvision vit_b_16": torch_source("torchvision:vit_b_16"),
    "timm fastvit_t8, reparameterised": torch_source("timm:fastvit_t8", 256),
    "Hugging Face ViT": folder_source(
        lambda library, named: library.ViTForImageClassification(library.ViTConfig(num_hidden_layers=LAYERS, **named)),
        lambda: [torch.rand(BATCH, 3, 224, 224) * 2 - 1],
    ),
    "Hugging Face AST": folder_source(
        lambda library, named: library.ASTForAudioClassification(library.ASTConfig(num_hidden_layers=LAYERS, **named)),
        lambda: [_spectrograms()],
    ),
    "Hugging Face DistilBERT": folder_source(_distilbert, lambda: [torch.randint(0, 30522, (BATCH, 128))]),
    "Hugging Face Wav2Vec2": folder_source(
        lambda library, named: library.Wav2Vec2ForSequenceClassification(
            library.Wav2Vec2Config(num_hidden_layers=LAYERS, **named)
        ),
        lambda: [torch.randn(BATCH, 16_000)],
        ArrayInput("waveform", (16_000,)),
    ),
}


def settle(network: nn.Module, batches: Sequence[Tensor]) -> None:
    """Give ``network`` weights under which the proof, whose inputs are as ``batches``, says something.

    What starts as zeros or as good as zeros is drawn, batch normalization sees real activations, and the last layer is
    scaled so that the logits of different inputs differ by about 1.
    """
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for weights in network.parameters():
            if weights.abs().max() < 1e-3:
                weights.normal_(0, 0.1)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.train().momentum = 1.0
        _logits(network, batches)
        logits = _logits(network.eval(), batches)
        head: Any = next(item for item in reversed(list(network.modules())) if _is_head(item))
        spread = logits.std(dim=0).mean().clamp(min=1e-6)
        head.weight.div_(spread)
        head.bias.sub_(logits.mean(dim=0)).div_(spread)


def _is_head(module: Any) -> bool:
    return isinstance(module, nn.Linear) and module.out_features == len(LABELS)


def _logits(network: nn.Module, batches: Sequence[Tensor]) -> Tensor:
    answer: Any = network(*batches)
    logits: Tensor = getattr(answer, "logits", answer)
    return logits
