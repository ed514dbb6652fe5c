"""A build read, judged and copied, one file at a time: what comes out is a release that may be put in place."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coreml_updatable.checking import expect_valid
from coreml_updatable.errors import CatalogueError
from coreml_updatable.files import write_atomically
from coreml_updatable.personalization.wording import counted, words_for
from coreml_updatable.publishing.catalogue.build_report import REPORT, BuildReport
from coreml_updatable.publishing.catalogue.index import File, ModelFile, Release
from coreml_updatable.publishing.catalogue.model_entry import model_entry
from coreml_updatable.publishing.catalogue.names import is_file_name, is_version
from coreml_updatable.spec.io import parse_model

MODEL_SUFFIX = ".mlmodel"
MEASURED = frozenset({REPORT, "report.html"})  # they tell the times of one run, and so are not what a version is


@dataclass(frozen=True)
class Read:
    """A file of a build, its sum compared with the report's."""

    file: str
    content: bytes
    sha256: str

    def entry(self) -> File:
        """Its entry in the index; the url is left open."""
        return File(file=self.file, url="", bytes=len(self.content), sha256=self.sha256)


def read_release(folder: Path, report: BuildReport, report_bytes: bytes, target: Path) -> Release:
    """Copy the build in ``folder`` to ``target`` and say what it is; its urls are left open.

    One file is in memory at a time. CatalogueError if a file is not what the report says, if a rule finds an error in a
    model, or if the models name no version.
    """
    models: list[ModelFile] = []
    files: list[File] = [_copied(Read(REPORT, report_bytes, hashlib.sha256(report_bytes).hexdigest()), target)]
    versions: dict[str, str] = {}
    author = licence = ""
    for read in _files(folder, report):
        if read.file.endswith(MODEL_SUFFIX):
            model = parse_model(read.content, str(folder / read.file))
            expect_valid(model, f"{folder / read.file}: is not published", CatalogueError)
            models.append(model_entry(read.entry(), model, report))
            described = model.description.metadata
            if models[-1].role != "part":
                versions[read.file] = str(described.versionString)
                author, licence = str(described.author), str(described.license)
            write_atomically(target / read.file, read.content)
        else:
            files.append(_copied(read, target))
    return Release(
        version=_one_version(folder, versions),
        description=report.description,
        author=author,
        licence=licence,
        labels=report.labels,
        data=data_sentence(report),
        models=tuple(models),
        files=tuple(sorted(files, key=lambda file: file.file)),
    )


def data_sentence(report: BuildReport) -> str:
    """What the base learnt from."""
    words = words_for(report.noun)
    learnt = (
        f"{sum(report.data.train.values()):,} {words.picture}s of {counted(len(report.data.train), 'kind')} were learnt"
    )
    match report.data.origin:
        case "drawn":
            said = "Made by a program." if report.noun else "Pictures drawn by a program; no photo was used."
        case "photos":
            said = f"{words.photo.capitalize()}s from a folder that was given."
        case _:
            said = report.data.description
    return f"{said} {learnt}.".strip()


def has_the_models(release: Release, report: BuildReport) -> bool:
    """Whether the build that ``report`` is of has the files of ``release``, but for what a run measured."""
    return _lasting(release) == {name: one.sha256 for name, one in report.files.items() if name not in MEASURED}


def verify_build(folder: Path, report: BuildReport) -> None:
    """A CatalogueError unless every file in ``folder`` is as ``report`` lists it."""
    for _ in _files(folder, report):
        pass


def _lasting(release: Release) -> dict[str, str]:
    return {file.file: file.sha256 for file in release.every_file() if file.file not in MEASURED}


def _files(folder: Path, report: BuildReport) -> Iterator[Read]:
    for file, expected in sorted(report.files.items()):
        if not is_file_name(file):
            raise CatalogueError(
                f"{folder / REPORT}: lists a file {file!r:.80}, expected a plain name such as Model.mlmodel; "
                "build the model again"
            )
        path = folder / file
        if not path.is_file():
            raise CatalogueError(f"{path}: is missing, expected as {REPORT} lists it; build the model again")
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != expected.sha256:
            raise CatalogueError(f"{path}: was changed since it was built; build the model again")
        yield Read(file, content, found)


def _copied(read: Read, target: Path) -> File:
    write_atomically(target / read.file, read.content)
    return read.entry()


def _one_version(folder: Path, versions: dict[str, str]) -> str:
    """The version of all: file -> what its metadata says."""
    if not versions:
        raise CatalogueError(f"{folder}: its report lists no {MODEL_SUFFIX} file of its models; build the model again")
    first, *others = versions
    for file, version in versions.items():
        if not is_version(version):
            raise CatalogueError(
                f"{folder / file}: its version is {version!r:.80}, expected numbers with dots such as 1.0; "
                "set metadata.version in the recipe and build again"
            )
    for file in others:
        if versions[file] != versions[first]:
            raise CatalogueError(
                f"{folder / file}: its version is {versions[file]}, that of {first} {versions[first]}; build both again"
            )
    return versions[first]
