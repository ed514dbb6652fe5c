"""`coreml-updatable mark IN -o OUT`: make a classifier's last layers updatable."""

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coreml_updatable.cli.parameter_text import real, whole

if TYPE_CHECKING:
    from coreml_updatable.spec.messages import Model


class Optimizer(StrEnum):
    SGD = "sgd"
    ADAM = "adam"


_LEARNING_RATE = {Optimizer.SGD: "0.01:0.0001..1", Optimizer.ADAM: "0.001:0.00001..1"}


def mark(
    model: Annotated[Path, typer.Argument(help="An .mlmodel file with a classifier network.", show_default=False)],
    out: Annotated[Path | None, typer.Option("-o", "--output", help="The updatable model.", show_default=False)] = None,
    layers: Annotated[list[str] | None, typer.Option(help="The layers to train: a,b or again for more.")] = None,
    last: Annotated[int, typer.Option(help="How many layers before the softmax to train.")] = 1,
    optimizer: Annotated[Optimizer, typer.Option()] = Optimizer.SGD,
    learning_rate: Annotated[str | None, typer.Option(help="0.01:0.0001..1 by default (Adam: 0.001).")] = None,
    mini_batch: Annotated[str, typer.Option(help="default:range or set.")] = "8:1,2,4,8,16",
    epochs: Annotated[str, typer.Option(help="default:range or set.")] = "10:1..100",
    momentum: Annotated[str, typer.Option(help="Of SGD.")] = "0:0..1",
    beta1: Annotated[str, typer.Option(help="Of Adam.")] = "0.9:0..1",
    beta2: Annotated[str, typer.Option(help="Of Adam.")] = "0.999:0..1",
    eps: Annotated[str, typer.Option(help="Of Adam.")] = "1e-8:0..1",
    seed: Annotated[int | None, typer.Option(help="Of shuffling.", show_default=False)] = None,
    shuffle: Annotated[bool, typer.Option("--shuffle/--no-shuffle")] = True,
    labels: Annotated[str | None, typer.Option(help="a,b,...: of a plain network, or new ones.")] = None,
    input_name: Annotated[str | None, typer.Option("--input", help="Name of the input.")] = None,
    label: Annotated[str | None, typer.Option("--label-name", "--label", help="Name of the label's output.")] = None,
    probabilities: Annotated[
        str | None,
        typer.Option("--probabilities-name", "--probabilities", help="Name of the probabilities' output."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Repair the tail of MODEL, mark layers updatable, and prove that its answers have not changed.

    Nothing is written unless the answers agree within 1e-5 in probability and no rule of Apple's is broken.
    """
    if out is None and not dry_run:
        raise typer.BadParameter("name the new model with -o OUT, or say --dry-run to see what would be done")
    if out is not None and out.is_dir():
        raise typer.BadParameter(f"-o {out} is a folder; name a file in it")
    from coreml_updatable.marking.settings import SGD, Adam, UpdateSettings

    rate = real("--learning-rate", learning_rate or _LEARNING_RATE[optimizer])
    batch = whole("--mini-batch", mini_batch)
    chosen: SGD | Adam
    if optimizer is Optimizer.SGD:
        chosen = SGD(rate, batch, real("--momentum", momentum))
    else:
        chosen = Adam(rate, batch, real("--beta1", beta1), real("--beta2", beta2), real("--eps", eps))
    settings = UpdateSettings(chosen, whole("--epochs", epochs), shuffle, seed)

    from coreml_updatable.building.unchanged import unchanged
    from coreml_updatable.cli import name_list
    from coreml_updatable.marking import marked
    from coreml_updatable.spec.network import class_labels, is_network, last_member, network_of
    from coreml_updatable.spec.reading import read_model
    from coreml_updatable.spec.writing import write_model

    before = read_model(model)
    learner = last_member(before)
    known = {str(layer.name) for layer in network_of(learner).layers} if is_network(learner) else set()
    given = name_list.labels(labels, class_labels(learner)) if labels is not None else None
    made = marked(
        before,
        settings,
        layers=name_list.names("--layers", layers, known) if layers else None,
        last=last,
        labels=given,
        label=label,
        probabilities=probabilities,
        input=input_name,
    )
    difference = unchanged(before, made.model)
    warnings = _judged(made.model)
    target = None if dry_run else out
    if target is not None:
        write_model(made.model, target)
    _tell(target, made.model, made.repairs, difference, warnings, json=json)


def _judged(made: "Model") -> list[str]:
    """The warnings of the rules; a ModelError for the first thing that Apple's compiler would reject."""
    from coreml_updatable.checking import check
    from coreml_updatable.errors import ModelError

    problems = check(made)
    for problem in problems:
        if problem.severity == "error":
            raise ModelError(f"marked model: {problem}; nothing was written")
    return [str(problem) for problem in problems]


def _tell(
    out: Path | None, made: "Model", repairs: Sequence[str], difference: float, warnings: list[str], *, json: bool
) -> None:
    from coreml_updatable.spec.network import last_member, network_of

    trained = [str(layer.name) for layer in network_of(last_member(made)).layers if layer.isUpdatable]
    if json:
        from json import dumps

        report = {
            "model": None if out is None else str(out),
            "repairs": list(repairs),
            "updatable": trained,
            "largest_difference": difference,
            "warnings": warnings,
        }
        sys.stdout.write(dumps(report, indent=1, ensure_ascii=False) + "\n")
        return
    lines = [*repairs, *(f"warning: {warning}" for warning in warnings)]
    begin, end = ("nothing written", "would be") if out is None else (str(out), "is")
    lines.append(f"{begin}: {', '.join(trained)} {end} updatable; answers within {difference:.1g} of those before")
    text = "\n".join("".join(one if one.isprintable() else "�" for one in line) for line in lines)
    sys.stdout.write(text + "\n")
