"""`coreml-updatable inspect FILE`: what Xcode's page of a model shows, in the terminal or as JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from coreml_updatable.spec.parameters import Parameter
    from coreml_updatable.spec.summary import Feature, NearestNeighbors, Network, Summary, Update

_SHOWN_LAYERS = 60  # a longer network shows its first and last ones
_SHOWN_LABELS = 20


def inspect(
    file: Annotated[Path, typer.Argument(help="An .mlmodel or .mlpackage.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show a model as Xcode does: General, Predictions, Update, Parameters, and its layers."""
    from coreml_updatable.spec.reading import read_model
    from coreml_updatable.spec.summary import summarize

    summary = summarize(read_model(file))
    if json:
        from json import dumps

        typer.echo(dumps(summary.to_json(), indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    console = Console(highlight=False)
    _show(console, file.name, summary)


def _show(console: "Console", title: str, summary: "Summary") -> None:
    from rich.rule import Rule

    console.print(Rule(f"[bold]{_plain(title)}[/bold]", align="left"))
    _general(console, summary)
    _predictions(console, summary)
    if summary.update is not None:
        _update(console, summary, summary.update)
    if summary.nearest_neighbors is not None:
        _neighbors(console, summary.nearest_neighbors)
    if summary.network is not None:
        _network(console, summary.network)
    for number, (name, member) in enumerate(summary.members):
        console.print()
        _show(console, f"model{number} {name}".rstrip(), member)


def _general(console: "Console", summary: "Summary") -> None:
    table = _table(console, "General")
    rows = {
        "Kind": f"{summary.kind}, {'updatable' if summary.updatable else 'not updatable'}",
        "Size": _size(summary.bytes),
        "Availability": f"{summary.availability} (specification version {summary.specification_version})",
        "Description": summary.description,
        "Author": summary.author,
        "License": summary.license,
        "Version": summary.version,
        **dict(summary.user_defined),
    }
    for name, text in rows.items():
        if text:
            table.add_row(_plain(name), _plain(text))
    if summary.labels:
        shown = ", ".join(str(label) for label in summary.labels[:_SHOWN_LABELS])
        more = f", … ({len(summary.labels)} in all)" if len(summary.labels) > _SHOWN_LABELS else ""
        table.add_row("Class labels", _plain(shown + more))
    console.print(table)


def _predictions(console: "Console", summary: "Summary") -> None:
    table = _table(console, "Predictions")
    for features, side in ((summary.inputs, "input"), (summary.outputs, "output")):
        for feature in features:
            _feature_row(table, feature, side)
    console.print(table)


def _update(console: "Console", summary: "Summary", update: "Update") -> None:
    table = _table(console, "Update")
    for feature in summary.training_inputs:
        _feature_row(table, feature, "training input")
    console.print(table)
    for name, text in (("Layers", ", ".join(update.layers)), ("Loss", update.loss), ("Optimizer", update.optimizer)):
        if text:
            console.print(f"  {name:<16}{_plain(text)}")
    parameters = _table(console, "Parameters")
    for parameter in update.parameters:
        parameters.add_row(parameter.name, _number(parameter.default), _allowed(parameter))
    console.print(parameters)


def _neighbors(console: "Console", neighbors: "NearestNeighbors") -> None:
    table = _table(console, "Nearest neighbors")
    table.add_row("Neighbors (k)", f"{neighbors.neighbors.default}, {neighbors.weighting} weighting")
    table.add_row("Index", f"{neighbors.index}, squared Euclidean distance, {neighbors.dimensions} dimensions")
    per_label = ", ".join(f"{label}: {count}" for label, count in neighbors.samples_per_label)
    table.add_row("Samples", _plain(f"{neighbors.samples} ({per_label})" if per_label else f"{neighbors.samples}"))
    if neighbors.default_label is not None:
        table.add_row("When empty", _plain(str(neighbors.default_label)))
    console.print(table)


def _network(console: "Console", network: "Network") -> None:
    table = _table(console, "Layers")
    surplus = len(network.layers) - _SHOWN_LAYERS
    for number, layer in enumerate(network.layers):
        if surplus > 0 and number == _SHOWN_LAYERS // 2:
            table.add_row(f"… {surplus} more")
        if surplus > 0 and _SHOWN_LAYERS // 2 <= number < _SHOWN_LAYERS // 2 + surplus:
            continue
        shape = " × ".join("?" if length is None else str(length) for length in layer.shape or ())
        count = f"{layer.parameters:,}" if layer.parameters else ""
        table.add_row(_plain(layer.name), layer.kind, shape, count, "updatable" if layer.updatable else "")
    console.print(table)
    share = f", {network.updatable_parameters:,} updatable ({network.updatable_share:.2%}, {_size(network.head_bytes)})"
    stored = ", ".join(network.weights)
    console.print(f"  {network.parameters:,} parameters{share if network.updatable_parameters else ''}, {stored}")


def _table(console: "Console", title: str) -> "Table":
    from rich.table import Table

    console.print(f"\n[bold cyan]{title}[/bold cyan]")
    return Table(box=None, show_header=False, padding=(0, 2), pad_edge=True)


def _feature_row(table: "Table", feature: "Feature", side: str) -> None:
    table.add_row(side, _plain(feature.name), feature.type, _plain(feature.description))


def _allowed(parameter: "Parameter") -> str:
    if parameter.allowed is not None:
        return f"one of {', '.join(map(str, parameter.allowed))}"
    if parameter.range is not None:
        return f"{_number(parameter.range[0])} to {_number(parameter.range[1])}"
    return ""


def _number(value: float) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _size(count: int) -> str:
    """Bytes in the decimal units that Xcode and the App Store use."""
    if count < 1000:
        return f"{count} bytes"
    for unit, one in (("KB", 1e3), ("MB", 1e6)):
        if count < 1000 * one:
            return f"{count / one:.1f} {unit}"
    return f"{count / 1e9:.1f} GB"


def _plain(text: str) -> str:
    """Text of a file, shown as it is: no markup, no control characters that would reach the terminal."""
    from rich.markup import escape

    return escape("".join(character if character.isprintable() else "�" for character in text))
