"""`coreml-updatable predict MODEL INPUT...`: what the model answers, as Core ML would."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from coreml_updatable.cli.assumptions import Assume, chosen
from coreml_updatable.cli.options import PictureFit
from coreml_updatable.cli.output import complain, console, note, say, say_json
from coreml_updatable.cli.without_effect import refuse
from coreml_updatable.errors import DataError
from coreml_updatable.spec.messages import Model
from coreml_updatable.text import MAX_QUOTED, MAX_WORD, shortened, visible

if TYPE_CHECKING:
    from rich.table import Table

    from coreml_updatable.data.rows.features import Features
    from coreml_updatable.runtime import RunnableModel


SHOWN = 3  # probabilities, unless another number is asked for
SOUND_SHOWN = 5
RATE = 16_000  # of sounds, in Hz
VALUES_SHOWN = 4  # of an array
FAR = 0.01  # from Core ML: as far as golden vectors allow
AS_TEXT = 160  # bytes of a number while it is written as JSON
NamedRow = tuple[str, dict[str, Any]]


def plain(answer: Mapping[str, Any], top: int | None) -> dict[str, Any]:
    """An answer as values that JSON has; of dictionaries the ``top`` greatest, or all."""
    return {name: _plain(value, top) for name, value in answer.items()}


def _plain(value: Any, top: int | None) -> Any:
    import numpy as np
    from PIL import Image

    from coreml_updatable import bounds

    if isinstance(value, Mapping):
        return {str(label): _plain(share, top) for label, share in _greatest(value, top or len(value))}
    if isinstance(value, np.ndarray | Image.Image):
        bounds.expect(AS_TEXT * np.asarray(value).size, f"a prediction of {np.asarray(value).size} values as JSON")
        array = np.asarray(value)
        if array.dtype.kind in "biu" or (array.dtype.kind == "f" and np.isfinite(array).all()):
            return array.tolist()  # at once: one by one, a million numbers take seconds
        return _plain(array.tolist(), top)
    if isinstance(value, list | tuple):
        return [_plain(element, top) for element in value]
    if isinstance(value, np.generic):
        return _plain(value.item(), top)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def table(model: Model, answers: Sequence[tuple[str, Mapping[str, str]]], room: int) -> "Table":
    """Input in ``room`` columns, then what each output shows; for a classifier its label first."""
    from rich.table import Column, Table
    from rich.text import Text

    outputs = [str(feature.name) for feature in model.description.output]
    label = str(model.description.predictedFeatureName)
    outputs.sort(key=lambda name: name != label)
    # The first column is never folded, so that no part of a name begins a line.
    first = Column("input", no_wrap=True, overflow="ellipsis")
    result = Table(first, *(Column(Text(_named(name))) for name in outputs), box=None, pad_edge=False)
    for name, answer in answers:
        result.add_row(Text(visible(shortened(name, room))), *(Text(answer.get(output, "")) for output in outputs))
    return result


def _short(value: Any, top: int | None) -> str:
    import numpy as np
    from PIL import Image

    if isinstance(value, Mapping):
        return ", ".join(f"{_named(label)} {share:.3f}" for label, share in _greatest(value, top or SHOWN))
    if isinstance(value, Image.Image):
        return f"picture {value.width}x{value.height}"
    if isinstance(value, np.ndarray):
        shown = ", ".join(f"{number:.4g}" for number in value.ravel()[:VALUES_SHOWN])
        return f"{list(value.shape)} {shown}" + (", ..." if value.size > VALUES_SHOWN else "")
    return f"{value:.4g}" if isinstance(value, float) else _named(value)


def _greatest(shares: Mapping[Any, Any], count: int) -> list[tuple[Any, Any]]:
    """Largest first; equal ones stay in the model's order."""
    return sorted(shares.items(), key=lambda share: -share[1])[:count]


def _named(value: Any) -> str:
    return visible(shortened(str(value), MAX_QUOTED))


@dataclass(frozen=True)
class Listening:
    """``heard``: what was done to each sound."""

    rate: int
    hop: float | None
    heard: dict[Path, list[str]]


def _is_of_sounds(features: "Features", path: Path) -> bool:
    if features.has_pictures:
        return False
    from coreml_updatable.data.rows.sounds import is_sound, sounds_in

    return bool(sounds_in(path)) if path.is_dir() else is_sound(path)


def _clips(
    model: "RunnableModel", paths: Iterator[Path], features: "Features", listening: Listening, faults: list[str]
) -> Iterator[NamedRow]:
    """One answer for each sound, the mean over its windows."""
    from coreml_updatable.data.rows.sounds import clip_rows, sounds_in
    from coreml_updatable.runtime.io.averaging import mean_answer

    hop = None if listening.hop is None else max(1, round(listening.hop * listening.rate))
    for path in paths:
        for file in sounds_in(path) if path.is_dir() else [path]:
            try:
                rows, changes = clip_rows(file, features, listening.rate, hop)
                answer = mean_answer(model.message, model.predict(rows))
            except DataError as error:
                faults.append(str(error) if str(error).startswith(str(file)) else f"{file}: {error}")
                continue
            listening.heard[file] = [f"{len(rows)} windows" if len(rows) > 1 else "1 window", *changes]
            yield str(file), answer


AT_A_TIME = 256  # rows, and fewer where their answers are large
ANSWER_BYTES = 2**26
VOTERS = ("kNearestNeighborsClassifier", "pipeline", "pipelineClassifier")  # may hold one


def predict(
    model: Annotated[Path, typer.Argument(help="An .mlmodel or .mlpackage.", show_default=False)],
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Pictures, sounds, .npy, .json or .csv files, or folders of pictures, sounds or .npy.",
            show_default=False,
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per row.")] = False,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of probabilities to show, largest first.",
            show_default="3, 5 of a sound, or all with --json",
        ),
    ] = None,
    fit: PictureFit = None,
    rate: Annotated[
        int | None,
        typer.Option(min=1000, max=768_000, help="For sounds: the model's sample rate, in Hz.", show_default=str(RATE)),
    ] = None,
    hop: Annotated[
        float | None,
        typer.Option(
            min=0.001, help="For sounds: seconds between windows.", show_default="half a window; 0.48 for YAMNet"
        ),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(help="Folder for pictures: a segmentation's labels over the input, or a filter's output."),
    ] = None,
    assume: Assume = None,
    other: Annotated[
        Literal["coreml"] | None,
        typer.Option("--with", help="Compare with Core ML itself; on a Mac only.", show_default=False),
    ] = None,
) -> None:
    """Run a model and print its predictions.

    A sound of any length, rate and number of channels is cut into windows; the prediction is the mean over the windows.

    With `--with coreml`, print the difference from Core ML's own predictions; the exit status is 1 if a number differs
    by more than 0.01.

    An input that cannot be read is reported, and the others are still run; the exit status is then 1.

    With --json, each object has the model's outputs and the keys "input" (the file, or the row in it) and "engine". If
    the model has an output with one of these names, the key is "input_" or "engine_".
    """
    from coreml_updatable.data.rows.features import features_of, kind
    from coreml_updatable.runtime import load
    from coreml_updatable.spec.cut_fractions import all_cut_outputs

    result = chosen(assume or [], to_predict=True)
    runnable = load(model, assumptions=result.assumptions)
    features = features_of(runnable.message, fit)
    faults: list[str] = []
    sounds = any(_is_of_sounds(features, path) for path in inputs)
    for option, value in {"--rate": rate, "--hop": hop}.items():
        if value is not None and not sounds:
            refuse(option, "without sounds")
    if top is not None and all(kind(feature) != "dictionaryType" for feature in runnable.message.description.output):
        refuse("--top", "because the model outputs no probabilities")
    if other == "coreml":
        raise typer.Exit(_compare(runnable, _read(inputs, features, faults), faults, json=json))
    heard: dict[Path, list[str]] = {}
    answers: Iterator[NamedRow] = chain.from_iterable(
        _clips(runnable, files, features, Listening(rate or RATE, hop, heard), faults)
        if of_sounds
        else _answers(runnable, _read(list(files), features, faults), faults)
        for of_sounds, files in groupby(inputs, partial(_is_of_sounds, features))
    )
    if overlay is not None:
        answers = _overlaid(runnable.message, answers, overlay, features)
    top = SOUND_SHOWN if top is None and not json and sounds else top
    answered = _print_lines(runnable, answers, top) if json else _print_table(runnable, answers, top)
    if answered and not json and runnable.engine and not runnable.engine.startswith("torch"):
        note(f"engine: {runnable.engine}")
    if answered and features.resized:
        note(f"pictures of another size: {features.fit}")
    note(*(f"{path}: {', '.join(changes)}" for path, changes in heard.items()))
    if result.named and runnable.message.WhichOneof("Type") in VOTERS:
        note(f"assumptions: {result}")
    for cut in all_cut_outputs(runnable.message) if answered else ():
        note(str(cut))
    for sentence in faults:
        complain(sentence)
    raise typer.Exit(1 if faults else 0)


def _compare(model: "RunnableModel", rows: Iterator[NamedRow], faults: list[str], *, json: bool) -> int:
    """The exit status."""
    from coreml_updatable.runtime.coreml import coreml_runtime, largest_difference

    theirs, largest = coreml_runtime(model.message), 0.0
    for name, row in rows:
        off = largest_difference(model.predict([row])[0], theirs(row))
        largest = max(largest, off)
        if json:
            say_json({"input": name, "difference": off if math.isfinite(off) else None})
        else:
            say(f"{name}: largest difference {off:.2g}")
    for sentence in faults:
        complain(sentence)
    return int(bool(faults) or largest > FAR)


def _read(paths: list[Path], features: "Features", faults: list[str]) -> Iterator[NamedRow]:
    from coreml_updatable.data.rows.reading import rows_of, sources

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


def _answers(model: "RunnableModel", rows: Iterator[NamedRow], faults: list[str]) -> Iterator[NamedRow]:
    """Rows run together; where one of them cannot, each runs alone, so that only it is left out."""
    from coreml_updatable.data.rows.reading import named

    count = 1  # the first row alone tells how large answers are
    while block := list(islice(rows, count)):
        try:
            result = model.predict([row for _, row in block])
        except DataError:
            for name, row in block:
                try:
                    yield name, model.predict([row])[0]
                except DataError as error:
                    faults.append(str(named(error, [name])))
        else:
            count = min(AT_A_TIME, max(1, ANSWER_BYTES // max(1, *(_size(answer) for answer in result))))
            yield from ((name, answer) for (name, _), answer in zip(block, result, strict=True))


def _overlaid(model: Model, answers: Iterator[NamedRow], folder: Path, features: "Features") -> Iterator[NamedRow]:
    """Each answer, after its picture with the labels over it, or the one that it holds, is written into ``folder``."""
    from io import BytesIO

    from coreml_updatable.data.rows.pictures import picture_of
    from coreml_updatable.files import write_atomically
    from coreml_updatable.runtime.io.overlay import overlay

    feature = features.the_picture("--overlay")
    taken: set[Path] = set()
    for name, answer in answers:
        result = overlay(model, picture_of(Path(name), feature, features), answer)
        path, index = folder / f"{Path(name).stem}.png", 1
        while path in taken:
            index += 1
            path = folder / f"{Path(name).stem}-{index}.png"
        taken.add(path)
        content = BytesIO()
        result.picture.save(content, "PNG")
        write_atomically(path, content.getvalue())
        shares = ", ".join(f"{label} {share:.0%}" for label, share in list(result.shares.items())[:SOUND_SHOWN])
        note(f"{path}: {shares}" if shares else str(path))
        yield name, answer


def _size(answer: Mapping[str, Any]) -> int:
    """Bytes of the arrays in an answer."""
    return sum(int(getattr(value, "nbytes", 0)) for value in answer.values())


def free_key(model: Model, key: str) -> str:
    """Return an additional key for a row's outputs: "input" or "engine", longer if an output has that name."""
    taken = {str(feature.name) for feature in model.description.output}
    while key in taken:
        key += "_"
    return key


def _print_lines(model: "RunnableModel", answers: Iterator[NamedRow], top: int | None) -> int:
    """How many lines were printed. Each names the engine that ran the network, if there is one."""
    key, engine = free_key(model.message, "input"), free_key(model.message, "engine")
    count = 0
    for name, answer in answers:
        ran = {engine: model.engine} if model.engine else {}
        say_json({key: name, **plain(answer, top), **ran})
        count += 1
    return count


def _print_table(model: "RunnableModel", answers: Iterator[NamedRow], top: int | None) -> int:
    """How many rows were printed. What a row shows is kept, not its answer."""
    shown = [(name, {output: _short(value, top) for output, value in answer.items()}) for name, answer in answers]
    if shown:
        terminal = console()
        room = terminal.width // 2 if terminal.is_terminal else MAX_WORD
        terminal.print(table(model.message, shown, room))
    return len(shown)
