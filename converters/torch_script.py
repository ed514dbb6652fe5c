"""TorchScript files, as torch.jit.save writes them: code of their own small language, and tensors."""

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from coreml_updatable.errors import SourceError

from .torch_wording import first_line

MOST_BYTES = 2**31  # of the file
MOST_CODE = 2**26  # of the code in it, once unpacked
# TorchScript is no Python, but it has operators that read and write files, and libraries add others of their own.
FORBIDDEN = re.compile(r"\.\s*(save|from_file)\b|\bops\s*\.\s*(?!aten\b|prim\b)(\w+)")
TENSORS = re.compile(r"/(data|constants)/")


def is_script(path: Path) -> bool:
    """Whether ``path`` is an archive that holds TorchScript."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def read_script(path: Path) -> Any:
    """The module in ``path`` in evaluation mode; no Python in the file is run, and nothing that could touch files."""
    if path.stat().st_size > MOST_BYTES:
        raise SourceError(f"{path.name}: larger than {MOST_BYTES} bytes, expected a network for a phone; use a smaller")
    try:
        _inspect(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that TorchScript is to go; the files stay
            return torch.jit.load(str(path), map_location="cpu").eval()
    except SourceError:
        raise
    except Exception as error:  # a damaged file may fail anywhere in the readers
        raise SourceError(
            f"{path.name}: can not be read as TorchScript ({type(error).__name__}: {first_line(error)}); "
            "save it anew with torch.jit.save"
        ) from error


def _inspect(path: Path) -> None:
    """torch stores tensors as they are and packs code only: what would grow otherwise is not its own."""
    with zipfile.ZipFile(path) as archive:
        packed = [entry for entry in archive.infolist() if entry.file_size > entry.compress_size]
        grown = sum(entry.file_size for entry in packed)
        if grown > MOST_CODE or any(TENSORS.search(entry.filename) for entry in packed):
            raise SourceError(
                f"{path.name}: its archive grows when unpacked, expected one written by torch.jit.save; save it anew"
            )
        for entry in archive.infolist():
            if entry.filename.endswith(".py"):
                _refuse_operators(path, entry.filename, archive.read(entry).decode("utf-8"))


def _refuse_operators(path: Path, place: str, code: str) -> None:
    found = FORBIDDEN.search(code)
    if found is None:
        return
    operator = found[1] or f"ops.{found[2]}"
    place = place.partition("/code/")[2] or place
    raise SourceError(
        f"{path.name}: {place} uses {operator!r}, expected nothing but torch's own operators on tensors; "
        "save the network without it"
    )
