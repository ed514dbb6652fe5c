"""`coreml-updatable mark IN -o OUT`: make a model's last layers updatable."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from coreml_updatable.cli import layout as layouts
from coreml_updatable.cli.out import Out
from coreml_updatable.cli.out import option as out_option
from coreml_updatable.cli.output import say, say_json
from coreml_updatable.cli.parameter_text import real, whole

if TYPE_CHECKING:
    from coreml_updatable.spec.messages import Model


class Optimizer(StrEnum):
    SGD = "sgd"
    ADAM = "adam"


class Head(StrEnum):
    KEEP = "keep"
    NEW = "new"


class Loss(StrEnum):
    """The fields of ``LossLayer`` of the format, and short for them."""

    CROSS_ENTROPY = "categorical_cross_entropy"
    SQUARED_ERROR = "mean_squared_error"
    CE = "ce"
    MSE = "mse"


_FIELDS: dict[Loss, Literal["categorical_cross_entropy", "mean_squared_error"]] = {
    Loss.CROSS_ENTROPY: "categorical_cross_entropy",
    Loss.SQUARED_ERROR: "mean_squared_error",
    Loss.CE: "categorical_cross_entropy",
    Loss.MSE: "mean_squared_error",
}
_LEARNING_RATE = {Optimizer.SGD: "0.01:0.0001..1", Optimizer.ADAM: "0.001:0.00001..1"}
_FOR_SPARE = {**_LEARNING_RATE, Optimizer.SGD: "0.03:0.0001..1"}  # they have a longer way to go; see docs/marking.md


def mark(
    model: Annotated[
        Path,
        typer.Argument(
            help="An .mlmodel: a network (classifier, regressor, plain), a GLM classifier, a pipeline ending in one.",
            show_default=False,
        ),
    ],
    out: Annotated[Out | None, out_option("The updatable model; of --layout split, its stem or a folder.")] = None,
    layers: Annotated[list[str] | None, typer.Option(help="The layers to train: a,b or again for more.")] = None,
    last: Annotated[int | None, typer.Option(help="How many layers before the softmax to train; 1 by default.")] = None,
    optimizer: Annotated[Optimizer, typer.Option()] = Optimizer.SGD,
    learning_rate: Annotated[
        str | None, typer.Option(help="0.01:0.0001..1 by default (Adam 0.001, --spare 0.03).")
    ] = None,
    mini_batch: Annotated[
        str | None, typer.Option(help="default:range or set; 8:1,2,4,8,16 by default (with --spare 1).")
    ] = None,
    epochs: Annotated[str, typer.Option(help="default:range or set.")] = "10:1..100",
    momentum: Annotated[str | None, typer.Option(help="Of SGD; 0:0..1 by default.")] = None,
    beta1: Annotated[str | None, typer.Option(help="Of Adam; 0.9:0..1 by default.")] = None,
    beta2: Annotated[str | None, typer.Option(help="Of Adam; 0.999:0..1 by default.")] = None,
    eps: Annotated[str | None, typer.Option(help="Of Adam; 1e-8:0..1 by default.")] = None,
    loss: Annotated[Loss | None, typer.Option(help="That of the model's kind by default.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of shuffling, and of a new head.")] = None,
    shuffle: Annotated[bool, typer.Option("--shuffle/--no-shuffle")] = True,
    labels: Annotated[str | None, typer.Option(help="a,b,...: of a plain network, or new ones.")] = None,
    spare: Annotated[int, typer.Option(help="Outputs in all to reserve for labels to come: user0, user1 ...")] = 0,
    spare_share: Annotated[
        float | None, typer.Option(help="What they may take of an answer: 6e-8; 0.01 learns from fewer photos.")
    ] = None,
    head: Annotated[Head, typer.Option(help="new: the trained layers forget what they knew.")] = Head.KEEP,
    input_name: Annotated[str | None, typer.Option("--input", help="Name of the input.")] = None,
    label: Annotated[str | None, typer.Option("--label-name", "--label", help="Name of the label's output.")] = None,
    probabilities: Annotated[
        str | None,
        typer.Option("--probabilities-name", "--probabilities", help="Name of the probabilities' output."),
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="single, pipeline or split; pipeline:16 or split:8 rounds the extractor.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Repair the tail of MODEL, mark layers updatable, and prove that its answers have not changed.

    Nothing is written unless the answers agree within 1e-5 in probability and no rule of Apple's is broken.
    """
    if out is None and not dry_run:
        raise typer.BadParameter("name the new model with -o OUT, or say --dry-run to see what would be done")
    if layers and last is not None:
        raise typer.BadParameter("--layers and --last both say what is trained; name one of them")
    if spare_share is not None and not spare:
        raise typer.BadParameter("--spare-share is of the outputs that --spare N adds; say how many, or leave it out")
    foreign = (
        {"--momentum": momentum} if optimizer is Optimizer.ADAM else {"--beta1": beta1, "--beta2": beta2, "--eps": eps}
    )
    for option, value in foreign.items():
        if value is not None:
            raise typer.BadParameter(f"{option} is no parameter of {optimizer.value}; leave it out")
    wanted = layouts.asked_for(layout)
    paths = [] if out is None else layouts.targets(out, wanted.to if wanted else layouts.Layout.SINGLE, model.stem)
    from coreml_updatable.building.marked_and_proved import marked_and_proved
    from coreml_updatable.cli import name_list
    from coreml_updatable.cli.marking_told import told
    from coreml_updatable.errors import located
    from coreml_updatable.marking.settings import SGD, Adam, UpdateSettings
    from coreml_updatable.marking.spare import HIDDEN
    from coreml_updatable.spec.network import class_labels, is_network, last_member, network_of
    from coreml_updatable.spec.reading import read_model
    from coreml_updatable.spec.spare_labels import spare_labels

    before = read_model(model)
    have = len(spare_labels(before))
    stay = not (head is Head.NEW and labels)  # a new head with labels has those alone
    slots = spare or (have if stay else 0)
    rate = real("--learning-rate", learning_rate or (_FOR_SPARE if slots else _LEARNING_RATE)[optimizer])
    batch = whole("--mini-batch", mini_batch or f"{1 if slots else 8}:1,2,4,8,16")
    chosen: SGD | Adam
    if optimizer is Optimizer.SGD:
        chosen = SGD(rate, batch, real("--momentum", momentum or "0:0..1"))
    else:
        decays = real("--beta1", beta1 or "0.9:0..1"), real("--beta2", beta2 or "0.999:0..1")
        chosen = Adam(rate, batch, *decays, real("--eps", eps or "1e-8:0..1"))
    settings = UpdateSettings(chosen, whole("--epochs", epochs), shuffle, seed)
    share = HIDDEN if spare_share is None else spare_share
    learner = last_member(before)
    known = {str(layer.name) for layer in network_of(learner).layers} if is_network(learner) else set()
    given = name_list.labels(labels, class_labels(learner)) if labels is not None else None
    with located("model", model):
        made, difference = marked_and_proved(
            before,
            settings,
            layers=name_list.names("--layers", layers, known) if layers else None,
            last=1 if last is None else last,
            labels=given,
            label=label,
            probabilities=probabilities,
            input=input_name,
            spare=spare,
            spare_share=share,
            head=head.value,
            loss=None if loss is None else _FIELDS[loss],
        )
    warnings = _judged(made.model)
    laid = layouts.made(made.model, wanted)
    written = [] if dry_run else paths
    layouts.write(laid.models if laid else [made.model], written)
    target = str(written[0]) if written else None
    new = head is Head.NEW
    done = told(
        made.model, target, made.repairs, difference, warnings, new_head=new, spare_before=have, spare_share=spare_share
    )
    if json:
        say_json({**done.as_json(), **({"layout": layouts.as_json(laid, written)} if laid else {})}, indent=1)
    else:
        say(*done.as_lines(), *(layouts.as_lines(laid, written) if laid else []))


def _judged(made: "Model") -> list[str]:
    """The warnings of the rules; a ModelError for the first thing that Apple's compiler would reject."""
    from coreml_updatable.checking import check
    from coreml_updatable.errors import ModelError

    problems = check(made)
    for problem in problems:
        if problem.severity == "error":
            raise ModelError(f"marked model: {problem}; nothing was written")
    return [str(problem) for problem in problems]
