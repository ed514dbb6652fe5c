"""A k-NN filled with samples from files, and what is told of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coreml_updatable.building.embedding import embedded
from coreml_updatable.building.twin_proof import Proof
from coreml_updatable.cli.progress import watched
from coreml_updatable.cli.rows.features import Features, features_of, target_of
from coreml_updatable.cli.rows.fit import Fit
from coreml_updatable.cli.rows.naming import named
from coreml_updatable.cli.rows.reading import labelled_files, labelled_rows, rows_of
from coreml_updatable.conversion import Progress
from coreml_updatable.errors import DataError, UserError
from coreml_updatable.marking import sample_counts, with_samples
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import pipeline_of
from coreml_updatable.spec.samples import nearest_neighbors_of

Named = tuple[str, dict[str, Any]]


def remembered(empty: Model, data: Path, fit: Fit, *, quiet: bool) -> tuple[Model, dict[str, Any]]:
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
            labels.append(row[target])
            names.append(name)
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
            raise DataError(f"{data}: holds no rows; give at least one, or leave --samples out")
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
class Report:
    """What was made, and what proves it. ``path`` is None where nothing was written."""

    path: Path | None
    made: Model
    cut: bool
    size: int
    proof: Proof
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
            "largest_difference": self.proof.difference,
            "warnings": self.warnings,
        }

    def as_lines(self) -> list[str]:
        counts = sample_counts(self.made)
        listed = ", ".join(f"{count} {label}" for label, count in counts.items())
        what = "cut before its head" if self.cut else "as it is"
        return [
            *(f"warning: {warning}" for warning in self.warnings),
            f"extractor: {what}; its {self._length()} features are the same within {self.proof.difference:.1g}",
            f"samples: {listed}; the first finds itself"
            if counts
            else "samples: none yet, it answers its default label",
            f"update: one row more makes {self.proof.samples}",
            f"{'nothing written' if self.path is None else self.path}: {self.size:,} bytes",
        ]

    def _length(self) -> int:
        return int(nearest_neighbors_of(self.made).nearestNeighborsIndex.numberOfDimensions)
