"""`coreml-updatable inspect FILE`: what Xcode's page of a model shows, in the terminal or as JSON."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coreml_updatable.cli.output import say_json, say_styled
from coreml_updatable.text import visible

if TYPE_CHECKING:
    from coreml_updatable.checking import Problem
    from coreml_updatable.spec.head_memory import HeadMemory
    from coreml_updatable.spec.parameters import Parameter
    from coreml_updatable.spec.summary import Feature, NearestNeighbors, Network, Summary, UpdateSummary


_GAP = "    "
_WIDEST = 60  # a longer cell does not push the next column further to the right


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """One line a row, its cells one below the other; whatever in a cell could steer the terminal is escaped."""
    cells = [[visible(cell) for cell in row] for row in rows]
    count = max((len(row) for row in cells), default=0)
    widths = [max((len(row[index]) for row in cells if index < len(row)), default=0) for index in range(count)]
    for row in cells:
        padded = (cell.ljust(min(widths[index], _WIDEST)) for index, cell in enumerate(row))
        yield f"  {_GAP.join(padded)}".rstrip()


_SHOWN_LAYERS = 60  # a longer network shows its first and last ones
_SHOWN_LABELS = 20
_SHOWN_PROBLEMS = 3  # of a rule
_SHOWN_NEWER = 3


class Title(str):
    """A highlighted line on a terminal."""

    __slots__ = ()


def page(name: str, summary: "Summary", problems: "Sequence[Problem]" = ()) -> Iterator[str]:
    """Yield Problems, General, Predictions, Update, Parameters, neighbors, layers; then each member of a pipeline."""
    yield Title(visible(name))
    if problems:
        yield from _section("Problems", [(sentence,) for sentence in _first(problems)])
    yield from _section("General", _general(summary))
    predictions = [*_features(summary.inputs, "input"), *_features(summary.outputs, "output")]
    yield from _section("Predictions", predictions)
    if summary.update is not None:
        yield from _section("Update", _features(summary.training_inputs, "training input"))
        yield from columns(_update(summary.update))
        yield from _section("Parameters", [_parameter(parameter) for parameter in summary.update.parameters])
    if summary.nearest_neighbors is not None:
        yield from _section("Nearest neighbors", _neighbors(summary.nearest_neighbors))
    if summary.facts:
        yield from _section(summary.kind, summary.facts)
    if summary.network is not None:
        yield from _section("Layers", list(_layers(summary.network)))
        yield f"  {visible(_totals(summary.network))}"
    for index, (member, inner) in enumerate(summary.members):
        yield ""
        yield from page(f"model{index} {member}".rstrip(), inner)


def _first(problems: "Sequence[Problem]") -> Iterator[str]:
    """Yield the problems in words, of each rule the first few: a broken file has hundreds."""
    for rule in dict.fromkeys(problem.rule for problem in problems):
        same = [problem for problem in problems if problem.rule == rule]
        yield from map(str, same[:_SHOWN_PROBLEMS])
        if len(same) > _SHOWN_PROBLEMS:
            yield f"… and {len(same) - _SHOWN_PROBLEMS} more of {rule}"


def _section(name: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield ""
    yield Title(visible(name))
    yield from columns(rows)


def _general(summary: "Summary") -> list[Sequence[str]]:
    rows = [
        ("Kind", f"{summary.kind}, {'updatable' if summary.updatable else 'not updatable'}"),
        ("Size", size(summary.bytes)),
        ("Availability", f"{summary.availability} (specification version {summary.specification_version})"),
        *(("", f"{what} needs version {version}") for what, version in summary.newer_contents[:_SHOWN_NEWER]),
        ("Description", summary.description),
        ("Author", summary.author),
        ("License", summary.license),
        ("Version", summary.version),
        *summary.user_defined,
    ]
    if summary.labels:
        shown = ", ".join(str(label) for label in summary.labels[:_SHOWN_LABELS])
        more = f", … ({len(summary.labels)} in all)" if len(summary.labels) > _SHOWN_LABELS else ""
        rows.append(("Class labels", shown + more))
    return [row for row in rows if row[1]]


def _features(features: "Sequence[Feature]", side: str) -> list[Sequence[str]]:
    return [(side, feature.name, feature.type, feature.description) for feature in features]


def _update(update: "UpdateSummary") -> list[Sequence[str]]:
    rows = [("Layers", ", ".join(update.layers)), ("Loss", update.loss), ("Optimizer", update.optimizer)]
    if update.memory is not None:
        rows.append(("Memory", _memory(update.memory)))
    return [row for row in rows if row[1]]


def _memory(memory: "HeadMemory") -> str:
    """Return the memory of the head during one update, and what is needed in addition."""
    known = (("weights", memory.weights), ("gradients", memory.gradients), ("optimizer", memory.optimizer))
    parts = [f"{name} {size(count)}" for name, count in known if count]
    if memory.activations is None:
        return f"{', '.join(parts)}; activations unknown, because a shape is not fixed"
    parts.append(f"activations {size(memory.activations)} at a mini-batch of {memory.mini_batch}")
    return f"at least {size(memory.total or 0)} ({', '.join(parts)}), plus the frozen layers"


def _parameter(parameter: "Parameter") -> Sequence[str]:
    if parameter.allowed is not None:
        allowed = f"one of {', '.join(map(str, parameter.allowed))}"
    elif parameter.range is not None:
        allowed = f"{_number(parameter.range[0])} to {_number(parameter.range[1])}"
    else:
        allowed = ""
    return parameter.name, _number(parameter.default), allowed


def _neighbors(neighbors: "NearestNeighbors") -> list[Sequence[str]]:
    per_label = ", ".join(f"{label}: {count}" for label, count in neighbors.samples_per_label)
    rows = [
        ("Neighbors (k)", f"{neighbors.neighbors.default}, {neighbors.weighting} weighting"),
        ("Index", f"{neighbors.index}, squared Euclidean distance, {neighbors.dimensions} dimensions"),
        ("Samples", f"{neighbors.samples} ({per_label})" if per_label else f"{neighbors.samples}"),
    ]
    if neighbors.default_label is not None:
        rows.append(("When empty", str(neighbors.default_label)))
    return list(rows)


def _layers(network: "Network") -> Iterator[Sequence[str]]:
    surplus = len(network.layers) - _SHOWN_LAYERS
    for index, layer in enumerate(network.layers):
        if surplus > 0 and index == _SHOWN_LAYERS // 2:
            yield (f"… {surplus} more",)
        if surplus > 0 and _SHOWN_LAYERS // 2 <= index < _SHOWN_LAYERS // 2 + surplus:
            continue
        shape = " × ".join("?" if length is None else str(length) for length in layer.shape or ())
        count = f"{layer.parameters:,}" if layer.parameters else ""
        yield layer.name, layer.kind, shape, count, "updatable" if layer.updatable else ""


def _totals(network: "Network") -> str:
    share = f", {network.updatable_parameters:,} updatable ({network.updatable_share:.2%}, {size(network.head_bytes)})"
    stored = f", {', '.join(network.weights)}" if network.weights else ""
    return f"{network.parameters:,} parameters{share if network.updatable_parameters else ''}{stored}"


def _number(value: float) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def size(count: int) -> str:
    """Bytes in the decimal units that Xcode and the App Store use."""
    if count < 1000:
        return f"{count} bytes"
    for unit, one in (("KB", 1e3), ("MB", 1e6)):
        if count < 1000 * one:
            return f"{count / one:.1f} {unit}"
    return f"{count / 1e9:.1f} GB"


def inspect(
    file: Annotated[Path, typer.Argument(help="An .mlmodel or .mlpackage.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show what Xcode shows about a model, and its layers.

    Problems that `check` finds come first. The exit status is 1 if one of them is an error, and 0 otherwise.
    """
    from dataclasses import asdict

    from coreml_updatable.checking import check
    from coreml_updatable.spec.io import read_model
    from coreml_updatable.spec.summary import summarize

    model = read_model(file)
    summary, problems = summarize(model), check(model)
    if json:
        say_json({**summary.to_json(), "problems": [asdict(problem) for problem in problems]}, indent=2)
    else:
        for line in page(file.name, summary, problems):
            say_styled((line, "bold" if isinstance(line, Title) else ""))
    raise typer.Exit(1 if any(problem.severity == "error" for problem in problems) else 0)
