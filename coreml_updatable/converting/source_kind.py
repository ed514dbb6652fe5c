"""Which converter a source is for, told from its name or its type alone."""

import re
from pathlib import Path

from coreml_updatable.errors import RecipeError, SourceError, a_kind
from coreml_updatable.files import refuse_lfs_pointer
from coreml_updatable.spec.messages import Model_pb2

CONVERTERS = {
    ".skops": "sklearn",
    ".mlmodel": "mlmodel",
    ".mlpackage": "mlmodel",
    ".keras": "keras",
    ".h5": "keras",
    ".hdf5": "keras",
    ".onnx": "onnx",
    ".pt": "torch",
    ".pth": "torch",
    ".ckpt": "torch",
    ".torchscript": "torch",
    ".safetensors": "torch",
}
PICKLES = dict.fromkeys((".pkl", ".pickle", ".joblib"), "sklearn")  # refused there, with what to save instead
OURS = {*CONVERTERS.values(), "transformers", "turicreate"}
FRAMEWORKS = ("keras", "sklearn", "onnx", "torch")  # a Keras model on torch is a torch module as well
HUB = "hub:"
NAMES = "a name: efficientnet_lite0, torchvision:NAME, timm:NAME, hub:OWNER/NAME or file.py:FUNCTION"
NAMED = re.compile(rf"(torchvision|timm):.+|efficientnet_lite[012]|{HUB}[\w.-]+/[\w.-]+|.+\.py:\w+")


def source_of(path: Path) -> Path | str:
    """``path``, or its text where it is a name, not a file: "timm:fastvit_t8", "hub:owner/name", "net.py:make"."""
    if path.is_file():
        refuse_lfs_pointer(path, SourceError)  # before anybody is told to install what could not read it either
    return str(path) if not path.exists() and NAMED.fullmatch(str(path)) else path


def converter_for(source: Path | str) -> tuple[str, str]:
    """The name of the converter, and what gave it away; a RecipeError where nothing does."""
    output = _told(source)
    if output is not None:
        return output
    path, ending = Path(source), Path(source).suffix.lower()
    if ending in PICKLES:
        return PICKLES[ending], f"the file extension {ending}"
    _expect_no_code(path)
    result = f"the file extension {ending!r}" if ending else "no file extension"
    raise RecipeError(
        f"{path}: has {result}, expected one of {', '.join(sorted(CONVERTERS))}, a folder with a config.json or a "
        f"dir_archive.ini, or {NAMES}; choose the converter with --converter"
    )


def converter_for_object(source: object) -> tuple[str, str]:
    """Return the converter for an object of a framework and what told it; a SourceError where nothing does.

    Nothing is imported: the modules of the object's base classes say which framework it is from.
    """
    if isinstance(source, Model_pb2.Model):
        return "mlmodel", "its type"
    roots = {base.__module__.partition(".")[0] for base in type(source).__mro__}
    for framework in FRAMEWORKS:
        if framework in roots:
            return framework, f"the package {framework}"
    raise SourceError(
        f"convert: the source is {a_kind(source)}, expected a path, a Core ML message, or a model of "
        f"{', '.join(FRAMEWORKS)}; save it to a file, or name its converter"
    )


def doubt_about(converter: str, source: Path | str) -> str:
    """What to say where ``converter``, which somebody named, cannot read ``source``: whose its ending is; or "".

    A RecipeError where a folder or a name is plainly for another of our own converters. A file may be called anything,
    and a converter from another package takes what it likes.
    """
    result = _told(source)
    if result is not None and converter != result[0] and converter in OURS:
        if "file extension" in result[1]:
            return f"{result[1]} means converter {result[0]}; omit --converter"
        raise RecipeError(
            f"--converter {converter}: {source} needs the converter {result[0]}, because of {result[1]}; "
            "omit the option"
        )
    if converter == "torch":
        _expect_no_code(Path(source))
    return ""


def _told(source: Path | str) -> tuple[str, str] | None:
    """The converter and what gave it away, or None; of a pickle nothing is told, but that it is none to read."""
    if isinstance(source, str) and source.startswith(HUB):
        return "transformers", "the name on the hub"
    if isinstance(source, str):
        return "torch", "the name of its function" if ".py:" in source else "the name of its architecture"
    if not source.exists():
        raise SourceError(f"{source}: does not exist; check the path")
    ending = source.suffix.lower()
    if ending in CONVERTERS:
        return CONVERTERS[ending], f"the file extension {ending}"
    if (source / "config.json").is_file():
        return "transformers", "the config.json inside"
    if (source / "dir_archive.ini").is_file():
        return "turicreate", "the dir_archive.ini inside"
    return None


def _expect_no_code(path: Path) -> None:
    if path.suffix.lower() == ".py" and path.is_file():
        raise RecipeError(
            f"{path}: is code, expected the name of the function that returns the network; pass {path}:FUNCTION, and "
            "--trust-code if you trust it"
        )
