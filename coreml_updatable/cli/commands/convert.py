"""`coreml-updatable convert SOURCE -o OUT`: a finished classifier from a framework's file as an updatable model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from coreml_updatable.cli.options import AsJson, HeadOption, Out, TrustCode, option
from coreml_updatable.cli.output import say, say_json
from coreml_updatable.cli.text import input_of, labels_of, numbers_of

if TYPE_CHECKING:
    from coreml_updatable.converting.finished import Finished


def convert(
    source: Annotated[
        Path, typer.Argument(help="File or folder of a framework, torchvision:NAME or timm:NAME.", show_default=False)
    ],
    out: Annotated[Out, option("The updatable model.")],
    converter: Annotated[
        str | None, typer.Option(help="Name of the converter; default: from the file extension.")
    ] = None,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="image:224x224, x:64 or ids:128:tokens; repeatable.")
    ] = None,
    labels: Annotated[str | None, typer.Option(help="Labels: a,b,c or @labels.txt with one per line.")] = None,
    pixels: Annotated[
        Literal["0..1", "0..255", "-1..1"] | None,
        typer.Option(help="Pixel range the source expects; default: its own, or 0..1."),
    ] = None,
    mean: Annotated[str | None, typer.Option(help="Mean of each channel, for pixels in 0..1.")] = None,
    std: Annotated[str | None, typer.Option(help="Standard deviation of each channel, for pixels in 0..1.")] = None,
    weights: Annotated[
        str | None, typer.Option(help="Weights of an architecture: a file, pretrained, a name, or random.")
    ] = None,
    architecture: Annotated[
        str | None, typer.Option(help="Network of a weights file: torchvision:NAME, timm:NAME or file.py:function.")
    ] = None,
    head: Annotated[HeadOption, typer.Option(help="new: replace the head with one new layer for --labels.")] = "keep",
    cut: Annotated[str | None, typer.Option(help="Module before which the feature extractor ends.")] = None,
    trust_code: TrustCode = False,
    answer: Annotated[
        str | None, typer.Option(help="Output with the classes, by name or index, if there are several.")
    ] = None,
    column: Annotated[
        int | None, typer.Option(min=0, help="Multi-label source: index of the label for a two-class model.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Convert a classifier to a Core ML model and make it updatable.

    The last layer of the result is updatable; `mark` changes which layers are trained, and how. Nothing is written
    unless its predictions agree with the source's and it breaks none of Apple's rules.
    """
    target = out.file()
    given = tuple(input_of(text) for text in inputs or ())
    names, means, deviations = labels_of(labels), numbers_of("--mean", mean), numbers_of("--std", std)

    from coreml_updatable.converting.choosing import convert_source
    from coreml_updatable.converting.contract import SourceRequest
    from coreml_updatable.spec.io import write_model

    request = SourceRequest(
        source,
        given,
        names,
        means,
        deviations,
        architecture=architecture or "",
        weights=weights or "",
        head=head,
        cut=cut or "",
        trust_code=trust_code,
        answer=answer or "",
        column=column,
    )
    done = convert_source(request, converter, pixels)
    write_model(done.finished.model, target)
    result = f"converter {done.converter}, because of {done.reason}" if done.reason else ""
    _tell(target, done.finished, done.converter, result, json=json)


def _tell(out: Path, made: "Finished", converter: str, told: str, *, json: bool) -> None:
    if json:
        report = {
            "model": str(out),
            "converter": converter,
            "updatable": made.updatable,
            "reference": made.reference,
            "rows": made.agreement.rows,
            "largest_difference": made.agreement.difference,
            "logits_difference": made.agreement.relative,
            "proved": made.agreement.proved,
            "notes": made.notes,
            "warnings": [str(problem) for problem in made.warnings],
            "facts": dict(made.facts),
        }
        say_json(report, indent=1)
        return
    lines = [*([told] if told else []), *made.notes]
    lines += [f"warning: {warning}" for warning in made.warnings]
    learns = f"{', '.join(made.updatable)} is updatable" if made.updatable else "it is updatable"
    compared = f"within {made.agreement.difference:.1g} of {made.reference}, on {made.agreement.rows} rows"
    if made.agreement.relative is not None and made.agreement.proved:
        compared += f", its logits within {made.agreement.relative:.1g} of their spread"
    lines.append(f"{out}: {learns}; its answers are {compared if made.agreement.rows else 'untouched'}")
    say(*lines)
