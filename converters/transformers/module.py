"""The classifier of a folder as a torch module from input values to logits."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from coreml_updatable.errors import SourceError

from .._shared.wording import first_line
from .folder import Folder

TASKS = {
    "picture": "AutoModelForImageClassification",
    "spectrogram": "AutoModelForAudioClassification",
    "waveform": "AutoModelForAudioClassification",
    "text": "AutoModelForSequenceClassification",
}
VARIANCE = 1e-7  # that Wav2Vec2's feature extractor adds


def module_of(folder: Folder) -> tuple[nn.Module, Mapping[str, Any]]:
    """Return the module and facts for the report."""
    model = _load(folder)
    settings = folder.preprocessor or {}
    normalise = folder.kind in ("waveform", "spectrogram") and bool(settings.get("do_normalize", True))
    mean, std = (_setting(folder, name, default) for name, default in (("mean", -4.2677393), ("std", 4.5689974)))

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.classifier = model

        def forward(self, values: Tensor, mask: Tensor | None = None) -> Tensor:
            if folder.kind == "waveform" and normalise:
                centred = values - values.mean(dim=1, keepdim=True)
                values = centred / torch.sqrt((centred * centred).mean(dim=1, keepdim=True) + VARIANCE)
            elif normalise:
                values = (values - mean) / (2 * std)
            if mask is not None:
                return _masked(self.classifier, values, mask, folder.own_code)
            answer: Tensor = self.classifier(values).logits
            return answer

    return Module(), {"model_type": folder.config["model_type"], "layers": folder.config.get("num_hidden_layers")}


def _masked(classifier: Any, ids: Tensor, mask: Tensor, own_code: bool) -> Tensor:
    """Pass the mask as an offset for the attention scores, which transformers would otherwise compute first.

    Custom code gets the mask unchanged.
    """
    hidden = (1.0 - mask[:, None, None, :].float()) * torch.finfo(torch.float32).min
    answer: Tensor = classifier(input_ids=ids, attention_mask=mask if own_code else hidden).logits
    return answer


def _setting(folder: Folder, name: str, default: float) -> float:
    value = (folder.preprocessor or {}).get(name, default)
    if not isinstance(value, int | float) or (name == "std" and not value):
        raise SourceError(f"{folder.path}/preprocessor_config.json: {name} is {value!r}, expected a number; correct it")
    return float(value)


@contextmanager
def quiet() -> Iterator[None]:
    """Import transformers and silence its remarks about a folder; errors pass."""
    if find_spec("torchvision") is not None:
        from ..torch.architectures import import_torchvision

        import_torchvision()  # which transformers imports where it is there
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.utils import logging

        level = logging.get_verbosity()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(level)


def _load(folder: Folder) -> Any:
    import transformers

    try:
        model, result = getattr(transformers, TASKS[folder.kind]).from_pretrained(
            folder.path,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=folder.own_code,
            attn_implementation="eager",
            output_loading_info=True,
        )
    except Exception as error:  # of its many readers
        raise SourceError(
            f"{folder.path}: transformers cannot load it ({type(error).__name__}: {first_line(error)}); "
            "save the classifier again with save_pretrained"
        ) from error
    wrong = sorted(result["missing_keys"]) or sorted(map(str, result["mismatched_keys"]))
    if wrong:
        raise SourceError(
            f"{folder.path}: the weights {wrong[0]!r} of the classifier are not in the file; "
            "fine-tune the classifier and save it with save_pretrained"
        )
    return model.eval().float()
