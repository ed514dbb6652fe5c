"""A build read, judged and copied, one file at a time: what comes out is a release that may be put in place."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coreml_updatable.checking import expect_valid
from coreml_updatable.errors import CatalogueError
from coreml_updatable.files import write_atomically
from coreml_updatable.personalization.wording import counted, words_for
from coreml_updatable.publishing.catalogue.build_report import REPORT, BuildReport
from coreml_updatable.publishing.catalogue.index import (
    Accuracy,
    FeatureEntry,
    File,
    Layout,
    ModelFile,
    ParameterEntry,
    Release,
    Role,
    UpdateEntry,
)
from coreml_updatable.publishing.catalogue.names import is_file_name, is_version
from coreml_updatable.publishing.report.model_facts import learns
from coreml_updatable.publishing.report.story import owners_kinds, owners_labels, shots_of_each
from coreml_updatable.publishing.vectors.document import SUFFIX
from coreml_updatable.spec.availability import AVAILABILITY
from coreml_updatable.spec.io import parse_model
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import is_pipeline
from coreml_updatable.spec.summary import Feature, Summary, summarize

MODEL_SUFFIX = ".mlmodel"
EXAMPLES = "examples.html"  # the report with a user's pictures, which no report.json names
# They tell the times of one run, and so are not what a version is.
MEASURED = frozenset({REPORT, "report.html", EXAMPLES})


@dataclass(frozen=True)
class BuildFile:
    """A file of a build, its sum compared with the report's."""

    file: str
    content: bytes
    sha256: str

    def entry(self) -> File:
        """Its entry in the index; the url is left open."""
        return File(file=self.file, url="", bytes=len(self.content), sha256=self.sha256)


def read_release(
    folder: Path, report: BuildReport, report_bytes: bytes, target: Path, *, with_examples: bool = False
) -> Release:
    """Copy the build in ``folder`` to ``target`` and say what it is; its urls are left open.

    ``with_examples``: also the page with a user's pictures, where the build has one. One file is in memory at a time.
    CatalogueError if a file is not what the report says, if a rule finds an error in a model, or if the models name no
    version.
    """
    models: list[ModelFile] = []
    files: list[File] = [_copied(BuildFile(REPORT, report_bytes, hashlib.sha256(report_bytes).hexdigest()), target)]
    page = folder / EXAMPLES
    if with_examples and page.is_file():
        content = page.read_bytes()
        files.append(_copied(BuildFile(EXAMPLES, content, hashlib.sha256(content).hexdigest()), target))
    versions: dict[str, str] = {}
    author = license = ""
    for read in _files(folder, report):
        if read.file.endswith(MODEL_SUFFIX):
            model = parse_model(read.content, str(folder / read.file))
            expect_valid(model, f"{folder / read.file}: is not published", CatalogueError)
            models.append(model_entry(read.entry(), model, report))
            described = model.description.metadata
            if models[-1].role != "part":
                versions[read.file] = str(described.versionString)
                author, license = str(described.author), str(described.license)
            write_atomically(target / read.file, read.content)
        else:
            files.append(_copied(read, target))
    return Release(
        version=_one_version(folder, versions),
        description=report.description,
        author=author,
        license=license,
        labels=report.labels,
        data=data_sentence(report),
        models=tuple(models),
        files=tuple(sorted(files, key=lambda file: file.file)),
    )


def data_sentence(report: BuildReport) -> str:
    """Return a sentence about the data that the base model was trained on."""
    words = words_for(report.noun)
    count, kinds = sum(report.data.train.values()), counted(len(report.data.train), "kind")
    learned = f"Trained on {count:,} {words.picture}s of {kinds}"
    match report.data.origin:
        case "drawn":
            said = "Made by a program." if report.noun else "The pictures are drawn by a program; no photos were used."
        case "photos":
            said = f"The data are {words.photo}s from a folder."
        case _:
            said = report.data.description
    return f"{said} {learned}.".strip()


def has_the_models(release: Release, report: BuildReport) -> bool:
    """Return whether the build that ``report`` is of has the very models of ``release``.

    The files about them, such as golden vectors, are written by this version of the tool, and may differ.
    """
    sums = {name: file.sha256 for name, file in report.files.items()}
    return _models(_sums(release)) == _models(sums)


def has_the_same_files(release: Release, report: BuildReport) -> bool:
    """Return whether the files about the models are the same too, apart from what a run measured."""
    sums = {name: file.sha256 for name, file in report.files.items()}
    return _lasting(_sums(release)) == _lasting(sums)


def verify_build(folder: Path, report: BuildReport) -> None:
    """A CatalogueError unless every file in ``folder`` is as ``report`` lists it."""
    for _ in _files(folder, report):
        pass


def _sums(release: Release) -> dict[str, str]:
    return {file.file: file.sha256 for file in release.every_file()}


def _models(sums: Mapping[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in sums.items() if name.endswith(MODEL_SUFFIX)}


def _lasting(sums: Mapping[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in sums.items() if name not in MEASURED}


def _files(folder: Path, report: BuildReport) -> Iterator[BuildFile]:
    for file, expected in sorted(report.files.items()):
        if not is_file_name(file):
            raise CatalogueError(
                f"{folder / REPORT}: lists a file {file!r:.80}, expected a plain name such as Model.mlmodel; "
                "build the model again"
            )
        path = folder / file
        if not path.is_file():
            raise CatalogueError(f"{path}: is missing, but {REPORT} lists it; build the model again")
        content = path.read_bytes()
        hasher = hashlib.sha256(content).hexdigest()
        if hasher != expected.sha256:
            raise CatalogueError(f"{path}: has changed since it was built; build the model again")
        yield BuildFile(file, content, hasher)


def _copied(read: BuildFile, target: Path) -> File:
    write_atomically(target / read.file, read.content)
    return read.entry()


def _one_version(folder: Path, versions: dict[str, str]) -> str:
    """The version of all: file -> what its metadata says."""
    if not versions:
        raise CatalogueError(f"{folder}: its report lists no {MODEL_SUFFIX} files; build the model again")
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
                f"{folder / file}: its version is {versions[file]}, but that of {first} is {versions[first]}; build "
                "both again"
            )
    return versions[first]


def model_entry(entry: File, model: Model, report: BuildReport) -> ModelFile:
    """The entry of the file ``entry``, which holds ``model``, of the build that ``report`` is of."""
    file = entry.file
    summary = summarize(model)
    compared = file in [item.file for item in report.models]
    role = _role(file, model, report)
    return ModelFile(
        **entry.model_dump(),
        role=role,
        layout=_layout(model, report),
        other_variant=next((item.file for item in report.models if item.kind != role), None)
        if role != "part"
        else None,
        kind=summary.kind,
        specification_version=summary.specification_version,
        least_ios=_least_ios(file, summary),
        inputs=_features(summary.inputs),
        outputs=_features(summary.outputs),
        training_inputs=_features(summary.training_inputs),
        labels=summary.labels or None,
        update=_update(summary),
        learns=learns(summary),
        vectors=_vectors(file, report),
        accuracies=_accuracies(role, report) if compared else (),  # a further layout may be rounded
    )


def _role(file: str, model: Model, report: BuildReport) -> Role:
    """Beside both variants lie further layouts of the network: whole, or one of the two parts of a split."""
    known: Role | None = next((item.kind for item in report.models if item.file == file), None)
    return known or ("network" if _takes_rows(model, report) else "part")


def _layout(model: Model, report: BuildReport) -> Layout:
    if not _takes_rows(model, report):
        return "split"
    return "pipeline" if is_pipeline(model) else "single"


def _takes_rows(model: Model, report: BuildReport) -> bool:
    """A part of a split takes another input than the build's, or learns nothing itself."""
    takes = {str(feature.name) for feature in model.description.input}
    return bool(model.isUpdatable) and report.input.name in takes


def _least_ios(file: str, summary: Summary) -> str:
    system = AVAILABILITY.get(summary.specification_version)
    if system is None:
        raise CatalogueError(
            f"{file}: specification version {summary.specification_version}, expected one of {min(AVAILABILITY)} to "
            f"{max(AVAILABILITY)}; export it for a known system"
        )
    return system


def _vectors(file: str, report: BuildReport) -> str | None:
    name = f"{file.removesuffix('.mlmodel')}{SUFFIX}"
    return name if name in report.files else None


def _features(features: Sequence[Feature]) -> tuple[FeatureEntry, ...]:
    return tuple(
        FeatureEntry(name=feature.name, type=feature.type, description=feature.description) for feature in features
    )


def _update(summary: Summary) -> UpdateEntry | None:
    update = summary.update
    if update is None:
        return None
    parameters = tuple(
        ParameterEntry(name=parameter.name, default=parameter.default, range=parameter.range, allowed=parameter.allowed)
        for parameter in update.parameters
    )
    return UpdateEntry(layers=update.layers, loss=update.loss, optimizer=update.optimizer, parameters=parameters)


def _accuracies(role: Role, report: BuildReport) -> tuple[Accuracy, ...]:
    comparison = report.compared()
    if comparison is None:
        return ()
    words = words_for(report.noun)
    entrant = comparison.entrants[0 if role == "network" else 1]
    before, after = (entrant.last(shots).intervals for shots in (0, comparison.shots[-1]))
    shots, seeds = shots_of_each(comparison.shots[-1], comparison, words), counted(comparison.owners, "order")
    orders = f"after {shots} at once{entrant.name.removeprefix(role)} (mean of {seeds})"  # "... with its replay set"
    owners = f"held-out {words.picture}s of {owners_kinds(comparison)}, labeled {owners_labels(comparison)}"
    own = f"test {words.picture}s of the base model"
    measured = (
        (before["base_accuracy"], comparison.test_rows, f"{own}, before any update"),
        (after["base_accuracy"], comparison.test_rows, f"{own}, {orders}"),
        (before["personal_accuracy"], comparison.held_out_rows, f"{owners}, before any update"),
        (after["personal_accuracy"], comparison.held_out_rows, f"{owners}, {orders}"),
    )
    return tuple(Accuracy(value=one.mean, pictures=pictures, measured_on=on) for one, pictures, on in measured)
