"""A folder with a saved Hugging Face model: settings as JSON, weights as safetensors."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coreml_updatable.errors import SourceError
from coreml_updatable.trust import expect_trust

MOST_BYTES = 2**24  # of a file of settings
KINDS = {  # model_type -> what it is given
    "vit": "picture",
    "mobilenet_v2": "picture",
    "audio-spectrogram-transformer": "spectrogram",
    "wav2vec2": "waveform",
    "distilbert": "text",
}

TIMM_WEIGHTS = "model.safetensors"
TASKS = {  # of code that a folder brings along -> what it is given
    "AutoModelForImageClassification": "picture",
    "AutoModelForSequenceClassification": "text",
}


@dataclass(frozen=True)
class Folder:
    """``config`` and ``preprocessor`` as in their files; the latter is None if there is none."""

    path: Path
    kind: str
    config: Mapping[str, Any]
    preprocessor: Mapping[str, Any] | None
    labels: tuple[str, ...]
    own_code: bool = False  # it brings the code of its model along

    def number(self, name: str, default: int) -> int:
        """Return an integer of ``config`` that is 1 or more."""
        value = self.config.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise SourceError(f"{self.path}/config.json: {name} is {value!r}, expected an integer; correct it")
        return value


def read_folder(source: Any, trusted: bool) -> Folder:
    """Return the settings in the folder ``source``; SourceError for an unknown type or code that is not ``trusted``."""
    if not isinstance(source, Path) or not source.is_dir():
        result = source if isinstance(source, Path) else type(source).__name__
        raise SourceError(
            f"{result}: is not a folder, expected one with config.json and model.safetensors; save the model with "
            "save_pretrained"
        )
    config = _read_json(source / "config.json")
    if config is None:
        raise SourceError(f"{source}: has no config.json, expected a saved model; save it with save_pretrained")
    own_code = "auto_map" in config
    if own_code:
        safe = "use a model that is part of transformers, or the ONNX export"
        expect_trust(trusted, f"{source}: needs the Python files beside it (auto_map)", safe)
    kind = _kind(source, config)
    if not any(source.glob("*.safetensors")):
        raise SourceError(
            f"{source}: has no .safetensors file, and pickled weights are not read; save it again with save_pretrained"
        )
    return Folder(
        source, kind, config, _read_json(source / "preprocessor_config.json"), _labels(source, config), own_code
    )


def _kind(source: Path, config: Mapping[str, Any]) -> str:
    own = config.get("auto_map", {})
    if own:
        kinds = [kind for task, kind in TASKS.items() if isinstance(own, dict) and task in own]
        if not kinds:
            raise SourceError(f"{source}: its code is not for one of {', '.join(TASKS)}; convert its ONNX export")
        return kinds[0]
    model_type = config.get("model_type")
    if model_type is None and isinstance(config.get("architecture"), str):  # as timm saves its own
        raise SourceError(
            f"{source}: is a folder of timm, expected one of transformers; convert the weights in it: "
            f"{source / TIMM_WEIGHTS} --architecture timm:{config['architecture']}"
        )
    if model_type not in KINDS:
        raise SourceError(
            f"{source}: has the type {model_type!r}, expected one of {', '.join(KINDS)}; export it to ONNX with one "
            "output, the logits, and convert that"
        )
    return KINDS[model_type]


def _read_json(path: Path) -> Mapping[str, Any] | None:
    if not path.is_file():
        return None
    if path.stat().st_size > MOST_BYTES:
        raise SourceError(f"{path}: is larger than {MOST_BYTES} bytes, expected a short settings file; save it again")
    try:
        result = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: is not valid JSON; save the model again with save_pretrained") from error
    if not isinstance(result, dict):
        raise SourceError(f"{path}: contains a {type(result).__name__}, expected named settings; save the model again")
    return result


def _labels(path: Path, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the labels of id2label in order; two generic ones if it is missing, as in transformers."""
    named = config.get("id2label", {"0": "LABEL_0", "1": "LABEL_1"})
    if isinstance(named, dict) and set(named) == {str(index) for index in range(len(named))}:
        labels = tuple(str(named[str(index)]) for index in range(len(named)))
        if len(set(labels)) == len(labels):
            return labels
    raise SourceError(f"{path}/config.json: id2label does not name every output once, starting at 0; correct it")
