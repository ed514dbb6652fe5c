"""Which converter a source is for, told from its name alone."""

import re
from pathlib import Path

from coreml_updatable.errors import RecipeError, SourceError

CONVERTERS = {
    ".skops": "sklearn",
    ".pkl": "sklearn",  # refused there, with how to save it instead
    ".pickle": "sklearn",
    ".joblib": "sklearn",
    ".mlmodel": "mlmodel",
    ".mlpackage": "mlmodel",
    ".keras": "keras",
    ".h5": "keras",
    ".hdf5": "keras",
    ".onnx": "onnx",
    ".pt": "torch",
    ".pth": "torch",
    ".torchscript": "torch",
    ".safetensors": "torch",
}


HUB = "hub:"
NAMED = re.compile(rf"(torchvision|timm):.+|{HUB}[\w.-]+/[\w.-]+|.+\.py:\w+")


def source_of(path: Path) -> Path | str:
    """``path``, or its text where it is no file but a name: "timm:fastvit_t8", "hub:owner/name", "network.py:make"."""
    return str(path) if not path.exists() and NAMED.fullmatch(str(path)) else path


def converter_for(source: Path | str) -> tuple[str, str]:
    """The name of the converter, and what gave it away; a RecipeError where nothing does."""
    if isinstance(source, str) and source.startswith(HUB):
        return "transformers", "the name on the hub"
    if isinstance(source, str):
        return "torch", "the function it names" if ".py:" in source else "the architecture it names"
    path = source
    if not path.exists():
        raise SourceError(f"{path}: no such file or folder; check the path")
    ending = path.suffix.lower()
    if ending in CONVERTERS:
        return CONVERTERS[ending], f"the ending {ending}"
    if path.is_dir() and (path / "config.json").is_file():
        return "transformers", "the config.json inside"
    if path.is_dir() and (path / "dir_archive.ini").is_file():
        return "turicreate", "the dir_archive.ini inside"
    found = f"the ending {ending!r}" if ending else "no ending"
    raise RecipeError(
        f"{path}: has {found}, expected one of {', '.join(sorted(CONVERTERS))} or a "
        "folder with a config.json or a dir_archive.ini; name the converter with --converter"
    )
