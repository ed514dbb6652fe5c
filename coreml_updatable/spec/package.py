"""The model file inside an .mlpackage: a folder of items, and a Manifest.json that says which of them is the model.

The manifest's ``rootModelIdentifier`` names one of its ``itemInfoEntries``, whose ``path`` starts at
the folder ``Data``. It comes from outside: a path that leads out of the package, by whatever way, is refused.
"""

import json
from pathlib import Path, PurePosixPath
from typing import Any

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.bounded import read_bounded

MANIFEST = "Manifest.json"
_MAXIMUM_MANIFEST = 2**20
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
            f"{folder}: is a compiled model, expected an .mlmodel file or an .mlpackage; name the one it was made from"
        )
    if folder.suffix == ".mlpackage":
        return f"{folder}: has no {MANIFEST}, which every package has; export the package again"
    return f"{folder}: is a folder, expected an .mlmodel file or an .mlpackage; name the file inside it"


def _parsed(manifest: Path) -> dict[str, Any]:
    content = read_bounded(manifest, _MAXIMUM_MANIFEST, "a manifest")
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        raise ModelError(f"{manifest}: is not JSON; export the package again") from None
    if not isinstance(parsed, dict):
        raise ModelError(f"{manifest}: holds no JSON object; export the package again")
    return parsed


def _root_entry(manifest: dict[str, Any], where: Path) -> dict[str, Any]:
    root, entries = manifest.get("rootModelIdentifier"), manifest.get("itemInfoEntries")
    if not isinstance(root, str) or not isinstance(entries, dict) or not isinstance(entries.get(root), dict):
        raise ModelError(f"{where}: names no model (rootModelIdentifier, itemInfoEntries); export the package again")
    entry: dict[str, Any] = entries[root]
    return entry


def _inside(package: Path, relative: str, manifest: Path) -> Path:
    """``relative`` under the package's Data folder; links are followed before it is judged where they lead."""
    parts = PurePosixPath(relative)
    file = package / "Data" / parts
    try:
        escapes = parts.is_absolute() or ".." in parts.parts or not file.resolve().is_relative_to(package.resolve())
        found = not escapes and file.is_file()
    except (ValueError, OSError, RuntimeError):  # a NUL, half a surrogate, a name too long, links in a circle
        escapes, found = False, False
    if escapes:
        raise ModelError(f"{manifest}: its model is {relative!r}, a path out of the package; export the package again")
    if not found:
        raise ModelError(f"{manifest}: its model {relative!r} is no file in the package; copy the package whole")
    return file
