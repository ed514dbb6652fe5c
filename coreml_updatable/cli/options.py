"""Options that several commands have; what `-o` names is judged before anything is computed."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

from coreml_updatable.data.inputs import Fit
from coreml_updatable.trust import HELP as TRUST_HELP

HeadOption: TypeAlias = Literal["keep", "new"]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")]
DryRun: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be done, without writing anything.")
]
Builds: TypeAlias = Annotated[Path, typer.Option(help="Folder for builds; each gets a folder inside.")]
Samples: TypeAlias = Annotated[Path, typer.Option(help="Folder of the sample models.")]
TrustCode: TypeAlias = Annotated[bool, typer.Option(help=TRUST_HELP)]
PictureFit: TypeAlias = Annotated[
    Fit | None,
    typer.Option(help="How to fit pictures of another size.", show_default="from the model's metadata, or centerCrop"),
]
RowsByKind: TypeAlias = Annotated[
    Path, typer.Option(help="Folder label/file or label/kind/file, or .json or .csv rows.", show_default=False)
]
Scenario: TypeAlias = Annotated[
    Path | None, typer.Option(help="A TOML file that describes the owners.", show_default=False)
]


@dataclass(frozen=True)
class Out:
    """``is_folder``: there is one of that name, or the name ends in a slash."""

    path: Path
    is_folder: bool

    def file(self) -> Path:
        """The file to write; BadParameter for a folder and a package, an OSError where no file can be put."""
        if self.is_folder:
            raise typer.BadParameter(f"-o {self.path} is a folder; name a file in it")
        _expect_no_package(self.path)
        _expect_room_for(self.path)
        return self.path

    def files(self, stem: str, behind: tuple[str, ...]) -> list[Path]:
        """One .mlmodel for each of ``behind``, which stands behind the name: that of ``path``, in a folder ``stem``."""
        folder, name = (self.path, stem) if self.is_folder else (self.path.parent, self.path.name)
        _expect_no_package(self.path)
        paths = [folder / f"{name.removesuffix('.mlmodel')}{part}.mlmodel" for part in behind]
        return [Out(path, path.is_dir()).file() for path in paths]


def expect_out(out: Out | None, *, dry_run: bool) -> None:
    """A BadParameter where nothing says where the result goes."""
    if out is None and not dry_run:
        raise typer.BadParameter("-o is required; use --dry-run to see what would be done")


def out_of(text: str) -> Out:
    """``text`` as it was typed: a path object would forget the slash at its end."""
    path = Path(text)
    return Out(path, text.endswith(("/", os.sep, "/.")) or path.is_dir())


def option(help_text: str) -> Any:
    """The option ``-o``, to be annotated as ``Out``."""
    return typer.Option("-o", "--output", help=help_text, parser=out_of, metavar="PATH", show_default=False)


def _expect_no_package(path: Path) -> None:
    if path.suffix == ".mlpackage":
        raise typer.BadParameter(f"-o {path}: packages cannot be written; choose an .mlmodel file")


def _expect_room_for(path: Path) -> None:
    """The folders on the way to ``path`` exist or can be made."""
    there = next((folder for folder in path.absolute().parents if os.path.lexists(folder)), None)
    if there is not None and not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    if there is not None and not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
