"""`coreml-updatable knn EXTRACTOR -o OUT`: a k-NN classifier on any feature extractor."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from coreml_updatable.cli.options import AsJson, DryRun, Out, PictureFit, expect_out, option
from coreml_updatable.cli.output import say, say_json
from coreml_updatable.cli.progress import watched
from coreml_updatable.cli.text import int64_parameter
from coreml_updatable.data.rows.features import features_of
from coreml_updatable.data.rows.reading import training_rows
from coreml_updatable.marking import sample_counts
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import pipeline_of
from coreml_updatable.spec.samples import nearest_neighbors_of

if TYPE_CHECKING:
    from coreml_updatable.converting.neighbors import ProvedKNN


def as_json(proved: "ProvedKNN", path: Path | None, size: int, *, cut: bool) -> dict[str, Any]:
    result = proved.model
    return {
        "model": None if path is None else str(path),
        "bytes": size,
        "extractor": "cut before the head" if cut else "as it is",
        "embedding": {"name": str(pipeline_of(result).models[0].description.output[0].name), "length": _length(result)},
        "outputs": [str(feature.name) for feature in result.description.output],
        "samples": [{"label": label, "count": count} for label, count in sample_counts(result).items()],
        "largest_difference": proved.agreement.difference,
        "proved": proved.agreement.proved,
        "notes": list(proved.agreement.notes),
        "warnings": [str(problem) for problem in proved.warnings],
    }


def as_lines(proved: "ProvedKNN", path: Path | None, size: int, *, cut: bool) -> list[str]:
    counts = sample_counts(proved.model)
    listed = ", ".join(f"{count} {label}" for label, count in counts.items())
    what = "cut before its head" if cut else "as it is"
    features = f"its {_length(proved.model)} features agree within {proved.agreement.difference:.1g}"
    return [
        *(f"warning: {problem}" for problem in proved.warnings),
        *proved.agreement.notes,
        f"extractor: {what}; {features}",
        f"samples: {listed}; the first sample finds itself"
        if counts
        else "samples: none yet; it predicts its default label",
        f"update: with one more row, it has {proved.samples_after} samples",
        f"{'nothing written' if path is None else path}: {size:,} bytes",
    ]


def _length(model: Model) -> int:
    return int(nearest_neighbors_of(model).nearestNeighborsIndex.numberOfDimensions)


LEAF_SIZE = 30


LabelsKind: TypeAlias = Literal["string", "int64"]


def knn(
    extractor: Annotated[
        Path, typer.Argument(help="An .mlmodel: a classifier, or a network that outputs a vector.", show_default=False)
    ],
    out: Annotated[Out | None, option("The k-NN model.")] = None,
    samples: Annotated[
        Path | None, typer.Option(help="Folder with one folder per class (pictures or .npy), or .json or .csv rows.")
    ] = None,
    neighbors: Annotated[str, typer.Option(help="Number of neighbors, as default:range or default:set.")] = "3:1..15",
    weighting: Annotated[Literal["uniform", "inverse"], typer.Option(help="How neighbors vote.")] = "inverse",
    index: Annotated[str, typer.Option(help="Search index: linear, kd-tree or kd-tree:LEAFSIZE.")] = "linear",
    labels_kind: Annotated[LabelsKind, typer.Option(help="Type of the labels.")] = "string",
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
    fit: PictureFit = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Build an updatable k-NN classifier on a feature extractor.

    Nothing is written unless the embedding equals the extractor's output, the first sample is its own nearest neighbor,
    an update adds exactly the given samples, and the model breaks none of Apple's rules.
    """
    expect_out(out, dry_run=dry_run)
    named = None if out is None else out.file()
    from coreml_updatable.marking.settings import KNNSettings

    kind, leaf = _index(index)
    scheme = "uniform" if weighting == "uniform" else "inverse-distance"
    settings = KNNSettings(
        int64_parameter("--neighbors", neighbors), scheme, kind, leaf, _default_label(default_label, labels_kind)
    )

    from coreml_updatable.converting.neighbors import filled_and_proved
    from coreml_updatable.errors import located
    from coreml_updatable.marking import has_head, knn_variant
    from coreml_updatable.spec.io import model_bytes, read_model, write_model

    source = read_model(extractor)
    cutting = has_head(source) if cut is None else cut
    with located("extractor", extractor):
        empty = knn_variant(source, settings, label=label, probabilities=probabilities, cut=cutting)
    if samples is None:
        proved = filled_and_proved(source, empty, cut=cutting)
    else:
        with watched(quiet=json) as progress, located("samples", samples):
            rows = training_rows(
                samples,
                empty,
                features_of(empty, fit),
                lambda done, of: progress("samples", min(0.99, done / of), f"{done} of {of} files"),
            )
            proved = filled_and_proved(source, empty, rows, cut=cutting)
            progress("samples", 1.0, f"{sum(sample_counts(proved.model).values())} embedded")
    content = model_bytes(proved.model)
    target = None if dry_run else named
    if target is not None:
        write_model(proved.model, target)
    if json:
        say_json(as_json(proved, target, len(content), cut=cutting), indent=1)
    else:
        say(*as_lines(proved, target, len(content), cut=cutting))


def _index(text: str) -> tuple[str, int]:
    kind, colon, leaf = text.partition(":")
    if kind not in ("linear", "kd-tree") or (colon and kind == "linear"):
        raise typer.BadParameter(f"--index {text}: expected linear, kd-tree, or kd-tree:leaf such as kd-tree:30")
    try:
        return kind, int(leaf) if colon else LEAF_SIZE
    except ValueError:
        raise typer.BadParameter(f"--index {text}: '{leaf}' is not an integer, expected one such as 30") from None


def _default_label(given: str | None, kind: LabelsKind) -> str | int:
    if kind == "string":
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
