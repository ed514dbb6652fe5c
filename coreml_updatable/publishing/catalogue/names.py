"""What may stand in a path of a catalogue, and how versions are ordered. Nothing else ever becomes part of a path."""

import re
from pathlib import PurePosixPath

NAME = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"  # of a model, as in a recipe; Xcode makes a Swift class of it
VERSION = r"^(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){0,3}$"
FILE = r"^([A-Za-z0-9_][A-Za-z0-9_-]{0,63}/)?[A-Za-z0-9_][A-Za-z0-9_-]{0,99}(\.[A-Za-z0-9_-]{1,20}){1,3}$"
SUM = r"^[0-9a-f]{64}$"
MODELS = "models"  # the folder that holds all releases
DEVICES = "devices"  # the folder of what devices answered to the probes
DEVICE_FILE = r"^[a-z0-9]{1,40}(-[a-z0-9]{1,40}){0,20}\.json$"


def is_version(text: str) -> bool:
    """One to four integers with dots between: 1, 1.0, 2.10.3."""
    return re.fullmatch(VERSION, text) is not None


def is_file_name(text: str) -> bool:
    """A visible file, at most one folder deep."""
    return re.fullmatch(FILE, text) is not None


def version_key(version: str) -> tuple[int, ...]:
    """Orders versions number by number; 1.0 and 1.0.0 are equal."""
    numbers = [int(part) for part in version.split(".")]
    return tuple(numbers + [0] * (4 - len(numbers)))


def release_folder(name: str, version: str) -> PurePosixPath:
    """Where a release lies, relative to the catalogue."""
    return PurePosixPath(MODELS, name, version)
