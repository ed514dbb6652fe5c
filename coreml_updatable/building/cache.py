"""One cache for the stages of a build: keys of everything that could change a result, one .npz file a stage."""

import hashlib
import io
import json
import os
import time
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import coreml_updatable
from coreml_updatable.files import write_atomically

SECONDS = "seconds"
Arrays = Mapping[str, npt.NDArray[Any]]


def remembered(folder: Path, stage: str, key: str, make: Callable[[], Arrays]) -> Arrays:
    """The arrays that ``make`` returns, made only if no earlier run did under the same ``key``.

    ``folder`` keeps one result a stage: a new key replaces the old one. ``SECONDS`` is how long it took to make.
    """
    path = folder / f"{stage}.npz"
    kept = _read(path, key)
    if kept is not None:
        return kept
    started = time.perf_counter()
    result = {**make(), SECONDS: np.array(time.perf_counter() - started)}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, key=np.array(key), **result)
    write_atomically(path, buffer.getvalue())
    return result


def is_remembered(folder: Path, stage: str, key: str) -> bool:
    """Whether an earlier run left a whole result under ``key``."""
    return _read(folder / f"{stage}.npz", key) is not None


def _read(path: Path, key: str) -> dict[str, npt.NDArray[Any]] | None:
    """The arrays kept in ``path``, or None where there are none under ``key`` (or the file is damaged)."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if str(archive["key"]) != key:
                return None
            return {name: archive[name] for name in archive.files if name != "key"}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError):
        return None


LIBRARIES = ("coremltools", "numpy", "pillow", "torch", "torchvision", "timm", "scikit-learn")


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

    result = find_spec("coreml_updatable.converters")
    return [Path(place) for place in (result.submodule_search_locations or ())] if result is not None else []


def version_of(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


REPORT = "report.json"
SUMMARY = "summary.txt"  # the report for a terminal, in the cache


def kept_report(target: Path, key: str) -> Mapping[str, Any] | None:
    """The report of an earlier run in ``target`` under the same ``key``; None if a file is missing or was changed."""
    try:
        report: Mapping[str, Any] = json.loads((target / REPORT).read_text(encoding="utf-8"))
        if report["key"] != key:
            return None
        for name, file in report["files"].items():
            if hashlib.sha256((target / name).read_bytes()).hexdigest() != file["sha256"]:
                return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return report
