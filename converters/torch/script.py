"""TorchScript files from torch.jit.save: tensors and code, which runs when it is traced or compared."""

import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from coreml_updatable.errors import SourceError

from .._shared.wording import first_line

MARK = "/constants.pkl"  # torch finds its records without regard to case


def is_script(path: Path) -> bool:
    """Return whether ``path`` is an archive with TorchScript."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.lower().endswith(MARK) for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def read_script(path: Path) -> Any:
    """Return the module in the trusted file ``path``, in evaluation mode. Its code can read and write files."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that TorchScript is to go; the files stay
            return torch.jit.load(str(path), map_location="cpu").eval()
    except Exception as error:  # a damaged file may fail anywhere in the readers
        raise SourceError(
            f"{path.name}: cannot be read as TorchScript ({type(error).__name__}: {first_line(error)}); "
            "save it again with torch.jit.save"
        ) from error
