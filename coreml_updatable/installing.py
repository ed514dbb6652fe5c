"""The command that installs what is missing, as it works where the package is: in a checkout, or from a wheel.

The package is on no index, so ``pip install 'coreml-updatable[vision]'`` finds nothing. In a checkout its folder is
installed again with the extra; beside a wheel, what the extra stands for is installed by its own names.
"""

import hashlib
import json
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from coreml_updatable.errors import SourceError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

OURS = "coreml-updatable"
CONSTRAINTS = "constraints.txt"
PROJECT_FILES = ("pyproject.toml", "setup.cfg", "setup.py")


def install_command(*extras: str, package: Distribution | None = None) -> str:
    """Return the command that installs ``extras`` of ``package`` (default: this one) for the running Python."""
    package = package or distribution(OURS)
    folder = checkout(package)
    if folder is not None:
        listed = shlex.quote(f"{folder}[{','.join(extras)}]")
        constraints = folder / CONSTRAINTS  # without them, a newer torchvision would bring another torch
        result = f" -c {shlex.quote(str(constraints))}" if constraints.is_file() else ""
        return f"{_pip()} install -e {listed}{result}"
    wanted = dict.fromkeys(f"{item.name}{item.specifier}" for item in requirements(package, extras))
    return f"{_pip()} install {' '.join(shlex.quote(item) for item in wanted)}"


def checkout(package: Distribution) -> Path | None:
    """Return the checkout that ``package`` is installed from, relative if it is below the working folder; None for a
    wheel."""
    text = package.read_text("direct_url.json")  # PEP 610
    result = json.loads(text) if text else {}
    if result.get("dir_info", {}).get("editable"):
        return _shown(Path(unquote(urlsplit(result["url"]).path)))
    folder = Path(
        str(package.locate_file(""))
    )  # of an .egg-info beside the code, which Python finds when it runs there
    return _shown(folder.resolve()) if any((folder / name).is_file() for name in PROJECT_FILES) else None


def requirements(package: Distribution, extras: Sequence[str]) -> list["Requirement"]:
    """Return the requirements that ``extras`` add to those of ``package``."""
    from packaging.requirements import Requirement

    return [
        requirement
        for requirement in map(Requirement, package.requires or ())
        if any(_only_with(requirement, extra) for extra in extras)
    ]


def missing(requirement: "Requirement") -> bool:
    """Return whether the package is not installed, or in a version that ``requirement`` excludes."""
    try:
        return not requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return True


def bare_command(packages: Sequence[str]) -> str:
    """Return the command that installs ``packages`` ("name==version") without their dependencies: only their files are
    read."""
    return f"{_pip()} install --no-deps {' '.join(shlex.quote(package) for package in packages)}"


def packaged_file(package: str, file: str, sha256: str, remedy: str) -> Path:
    """``file`` of the installed ``package``, of which nothing is imported; its content has ``sha256``.

    A SourceError, with ``remedy`` where the package is not installed, or holds another file.
    """
    try:
        path = Path(str(distribution(package).locate_file(file)))
    except PackageNotFoundError as error:
        raise SourceError(f"the weights are in the package {package}, which is not installed; {remedy}") from error
    if not path.is_file():
        raise SourceError(f"{package}: its file {file} is missing; install the package again")
    with path.open("rb") as opened:
        hasher = hashlib.file_digest(opened, "sha256").hexdigest()
    if hasher != sha256:
        raise SourceError(
            f"{path.name}: of {package}, has the SHA-256 {hasher[:12]}..., expected {sha256[:12]}...; it was changed "
            "or damaged: install the package again"
        )
    return path


def _only_with(requirement: "Requirement", extra: str) -> bool:
    marker = requirement.marker
    return marker is not None and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def _pip() -> str:
    python = Path(sys.executable)
    beside = python.with_name("pip")
    if beside.is_file():
        return shlex.quote(str(_shown(beside)))
    return f"{shlex.quote(str(_shown(python)))} -m pip"


def _shown(path: Path) -> Path:
    """Return the path, relative if it is below the working folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
