"""`coreml-updatable predict MODEL INPUT...`: what the model answers, as Core ML would."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coreml_updatable.cli.output import complain, console, note, say_json
from coreml_updatable.cli.rows.fit import Fit
from coreml_updatable.errors import DataError
from coreml_updatable.text import MAX_WORD

if TYPE_CHECKING:
    from coreml_updatable.cli.rows.features import Features
    from coreml_updatable.runtime import RunnableModel

AT_A_TIME = 256
VOTERS = ("kNearestNeighborsClassifier", "pipeline", "pipelineClassifier")  # may hold one
Named = tuple[str, dict[str, Any]]


def predict(
    model: Annotated[Path, typer.Argument(help="An .mlmodel or .mlpackage.", show_default=False)],
    inputs: Annotated[
        list[Path], typer.Argument(help="Pictures, .npy, .json, .csv, folders of pictures or .npy.", show_default=False)
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a row.")] = False,
    top: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many probabilities to show, the greatest first.", show_default="3, all with --json"
        ),
    ] = None,
    fit: Annotated[Fit, typer.Option(help="How pictures of another size are made to fit.")] = Fit.CENTRE_CROP,
    variant: Annotated[
        list[str] | None, typer.Option(help="How neighbours vote: option=variant.", show_default=False)
    ] = None,
) -> None:
    """Run MODEL on every INPUT and print its answers.

    What can not be read is named, the rest is answered; exit status 1 then.
    """
    from coreml_updatable.cli.rows.features import features_of
    from coreml_updatable.cli.variants import chosen
    from coreml_updatable.runtime import load
    from coreml_updatable.spec.cut_fractions import all_cut_outputs

    variants = chosen(variant or [])
    runnable = load(model, variants=variants.voting)
    features = features_of(runnable.message, fit)
    faults: list[str] = []
    answers = _answers(runnable, _read(inputs, features, faults), faults)
    answered = _print_lines(answers, top) if json else _print_table(runnable, list(answers), top)
    if answered and features.resized:
        note(f"pictures of another size: {fit.value}")
    if variants.named and runnable.message.WhichOneof("Type") in VOTERS:
        note(f"variants: {variants}")
    for cut in all_cut_outputs(runnable.message) if answered else ():
        note(str(cut))
    for sentence in faults:
        complain(sentence)
    raise typer.Exit(1 if faults else 0)


def _read(paths: list[Path], features: "Features", faults: list[str]) -> Iterator[Named]:
    from coreml_updatable.cli.rows.reading import rows_of, sources

    for path in paths:
        try:
            files = sources(path, features)
        except DataError as error:
            faults.append(str(error))
            continue
        for file in files:
            try:
                yield from rows_of(file, features)
            except DataError as error:
                faults.append(str(error))
            except OSError as error:
                faults.append(f"{file}: {error.strerror or error}; check the path and its permissions")


def _answers(model: "RunnableModel", rows: Iterator[Named], faults: list[str]) -> Iterator[Named]:
    """Rows run together; where one of them can not, each runs alone, so that only it is left out."""
    from coreml_updatable.cli.rows.naming import named

    while block := list(islice(rows, AT_A_TIME)):
        try:
            found = model.predict([row for _, row in block])
        except DataError:
            for name, row in block:
                try:
                    yield name, model.predict([row])[0]
                except DataError as error:
                    faults.append(str(named(error, [name])))
        else:
            yield from ((name, answer) for (name, _), answer in zip(block, found, strict=True))


def _print_lines(answers: Iterator[Named], top: int | None) -> int:
    """How many lines were printed."""
    from coreml_updatable.cli.answers import plain

    count = 0
    for name, answer in answers:
        say_json({"input": name, **plain(answer, top)})
        count += 1
    return count


def _print_table(model: "RunnableModel", answers: list[Named], top: int | None) -> int:
    from coreml_updatable.cli.answers import table

    if answers:
        terminal = console()
        room = terminal.width // 2 if terminal.is_terminal else MAX_WORD
        terminal.print(table(model.message, answers, top, room))
    return len(answers)
