"""Read and write models: hostile bytes are bounded before they are parsed, and a reader never sees half a file.

The manifest's ``rootModelIdentifier`` names one of its ``itemInfoEntries``, whose ``path`` starts at
the folder ``Data``. It comes from outside: a path that leads out of the package, by whatever way, is refused.
"""

import json
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from google.protobuf.message import DecodeError

from coreml_updatable.errors import ModelError
from coreml_updatable.files import refuse_lfs_pointer, write_all_atomically
from coreml_updatable.spec.messages import Model, Model_pb2


def read_bounded(path: Path, maximum: int, what: str) -> bytes:
    """The bytes of a file or a pipe; ModelError when there are more than ``maximum``, whatever its size was said to be.

    ``what`` names in the error what is read ("an .mlmodel").
    """
    try:
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode)):
            raise ModelError(f"{path}: is a device or a socket, expected a file; pass the file of the model")
        if status.st_size > maximum:
            raise ModelError(f"{path}: has {status.st_size} bytes, but {what} has at most {maximum}; use another file")
        with path.open("rb") as file:
            content = file.read(maximum + 1) if stat.S_ISFIFO(status.st_mode) else file.read(status.st_size + 1)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error
    except ValueError:
        raise ModelError(f"'{path}': is not a valid path; check it") from None
    if len(content) > maximum or (stat.S_ISREG(status.st_mode) and len(content) > status.st_size):
        raise ModelError(f"{path}: is still growing; wait until it is complete")
    return content


MANIFEST = "Manifest.json"
_MAX_MANIFEST = 2**20
_COMPILED = ("coremldata.bin", "model.espresso.net", "model.mil")


def model_file(package: Path) -> Path:
    """The model in the folder ``package``; ModelError when the folder is no package, or a broken one."""
    manifest = package / MANIFEST
    if not manifest.is_file():
        raise ModelError(_no_package(package))
    entry = _root_entry(_parsed(manifest), manifest)
    relative = entry.get("path")
    if not isinstance(relative, str) or not relative:
        raise ModelError(f"{manifest}: the entry of the model has no path; export the package again")
    return _inside(package, relative, manifest)


def _no_package(folder: Path) -> str:
    if folder.suffix == ".mlmodelc" or any((folder / name).exists() for name in _COMPILED):
        return (
            f"{folder}: is a compiled model, expected an .mlmodel file or an .mlpackage; pass the one it was "
            "compiled from"
        )
    if folder.suffix == ".mlpackage":
        return f"{folder}: has no {MANIFEST}, which every package has; export the package again"
    return f"{folder}: is a folder, expected an .mlmodel file or an .mlpackage; pass the file inside it"


def _parsed(manifest: Path) -> dict[str, Any]:
    content = read_bounded(manifest, _MAX_MANIFEST, "a manifest")
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        raise ModelError(f"{manifest}: is not JSON; export the package again") from None
    if not isinstance(parsed, dict):
        raise ModelError(f"{manifest}: does not contain a JSON object; export the package again")
    return parsed


def _root_entry(manifest: dict[str, Any], where: Path) -> dict[str, Any]:
    root, entries = manifest.get("rootModelIdentifier"), manifest.get("itemInfoEntries")
    if not isinstance(root, str) or not isinstance(entries, dict) or not isinstance(entries.get(root), dict):
        raise ModelError(
            f"{where}: does not name a model (rootModelIdentifier, itemInfoEntries); export the package again"
        )
    entry: dict[str, Any] = entries[root]
    return entry


def _inside(package: Path, relative: str, manifest: Path) -> Path:
    """``relative`` under the package's Data folder; links are followed before it is judged where they lead."""
    parts = PurePosixPath(relative)
    file = package / "Data" / parts
    try:
        escapes = parts.is_absolute() or ".." in parts.parts or not file.resolve().is_relative_to(package.resolve())
        result = not escapes and file.is_file()
    except (ValueError, OSError, RuntimeError):  # a NUL, half a surrogate, a name too long, links in a circle
        escapes, result = False, False
    if escapes:
        raise ModelError(f"{manifest}: its model is {relative!r}, a path outside the package; export the package again")
    if not result:
        raise ModelError(f"{manifest}: its model {relative!r} is not a file in the package; copy the complete package")
    return file


MAX_BYTES = 2**31 - 1  # the wire format of protobuf cannot hold more


def read_model(path: Path) -> Model:
    """The ``Model`` message in an .mlmodel file or an .mlpackage folder."""
    model = read_any_model(path)
    _refuse_incomplete(model, str(path))
    return model


def read_any_model(path: Path) -> Model:
    """As ``read_model``, also of a version that does not exist or of no kind: a message to judge, not to work with."""
    file = model_file(path) if path.is_dir() else path
    content = read_bounded(file, MAX_BYTES, "an .mlmodel")
    refuse_lfs_pointer(file, ModelError)
    return _decoded(content, str(path))


def parse_model(content: bytes, where: str) -> Model:
    """The ``Model`` message in ``content``; ``where`` names the source in errors."""
    model = _decoded(content, where)
    _refuse_incomplete(model, where)
    return model


def _decoded(content: bytes, where: str) -> Model:
    model = Model_pb2.Model()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise ModelError(f"{where}: is not a Core ML model (not a valid protobuf message); export it again") from error
    if model.specificationVersion == 0 and model.WhichOneof("Type") is None:
        _refuse_incomplete(model, where)
    return model


def _refuse_incomplete(model: Model, where: str) -> None:
    if model.specificationVersion < 1 or model.WhichOneof("Type") is None:
        raise ModelError(
            f"{where}: is not a Core ML model (no specification version or no model inside); export it again"
        )


def model_bytes(model: Model) -> bytes:
    """The serialized message, map fields in a fixed order."""
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def write_model(model: Model, path: Path) -> None:
    """Write an .mlmodel file; ModelError for the name of a package, which no file may bear."""
    write_models({path: model})


def write_models(models: Mapping[Path, Model]) -> None:
    """All of them, or none. ModelError as ``write_model``."""
    for path in models:
        if path.suffix == ".mlpackage":
            raise ModelError(f"{path}: packages cannot be written; choose an .mlmodel file, which Xcode also accepts")
        if path.is_dir():
            raise ModelError(f"{path}: is a folder, expected the name of a file; add one, such as model.mlmodel")
    write_all_atomically({path: model_bytes(model) for path, model in models.items()})
