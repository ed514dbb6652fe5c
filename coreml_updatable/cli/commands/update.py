"""`coreml-updatable update MODEL DATA -o NEW`: learn from rows as MLUpdateTask does."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.status import Status

from coreml_updatable.cli.assumptions import Assume, ChosenAssumptions, chosen
from coreml_updatable.cli.options import Out, PictureFit, option
from coreml_updatable.cli.output import console, note, say, say_json
from coreml_updatable.data.inputs import Fit
from coreml_updatable.data.rows.features import features_of
from coreml_updatable.data.rows.reading import named, training_rows
from coreml_updatable.errors import ModelError, UserError, located
from coreml_updatable.personalization.replay_file import SUFFIX, replay_rows
from coreml_updatable.personalization.wording import counted
from coreml_updatable.runtime import FrozenRow, RunnableModel, load, reference
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer
from coreml_updatable.spec.network import is_network, last_member, network_of
from coreml_updatable.spec.samples import sample_labels
from coreml_updatable.updating import UpdateContext, UpdateTask

if TYPE_CHECKING:
    from coreml_updatable.updating.task import UpdateContext


@dataclass(frozen=True)
class Changes:
    """``layers``: those whose weights differ. ``samples``: how many a k-NN has, by label; ``added``: of them, new."""

    layers: tuple[str, ...] = ()
    samples: int | None = None
    added: tuple[tuple[str, int], ...] = ()


def changes(before: Model, after: Model) -> Changes:
    before, after = last_member(before), last_member(after)
    if is_network(before):
        pairs = zip(network_of(before).layers, network_of(after).layers, strict=True)
        return Changes(tuple(str(new.name) for old, new in pairs if new.isUpdatable and _differ(old, new)))
    old = sample_labels(before.kNearestNeighborsClassifier)
    new = sample_labels(after.kNearestNeighborsClassifier)
    added = Counter(str(label) for label in new[len(old) :])
    return Changes(samples=len(new), added=tuple(added.items()))


def _differ(old: NeuralNetworkLayer, new: NeuralNetworkLayer) -> bool:
    return bool(old.SerializeToString(deterministic=True) != new.SerializeToString(deterministic=True))


Handler = Callable[["UpdateContext"], None]


@contextmanager
def event_handler(*, quiet: bool) -> Iterator[Handler]:
    """A handler of the task's events, for the time of the ``with`` block; it writes to standard error."""
    log = console(stderr=True)
    if quiet:
        yield lambda _context: None
    elif log.is_terminal:
        with log.status("reading rows") as status:
            yield _live(status)
    else:
        yield _line


def _live(status: Status) -> Handler:
    def on_event(context: "UpdateContext") -> None:
        if "lossValue" in context.metrics:
            batch = int(context.metrics.get("miniBatchIndex", -1)) + 1
            part = f"  batch {batch}" if batch else ""
            status.update(f"{_epoch(context)}{part}  loss {context.metrics['lossValue']:.6g}")

    return on_event


def _line(context: "UpdateContext") -> None:
    if context.event == "epochEnd":
        note(f"{_epoch(context)}  loss {context.metrics['lossValue']:.6g}")


def _epoch(context: "UpdateContext") -> str:
    return f"epoch {int(context.metrics['epochIndex']) + 1}/{context.parameters['epochs']}"


AT_A_TIME = 64
EPOCH_LOSS = {
    "last batch": "of the epoch's last mini-batch",
    "mean over batches": "mean over the epoch's mini-batches",
    "mean over rows": "mean over the epoch's rows",
}


@dataclass(frozen=True)
class Trained:
    """``losses``: lossValue of each epochEnd; none for a k-NN."""

    context: UpdateContext
    rows: int
    losses: list[float]
    changes: Changes
    under: ChosenAssumptions

    def as_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "parameters": dict(self.context.parameters),
            "epochs": [{"epochIndex": index, "lossValue": loss} for index, loss in enumerate(self.losses)],
            "layers": list(self.changes.layers),
            "samples": self.changes.samples,
            "added": dict(self.changes.added),
            "assumptions": asdict(self.under.assumptions),
            "probedOn": self.under.source or None,
        }

    def as_lines(self) -> list[str]:
        what = f"trained on {counted(self.rows, 'row')}"
        if self.losses:
            ends = f"loss {self.losses[0]:.4g} -> {self.losses[-1]:.4g}"
            what += (
                f" in {counted(len(self.losses), 'epoch')}, {ends} ({EPOCH_LOSS[self.under.assumptions.epoch_loss]})"
            )
        lines = [what]
        if self.losses:
            lines.append(f"layers changed: {', '.join(self.changes.layers) or 'none'}")
        if self.changes.samples is not None:
            listed = ", ".join(f"{count} {label}" for label, count in self.changes.added)
            lines.append(f"samples added: {listed}; the model has {self.changes.samples}")
        return [*lines, f"assumptions: {self.under}"]


def train(
    model: Path,
    data: Path,
    fit: Fit | None,
    parameters: Mapping[str, Any],
    under: ChosenAssumptions,
    *,
    replay: Path | None = None,
    quiet: bool,
) -> Trained:
    """Train the model in ``model`` on the rows of ``data``, and of ``replay`` behind them; a UserError names the row
    that cannot be trained."""
    runnable = load(model, assumptions=under.assumptions)
    names: list[str] = []
    losses: list[float] = []
    with event_handler(quiet=quiet) as tell:

        def on_event(context: UpdateContext) -> None:
            _expect_finite(context)
            if context.event == "epochEnd":
                losses.append(context.metrics["lossValue"])
            tell(context)

        rows = chain.from_iterable(_frozen(runnable, item, fit, names) for item in (data, replay) if item is not None)
        with located("model", model):
            task = UpdateTask(runnable, rows, parameters, on_event)
            try:
                context = task.resume()
            except UserError as error:
                raise named(error, names) from error
    return Trained(context, len(names), losses, changes(runnable.message, context.model.message), under)


def mixed_rows(data: Path, model: Model, fit: Fit | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Labeled rows by name: of a replay set that a build wrote, or of any file or folder that `update` takes."""
    return replay_rows(data) if data.name.endswith(SUFFIX) else training_rows(data, model, features_of(model, fit))


def _frozen(model: RunnableModel, data: Path, fit: Fit | None, names: list[str]) -> Iterator[FrozenRow]:
    """The rows after the frozen part, a block at a time; ``names`` grows as they come."""
    incoming = mixed_rows(data, model.message, fit)
    while block := list(islice(incoming, AT_A_TIME)):
        try:
            with reference():
                frozen = model.frozen([row for _, row in block])
        except UserError as error:
            raise named(error, [name for name, _ in block]) from error
        names += [name for name, _ in block]
        yield from frozen


def _expect_finite(context: UpdateContext) -> None:
    loss = context.metrics.get("lossValue", 0.0)
    if not math.isfinite(loss):
        epoch = int(context.metrics["epochIndex"]) + 1
        raise ModelError(
            f"update: the loss is {loss} in epoch {epoch}, so nothing was written; lower the learning rate"
        )


FLAGS = {
    "epochs": "epochs",
    "learning_rate": "learningRate",
    "mini_batch_size": "miniBatchSize",
    "momentum": "momentum",
    "seed": "seed",
    "shuffle": "shuffle",
    "neighbors": "numberOfNeighbors",
}


def update(
    model: Annotated[Path, typer.Argument(help="An updatable .mlmodel or .mlpackage.", show_default=False)],
    data: Annotated[
        Path,
        typer.Argument(
            help="Folder with one folder per class (pictures or .npy), or .json or .csv rows.", show_default=False
        ),
    ],
    out: Annotated[Out | None, option("The new model.")] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Replace the model file with the new model.")] = False,
    epochs: Annotated[int | None, typer.Option(help="Number of epochs.", show_default=False)] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Learning rate.", show_default=False)] = None,
    mini_batch_size: Annotated[int | None, typer.Option(help="Mini-batch size.", show_default=False)] = None,
    momentum: Annotated[float | None, typer.Option(help="Momentum of SGD.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed for shuffling.", show_default=False)] = None,
    shuffle: Annotated[
        bool | None, typer.Option("--shuffle/--no-shuffle", help="Shuffle the rows in each epoch.", show_default=False)
    ] = None,
    neighbors: Annotated[int | None, typer.Option(help="Number of neighbors of a k-NN.", show_default=False)] = None,
    parameter: Annotated[
        list[str] | None, typer.Option(help="Any MLParameterKey, as key=value; repeatable.", show_default=False)
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            help="Base examples that reduce forgetting: like DATA, or a NAME.replay.json.", show_default=False
        ),
    ] = None,
    assume: Assume = None,
    fit: PictureFit = None,
    json: Annotated[bool, typer.Option("--json", help="Print parameters, losses and changes as JSON.")] = False,
) -> None:
    """Train a model on rows as MLUpdateTask does.

    The default of each parameter is the model's own; values that the model does not allow are refused. The loss at the
    end of an epoch is that of its last mini-batch, as devices seem to report it; with `--assume epoch_loss="mean over
    rows"` it is the mean.
    """
    given = locals()
    target = _target(model, out, in_place=in_place)
    parameters = {key: given[flag] for flag, key in FLAGS.items() if given[flag] is not None}
    for key, value in map(_parameter, parameter or []):
        if key in parameters:
            raise typer.BadParameter(f"--parameter {key}={value}: {key} is given twice; omit one of them")
        parameters[key] = value

    from coreml_updatable.spec.cut_fractions import all_cut_outputs

    under = chosen(assume or [])
    trained = train(model, data, fit, parameters, under, replay=replay, quiet=json)
    trained.context.write(target)
    for cut in all_cut_outputs(trained.context.model.message):
        note(str(cut))
    if json:
        say_json({"model": str(target), **trained.as_json()}, indent=1)
    else:
        first, *more = trained.as_lines()
        say(f"{target}: {first}", *more)


def _target(model: Path, out: Out | None, *, in_place: bool) -> Path:
    if out is None and not in_place:
        raise typer.BadParameter("-o or --in-place is required; --in-place replaces MODEL")
    if out is None and model.is_dir():
        raise typer.BadParameter(f"--in-place: {model} is a package, which cannot be written; use -o NEW.mlmodel")
    if out is None:
        return model
    if out.path.resolve() == model.resolve():
        raise typer.BadParameter(f"-o {out.path} is MODEL itself; choose another file, or use --in-place")
    return out.file()


def _parameter(text: str) -> tuple[str, Any]:
    key, _, value = text.partition("=")
    if not key or not value:
        raise typer.BadParameter(f"--parameter {text}: expected key=value, such as learningRate=0.01")
    words: Mapping[str, Any] = {"true": True, "false": False}
    if value.lower() in words:
        return key, words[value.lower()]
    try:
        return key, float(value) if set(value) & set(".eEnN") else int(value)
    except ValueError:
        raise typer.BadParameter(f"--parameter {text}: '{value}' is neither a number nor true or false") from None
