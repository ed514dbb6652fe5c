"""`coreml-updatable knn EXTRACTOR -o OUT`: a k-NN classifier on any feature extractor."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coreml_updatable.cli.options import AsJson, DryRun, Out, expect_out, option
from coreml_updatable.cli.output import say, say_json
from coreml_updatable.cli.progress import watched
from coreml_updatable.cli.text import whole
from coreml_updatable.converting.embedding import embedded
from coreml_updatable.converting.spread import Agreement
from coreml_updatable.data.inputs import Progress
from coreml_updatable.data.rows.features import Features, Fit, features_of, target_of
from coreml_updatable.data.rows.reading import labelled_files, labelled_rows, named, rows_of
from coreml_updatable.errors import DataError, UserError
from coreml_updatable.marking import expect_label, sample_counts, with_samples
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import pipeline_of
from coreml_updatable.spec.samples import nearest_neighbors_of

if TYPE_CHECKING:
    from coreml_updatable.spec.messages import Model


Named = tuple[str, dict[str, Any]]


def remembered(empty: Model, data: Path, fit: Fit | None, *, quiet: bool) -> tuple[Model, dict[str, Any]]:
    """``empty`` with a sample for every row of ``data``, and the first row, its label left out."""
    if not data.exists():
        raise DataError(f"{data}: does not exist; check the path")
    features, target = features_of(empty, fit), str(target_of(empty).name)
    names: list[str] = []
    labels: list[Any] = []
    first: dict[str, Any] = {}

    def bare(rows: Iterator[Named]) -> Iterator[dict[str, Any]]:
        for name, row in rows:
            if target not in row:
                raise DataError(f"{name}: lacks '{target}', the label; add it to the row")
            names.append(name)
            expect_label(empty, row[target])
            labels.append(row[target])
            without = {key: value for key, value in row.items() if key != target}
            first.update({} if first else without)
            yield without

    front = pipeline_of(empty).models[0]
    with watched(quiet=quiet) as progress:
        try:
            vectors = embedded(front, bare(_rows(data, empty, features, progress)))
            filled = with_samples(empty, vectors, labels)
        except UserError as error:
            raise named(error, names) from error
        if not labels:
            raise DataError(f"{data}: contains no rows; add at least one, or omit --samples")
        progress("samples", 1.0, f"{len(labels)} embedded")
    return filled, first


def _rows(data: Path, model: Model, features: Features, progress: Progress) -> Iterator[Named]:
    if not data.is_dir():
        yield from rows_of(data, features)
        return
    files = labelled_files(data, features)
    for number, (folder, file) in enumerate(files):
        progress("samples", min(0.99, number / len(files)), f"{number} of {len(files)} files")
        yield from labelled_rows(folder, file, model, features)


@dataclass(frozen=True)
class Made:
    """What was made, and what proves it. ``path`` is None where nothing was written."""

    path: Path | None
    made: Model
    cut: bool
    size: int
    agreement: Agreement
    samples_after: int  # an update with one row
    warnings: list[str]

    def as_json(self) -> dict[str, Any]:
        embedding = pipeline_of(self.made).models[0].description.output[0]
        return {
            "model": None if self.path is None else str(self.path),
            "bytes": self.size,
            "extractor": "cut before the head" if self.cut else "as it is",
            "embedding": {"name": str(embedding.name), "length": self._length()},
            "outputs": [str(feature.name) for feature in self.made.description.output],
            "samples": [{"label": label, "count": count} for label, count in sample_counts(self.made).items()],
            "largest_difference": self.agreement.difference,
            "proved": self.agreement.proved,
            "notes": list(self.agreement.notes),
            "warnings": self.warnings,
        }

    def as_lines(self) -> list[str]:
        counts = sample_counts(self.made)
        listed = ", ".join(f"{count} {label}" for label, count in counts.items())
        what = "cut before its head" if self.cut else "as it is"
        return [
            *(f"warning: {warning}" for warning in self.warnings),
            *self.agreement.notes,
            f"extractor: {what}; its {self._length()} features agree within {self.agreement.difference:.1g}",
            f"samples: {listed}; the first sample finds itself"
            if counts
            else "samples: none yet; it predicts its default label",
            f"update: with one more row, it has {self.samples_after} samples",
            f"{'nothing written' if self.path is None else self.path}: {self.size:,} bytes",
        ]

    def _length(self) -> int:
        return int(nearest_neighbors_of(self.made).nearestNeighborsIndex.numberOfDimensions)


LEAF_SIZE = 30


class Weighting(StrEnum):
    UNIFORM = "uniform"
    INVERSE = "inverse"


class LabelsKind(StrEnum):
    STRING = "string"
    INT64 = "int64"


def knn(
    extractor: Annotated[
        Path,
        typer.Argument(help="An .mlmodel: a classifier, or a network that outputs a vector.", show_default=False),
    ],
    out: Annotated[Out | None, option("The k-NN model.")] = None,
    samples: Annotated[
        Path | None,
        typer.Option(help="Folder with one folder per class (pictures or .npy), or .json or .csv rows."),
    ] = None,
    neighbors: Annotated[str, typer.Option(help="Number of neighbors, as default:range or default:set.")] = "3:1..15",
    weighting: Annotated[Weighting, typer.Option(help="How neighbors vote.")] = Weighting.INVERSE,
    index: Annotated[str, typer.Option(help="Search index: linear, kd-tree or kd-tree:LEAFSIZE.")] = "linear",
    labels_kind: Annotated[LabelsKind, typer.Option(help="Type of the labels.")] = LabelsKind.STRING,
    default_label: Annotated[
        str | None, typer.Option(help="Prediction while there are no samples.", show_default="unknown, or -1")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Name of the label output.", show_default=False)] = None,
    probabilities: Annotated[str | None, typer.Option(help="Name of the probabilities output.")] = None,
    cut: Annotated[
        bool | None,
        typer.Option(
            "--cut/--whole",
            help="Cut before the last layer, or use the whole network.",
            show_default="cut if there is a softmax",
        ),
    ] = None,
    fit: Annotated[
        Fit | None,
        typer.Option(
            help="How to fit pictures of another size.", show_default="as the model's metadata say, else centre-crop"
        ),
    ] = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Build an updatable k-NN classifier on a feature extractor.

    Nothing is written unless the embedding equals the extractor's output, the first sample is its own nearest neighbor,
    an update adds the samples it is given, and the model breaks none of Apple's rules.
    """
    expect_out(out, dry_run=dry_run)
    named = None if out is None else out.file()
    from coreml_updatable.marking.settings import KNNSettings

    kind, leaf = _index(index)
    schemes = {Weighting.UNIFORM: "uniform", Weighting.INVERSE: "inverse-distance"}
    settings = KNNSettings(
        whole("--neighbors", neighbors), schemes[weighting], kind, leaf, _default_label(default_label, labels_kind)
    )

    from coreml_updatable.checking import expect_valid
    from coreml_updatable.converting.knn_proof import prove_knn
    from coreml_updatable.errors import located
    from coreml_updatable.marking import has_head, knn_variant
    from coreml_updatable.spec.io import model_bytes, read_model, write_model

    source = read_model(extractor)
    cutting = has_head(source) if cut is None else cut
    with located("extractor", extractor):
        empty = knn_variant(source, settings, label=label, probabilities=probabilities, cut=cutting)
    problems = expect_valid(empty, "k-NN model")
    made, first = (empty, None) if samples is None else remembered(empty, samples, fit, quiet=json)
    problems = problems if made is empty else expect_valid(made, "k-NN model")
    agreement, samples_after = prove_knn(source, made, cut=cutting, first=first)
    content = model_bytes(made)
    target = None if dry_run else named
    if target is not None:
        write_model(made, target)
    done = Made(target, made, cutting, len(content), agreement, samples_after, [str(problem) for problem in problems])
    if json:
        say_json(done.as_json(), indent=1)
    else:
        say(*done.as_lines())


def _index(text: str) -> tuple[str, int]:
    kind, colon, leaf = text.partition(":")
    if kind not in ("linear", "kd-tree") or (colon and kind == "linear"):
        raise typer.BadParameter(f"--index {text}: expected linear, kd-tree, or kd-tree:leaf such as kd-tree:30")
    try:
        return kind, int(leaf) if colon else LEAF_SIZE
    except ValueError:
        raise typer.BadParameter(f"--index {text}: '{leaf}' is not an integer, expected one such as 30") from None


def _default_label(given: str | None, kind: LabelsKind) -> str | int:
    if kind is LabelsKind.STRING:
        return "unknown" if given is None else given
    if given is None:
        return -1
    try:
        number = int(given)
    except ValueError:
        number = 2**63
    if not -(2**63) <= number < 2**63:
        raise typer.BadParameter(f"--default-label {given}: expected a 64-bit integer, because the labels are int64")
    return number
