"""`coreml-updatable mark IN -o OUT`: make a model's last layers updatable."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from coreml_updatable.cli.commands import layout as layouts
from coreml_updatable.cli.options import AsJson, DryRun, HeadOption, Out, expect_out
from coreml_updatable.cli.options import option as out_option
from coreml_updatable.cli.output import say, say_json
from coreml_updatable.cli.text import double_parameter, int64_parameter

if TYPE_CHECKING:
    from coreml_updatable.marking.losses import Loss
    from coreml_updatable.spec.messages import Model


_QUICK = 0.01  # the share from which on 5 to 10 photos do, as measured in docs/marking.md
_SLOW = (
    "with this share, a reserved label needs many shots; with --reserved-share 0.01, 5 to 10 are enough "
    "(docs/marking.md has the figures)"
)


@dataclass(frozen=True)
class Marking:
    model: str | None  # the file written, if any
    repairs: tuple[str, ...]
    updatable: tuple[str, ...]
    reserved_labels: tuple[str, ...] | tuple[int, ...]
    reserved_added: int  # of them, by this marking
    reserved_share: float | None  # what these may take of an answer until one is trained; None: too little to show
    new_head: bool
    largest_difference: float  # in probability; where the head is new, of the same marking with the old one
    warnings: tuple[str, ...]
    advice: tuple[str, ...] = ()
    proved: bool = True  # False where the answers are the same on all rows
    notes: tuple[str, ...] = ()  # on what the proof is worth

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def as_lines(self) -> list[str]:
        lines = [*self.repairs, *(f"warning: {warning}" for warning in self.warnings)]
        are = "is" if len(self.updatable) == 1 else "are"
        begin, verb = (self.model, are) if self.model is not None else ("nothing written", "would be")
        if self.reserved_labels:
            span = (
                f"{len(self.reserved_labels)} reserved labels, {self.reserved_labels[0]} to {self.reserved_labels[-1]}"
            )
            lines.append(f"{span}; none is predicted before it is trained{self._share()}")
        lines += self.advice
        lines += self.notes
        names, within = ", ".join(self.updatable), f"{self.largest_difference:.1g}"
        if self.new_head:
            lines.append(
                f"{begin}: {names} {verb} updatable and new; with the old weights, predictions agree within {within}"
            )
        else:
            lines.append(f"{begin}: {names} {verb} updatable; predictions agree within {within}")
        return lines

    def _share(self) -> str:
        if not self.reserved_share:
            return ""
        some = (
            "all take"
            if self.reserved_added == len(self.reserved_labels)
            else f"the {self.reserved_added} added may take"
        )
        return f", and {some} at most {self.reserved_share:.1g} of the probability"


_LOSSES: dict[str, "Loss"] = {  # the fields of LossLayer in the format, and short for them
    "categorical_cross_entropy": "categorical_cross_entropy",
    "mean_squared_error": "mean_squared_error",
    "ce": "categorical_cross_entropy",
    "mse": "mean_squared_error",
}


def mark(
    model: Annotated[
        Path,
        typer.Argument(
            help="An .mlmodel: a network, a GLM classifier, or a pipeline ending in one.", show_default=False
        ),
    ],
    out: Annotated[Out | None, out_option("The updatable model; for --layout split, its stem or a folder.")] = None,
    layers: Annotated[list[str] | None, typer.Option(help="Layers to train: a,b; repeatable.")] = None,
    last: Annotated[int | None, typer.Option(help="Number of layers before the softmax to train; default: 1.")] = None,
    optimizer: Annotated[Literal["sgd", "adam"], typer.Option(help="Optimizer of an update.")] = "sgd",
    learning_rate: Annotated[
        str | None, typer.Option(help="Default: 0.01:0.0001..1 (Adam 0.001, --reserved 0.03).")
    ] = None,
    mini_batch: Annotated[
        str | None, typer.Option(help="default:range or default:set; default: 8:1,2,4,8,16 (with --reserved: 1).")
    ] = None,
    epochs: Annotated[str, typer.Option(help="Number of epochs, as default:range or default:set.")] = "10:1..100",
    momentum: Annotated[str | None, typer.Option(help="Momentum of SGD; default: 0:0..1.")] = None,
    beta1: Annotated[str | None, typer.Option(help="Beta 1 of Adam; default: 0.9:0..1.")] = None,
    beta2: Annotated[str | None, typer.Option(help="Beta 2 of Adam; default: 0.999:0..1.")] = None,
    eps: Annotated[str | None, typer.Option(help="Epsilon of Adam; default: 1e-8:0..1.")] = None,
    loss: Annotated[
        Literal["categorical_cross_entropy", "mean_squared_error", "ce", "mse"] | None,
        typer.Option(help="Loss; default: the one that fits the model."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed for shuffling and for a new head.")] = None,
    shuffle: Annotated[bool, typer.Option("--shuffle/--no-shuffle", help="Shuffle the rows in each epoch.")] = True,
    labels: Annotated[str | None, typer.Option(help="Labels of a plain network, or new labels: a,b,c.")] = None,
    reserved: Annotated[int, typer.Option(help="Number of reserved labels, named user0, user1 and so on.")] = 0,
    reserved_share: Annotated[
        float | None, typer.Option(help="Total probability of reserved labels: 6e-8; 0.01 needs fewer shots.")
    ] = None,
    head: Annotated[HeadOption, typer.Option(help="new: start from new weights in the trained layers.")] = "keep",
    input_name: Annotated[str | None, typer.Option("--input", help="New name of the input.")] = None,
    label: Annotated[str | None, typer.Option("--label-name", "--label", help="New name of the label output.")] = None,
    probabilities: Annotated[
        str | None,
        typer.Option("--probabilities-name", "--probabilities", help="New name of the probabilities output."),
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="single, pipeline or split; pipeline:16 or split:8 rounds the extractor.")
    ] = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Make the last layers of a model updatable.

    Layers after the head that prevent an update are repaired. Nothing is written unless all probabilities stay within
    1e-5 of those before, and the model breaks none of Apple's rules.
    """
    expect_out(out, dry_run=dry_run)
    wanted = layouts.parse_layout(layout)
    paths = [] if out is None else layouts.targets(out, wanted.to if wanted else "single", model.stem)
    from coreml_updatable.checking import expect_valid
    from coreml_updatable.cli import text as name_list
    from coreml_updatable.converting.marked import marked_and_proved
    from coreml_updatable.errors import located
    from coreml_updatable.marking.outputs import HIDDEN
    from coreml_updatable.marking.settings import Adam, UpdateSettings, usual_sgd
    from coreml_updatable.spec.io import read_model
    from coreml_updatable.spec.network import class_labels, is_network, last_member, network_of
    from coreml_updatable.spec.reserved_labels import reserved_labels

    before = read_model(model)
    have = len(reserved_labels(before))
    new = head == "new"
    stay = not (new and labels)  # a new head with labels has those alone
    kept_free = reserved or (have if stay else 0)
    usual = usual_sgd(kept_free) if optimizer == "sgd" else Adam()
    texts = {"learning_rate": learning_rate, "momentum": momentum, "beta1": beta1, "beta2": beta2, "eps": eps}
    asked: dict[str, Any] = {
        name: double_parameter(f"--{name.replace('_', '-')}", text) for name, text in texts.items() if text is not None
    }
    if mini_batch is not None:
        asked["mini_batch_size"] = int64_parameter("--mini-batch", mini_batch)
    settings = UpdateSettings(replace(usual, **asked), int64_parameter("--epochs", epochs), shuffle, seed)
    share = HIDDEN if reserved_share is None else reserved_share
    learner = last_member(before)
    known = {str(layer.name) for layer in network_of(learner).layers} if is_network(learner) else set()
    given = name_list.labels(labels, class_labels(learner)) if labels is not None else None

    def expect(marked: "Model") -> None:
        expect_valid(marked, "marked model")
        layouts.expect_layout(marked, wanted)

    with located("model", model):
        result, proof = marked_and_proved(
            before,
            settings,
            expect,
            layers=name_list.names("--layers", layers, known) if layers else None,
            last=1 if last is None else last,
            labels=given,
            label=label,
            probabilities=probabilities,
            input=input_name,
            reserved=reserved,
            reserved_share=share,
            head=head,
            loss=None if loss is None else _LOSSES[loss],
        )
    warnings = [str(problem) for problem in expect_valid(result.model, "marked model")]
    laid = layouts.lay_out(result.model, wanted)
    written = [] if dry_run else paths
    layouts.write(laid.models if laid else [result.model], written)
    free = reserved_labels(result.model)
    added = len(free) - (0 if new else have)
    done = Marking(
        model=str(written[0]) if written else None,
        repairs=tuple(result.repairs),
        updatable=tuple(str(layer.name) for layer in network_of(last_member(result.model)).layers if layer.isUpdatable),
        reserved_labels=free,
        reserved_added=added,
        reserved_share=reserved_share if added else None,
        new_head=new,
        largest_difference=proof.difference,
        warnings=tuple(warnings),
        advice=(_SLOW,) if added and (reserved_share or 0.0) < _QUICK else (),
        proved=proof.proved,
        notes=proof.notes,
    )
    if json:
        say_json({**done.as_json(), **({"layout": layouts.as_json(laid, written)} if laid else {})}, indent=1)
    else:
        say(*done.as_lines(), *(layouts.as_lines(laid, written) if laid else []))
