"""`coreml-updatable update MODEL DATA -o NEW`: learn from rows as MLUpdateTask does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from coreml_updatable.cli.out import Out, option
from coreml_updatable.cli.output import note, say, say_json
from coreml_updatable.cli.rows.fit import Fit

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
        typer.Argument(help="A folder of class folders (pictures or .npy), or .json or .csv rows.", show_default=False),
    ],
    out: Annotated[Out | None, option("The new model.")] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Replace MODEL by the new model.")] = False,
    epochs: Annotated[int | None, typer.Option(show_default=False)] = None,
    learning_rate: Annotated[float | None, typer.Option(show_default=False)] = None,
    mini_batch_size: Annotated[int | None, typer.Option(show_default=False)] = None,
    momentum: Annotated[float | None, typer.Option(show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(show_default=False)] = None,
    shuffle: Annotated[bool | None, typer.Option("--shuffle/--no-shuffle", show_default=False)] = None,
    neighbors: Annotated[int | None, typer.Option(help="A k-NN's numberOfNeighbors.", show_default=False)] = None,
    parameter: Annotated[
        list[str] | None, typer.Option(help="Any MLParameterKey: key=value.", show_default=False)
    ] = None,
    variant: Annotated[
        list[str] | None, typer.Option(help="How a device learns: option=variant.", show_default=False)
    ] = None,
    fit: Annotated[Fit, typer.Option(help="How pictures of another size are made to fit.")] = Fit.CENTRE_CROP,
    json: Annotated[bool, typer.Option("--json", help="Print parameters, losses and changes as JSON.")] = False,
) -> None:
    """Train MODEL on the rows of DATA and write the personalized model.

    Parameters that are not given are the model's own defaults; values that it does not allow are refused. The loss told
    at the end of an epoch is that of its last mini-batch, as devices seem to tell it; `--variant epoch_loss="mean over
    rows"` tells the mean.
    """
    given = locals()
    target = _target(model, out, in_place=in_place)
    parameters = {key: given[flag] for flag, key in FLAGS.items() if given[flag] is not None}
    parameters.update(_parameter(text) for text in parameter or [])
    from coreml_updatable.cli.learnt import learn
    from coreml_updatable.cli.variants import chosen
    from coreml_updatable.spec.cut_fractions import all_cut_outputs

    variants = chosen(variant or [])
    learnt = learn(model, data, fit, parameters, variants, quiet=json)
    learnt.context.write(target)
    for cut in all_cut_outputs(learnt.context.model.message):
        note(str(cut))
    if json:
        say_json({"model": str(target), **learnt.as_json()}, indent=1)
    else:
        first, *more = learnt.as_lines()
        say(f"{target}: {first}", *more)


def _target(model: Path, out: Out | None, *, in_place: bool) -> Path:
    if (out is None) == (not in_place):
        raise typer.BadParameter("name the new model with -o NEW, or replace MODEL with --in-place")
    if out is None and model.is_dir():
        raise typer.BadParameter(
            f"--in-place: {model} is a package, which is read, not written; name the new model: -o NEW.mlmodel"
        )
    if out is None:
        return model
    if out.path.resolve() == model.resolve():
        raise typer.BadParameter(f"-o {out.path} is MODEL itself; name another file, or say --in-place")
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
