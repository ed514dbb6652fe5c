"""`coreml-updatable knn EXTRACTOR -o OUT`: a model that learns by remembering, on any extractor."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from coreml_updatable.cli.out import Out, option
from coreml_updatable.cli.output import say, say_json
from coreml_updatable.cli.parameter_text import whole
from coreml_updatable.cli.rows.fit import Fit

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
        typer.Argument(help="An .mlmodel file: a network that answers a vector, or a classifier.", show_default=False),
    ],
    out: Annotated[Out | None, option("The k-NN model.")] = None,
    samples: Annotated[
        Path | None,
        typer.Option(help="A folder of class folders (pictures, or .npy arrays), or .json or .csv rows."),
    ] = None,
    neighbors: Annotated[str, typer.Option(help="default:range or set.")] = "3:1..15",
    weighting: Annotated[Weighting, typer.Option(help="How neighbours vote.")] = Weighting.INVERSE,
    index: Annotated[str, typer.Option(help="linear, kd-tree or kd-tree:leaf.")] = "linear",
    labels_kind: Annotated[LabelsKind, typer.Option(help="What the labels are.")] = LabelsKind.STRING,
    default_label: Annotated[
        str | None, typer.Option(help="The answer while nothing is remembered.", show_default="unknown, or -1")
    ] = None,
    label: Annotated[str | None, typer.Option(help="Name of the label's output.", show_default=False)] = None,
    probabilities: Annotated[str | None, typer.Option(help="Name of the probabilities' output.")] = None,
    cut: Annotated[
        bool | None,
        typer.Option(
            "--cut/--whole",
            help="Cut before the last layer, or take the network as it is.",
            show_default="cut where there is a softmax",
        ),
    ] = None,
    fit: Annotated[Fit, typer.Option(help="How pictures of another size are made to fit.")] = Fit.CENTRE_CROP,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Put a k-nearest-neighbours classifier that can be updated behind EXTRACTOR.

    Nothing is written unless the embedding is the extractor's, the first sample finds itself, an update adds what it
    is given, and no rule of Apple's is broken.
    """
    if out is None and not dry_run:
        raise typer.BadParameter("name the new model with -o OUT, or say --dry-run to see what would be done")
    named = None if out is None else out.file()
    from coreml_updatable.marking.settings import KNNSettings

    kind, leaf = _index(index)
    schemes = {Weighting.UNIFORM: "uniform", Weighting.INVERSE: "inverse-distance"}
    settings = KNNSettings(
        whole("--neighbors", neighbors), schemes[weighting], kind, leaf, _default_label(default_label, labels_kind)
    )

    from coreml_updatable.building.twin_proof import prove_twin
    from coreml_updatable.cli.judged import judged
    from coreml_updatable.cli.remembered import Report, remembered
    from coreml_updatable.errors import located
    from coreml_updatable.marking import has_head, twin
    from coreml_updatable.spec.reading import read_model
    from coreml_updatable.spec.writing import model_bytes, write_model

    source = read_model(extractor)
    cutting = has_head(source) if cut is None else cut
    with located("extractor", extractor):
        empty = twin(source, settings, label=label, probabilities=probabilities, cut=cutting)
    made, first = (empty, None) if samples is None else remembered(empty, samples, fit, quiet=json)
    proof = prove_twin(source, made, cut=cutting, first=first)
    warnings = judged(made, "k-NN model")
    content = model_bytes(made)
    target = None if dry_run else named
    if target is not None:
        write_model(made, target)
    report = Report(target, made, cutting, len(content), proof, warnings)
    if json:
        say_json(report.as_json(), indent=1)
    else:
        say(*report.as_lines())


def _index(text: str) -> tuple[str, int]:
    kind, colon, leaf = text.partition(":")
    if kind not in ("linear", "kd-tree") or (colon and kind == "linear"):
        raise typer.BadParameter(f"--index {text}: expected linear, kd-tree, or kd-tree:leaf such as kd-tree:30")
    try:
        return kind, int(leaf) if colon else LEAF_SIZE
    except ValueError:
        raise typer.BadParameter(f"--index {text}: '{leaf}' is no whole number, expected one such as 30") from None


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
        raise typer.BadParameter(
            f"--default-label {given}: expected a whole number of 64 bits, as the labels are int64"
        )
    return number
