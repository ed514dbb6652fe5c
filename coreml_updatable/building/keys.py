"""When a stage's result may be used again: keys made of everything that could change it."""

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import coreml_updatable

LIBRARIES = ("coremltools", "numpy", "pillow", "torch", "torchvision", "timm", "scikit-learn", "matplotlib")


def key_of(*parts: Any) -> str:
    """A sha256 over ``parts``, which are JSON values."""
    text = json.dumps(parts, sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()


def files_digest(root: Path, paths: Iterable[Path]) -> str:
    """A sha256 over the names (relative to ``root``) and the bytes of ``paths``."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(os.fsencode(path.relative_to(root)))
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


@cache
def code_digest() -> str:
    """A sha256 over this package's own code and templates, the converters', and the versions of what they stand on."""
    package = Path(coreml_updatable.__file__).parent
    folders = [package, *_converter_folders()]
    parts = [files_digest(folder, _code_files(folder)) for folder in folders]
    return key_of(parts, {name: version_of(name) for name in LIBRARIES})


def sample_code_digest(folder: Path, left_out: Collection[Path] = ()) -> str:
    """A sha256 over what lies beside a recipe for its code to read: all but the recipe, texts and hidden files.

    Of the folders ``left_out``, where they lie below ``folder``, only what is code itself counts.
    """
    return files_digest(folder, _may_be_read(folder, {path.resolve() for path in left_out}))


def code_in(folder: Path) -> str:
    """A sha256 over the Python files in ``folder`` itself."""
    return files_digest(folder, folder.glob("*.py"))


def _may_be_read(folder: Path, left_out: Collection[Path]) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        below = Path(place).resolve()
        code_only = any(below.is_relative_to(out) for out in left_out)
        folders[:] = [name for name in folders if not _is_hidden(name)]
        paths = (Path(place, name) for name in files if not _is_hidden(name))
        counts = (path for path in paths if path.suffix == ".py" or not (code_only or path.suffix in (".md", ".toml")))
        yield from (path for path in counts if path.is_file())


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__pycache__"


def _code_files(folder: Path) -> list[Path]:
    return [
        path for path in folder.rglob("*") if path.suffix in {".py", ".j2", ".css"} and "__pycache__" not in path.parts
    ]


def _converter_folders() -> list[Path]:
    from importlib.util import find_spec

    found = find_spec("coreml_updatable.converters")
    return [Path(place) for place in (found.submodule_search_locations or ())] if found is not None else []


def version_of(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
