"""`coreml-updatable diff A B`: what changed in meaning between two models."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coreml_updatable.cli.output import say, say_json

if TYPE_CHECKING:
    from coreml_updatable.spec.diff.layers import FieldChange, LayerChange, LayerChanges, WeightChange
    from coreml_updatable.spec.diff.models import ModelDifference, SampleChanges

_SHOWN = 40  # of each kind of change; --json has them all


def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="An .mlmodel or .mlpackage.", show_default=False)],
    after: Annotated[
        Path, typer.Argument(metavar="B", help="An .mlmodel or .mlpackage to compare it with.", show_default=False)
    ],
    json: Annotated[bool, typer.Option("--json", help="Print every change as JSON.")] = False,
) -> None:
    """Show what changed between two models.

    The exit status is 0 if both mean the same (all values are equal, however they are stored), and 1 if they differ.
    """
    from coreml_updatable.spec.diff.models import difference, sentence
    from coreml_updatable.spec.io import read_model

    result = difference(read_model(before), read_model(after))
    if json:
        report = {"same": result.same, "sentence": sentence(result), **result.to_json()}
        say_json(report, indent=2)
    else:
        say(f"{before} → {after}: {sentence(result)}", *_lines(result))
    raise typer.Exit(0 if result.same else 1)


def _lines(found: "ModelDifference") -> Iterator[str]:
    yield from _changes("Description", found.description)
    yield from _changes("Labels", found.labels)
    yield from _changes("Parameters", found.parameters)
    yield from _changes("Settings", found.settings)
    yield from _layers(found.layers)
    if found.samples is not None:
        yield from _samples(found.samples)
    for name, member in found.members:
        lines = list(_lines(member))
        if lines:
            yield f"Model {name}"
            yield from (f"  {line}" for line in lines)


def _changes(title: str, changes: "Sequence[FieldChange]") -> Iterator[str]:
    if changes:
        yield title
        yield from _cut(
            [f"  {change.what}: {change.before or 'none'} → {change.after or 'none'}" for change in changes]
        )


def _layers(layers: "LayerChanges") -> Iterator[str]:
    lines = [f"  removed: {name}" for name in layers.removed] + [f"  added: {name}" for name in layers.added]
    lines += ["  the same layers in a different order"] if layers.reordered else []
    lines += [line for layer in layers.changed for line in _layer(layer)]
    if lines:
        yield "Layers"
        yield from _cut(lines)


def _layer(layer: "LayerChange") -> Iterator[str]:
    title = f"  {layer.name} ({layer.kind}{', updatable' if layer.updatable else ''})"
    for change in layer.settings:
        yield f"{title} {change.what}: {change.before or 'none'} → {change.after or 'none'}"
    for weights in layer.weights:
        yield f"{title} {weights.field}: {_weights(weights)}"


def _weights(change: "WeightChange") -> str:
    stored = f"{change.before} → {change.after}"
    match change.kind:
        case "stored":
            return f"stored differently ({stored}), the same {change.values:,} values"
        case "count":
            return f"a different number of values, now {change.values:,}"
        case "fields":
            return f"the same {change.values:,} values ({change.before}), with other quantization or storage fields"
        case "unreadable":
            return f"different bytes ({stored}), which cannot be decoded"
    moved = f"norm of the change {change.norm:.4g}"
    if change.relative is not None:
        moved += f" ({change.relative:.3%} of the old norm)"
    moved += f", largest {change.largest:.4g}, {change.values:,} values"
    if change.not_finite:
        moved += f", {change.not_finite:,} of them NaN or infinite"
    if change.kind == "rounded":
        return f"rounded to their new storage ({stored}), {moved}"
    return moved if change.before == change.after else f"{moved}, {stored}"


def _samples(samples: "SampleChanges") -> Iterator[str]:
    yield f"Samples: {samples.before} → {samples.after}"
    if samples.reordered:
        yield "  the same samples in a different order"
    lines = []
    for change in samples.labels:
        counts = ((change.added, "added"), (change.removed, "removed"))
        lines.append(f"  {change.label}: {', '.join(f'{count} {word}' for count, word in counts if count)}")
    yield from _cut(lines)


def _cut(lines: list[str]) -> Iterator[str]:
    yield from lines[:_SHOWN]
    if len(lines) > _SHOWN:
        yield f"  … {len(lines) - _SHOWN} more (--json has them all)"
