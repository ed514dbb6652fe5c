"""`coreml-updatable layout IN... --to LAYOUT -o OUT`: one network, a pipeline, or an extractor and its head."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast, get_args

import typer

from coreml_updatable.cli.options import AsJson, DryRun, Out, expect_out, option
from coreml_updatable.cli.output import say, say_json

if TYPE_CHECKING:
    from coreml_updatable.converting.layouts import Laid
    from coreml_updatable.spec.messages import Model

HEAD = "Head"  # behind the extractor's name


Layout: TypeAlias = Literal["single", "pipeline", "split"]
Bits: TypeAlias = Literal["32", "16", "8"]


def layout(
    files: Annotated[
        list[Path],
        typer.Argument(help="An updatable model, or the extractor and the head of a split.", show_default=False),
    ],
    to: Annotated[Layout, typer.Option(help="One network, a pipeline in one file, or two files.", show_default=False)],
    out: Annotated[Out | None, option("The new model; for a split, its stem or a folder such as app/.")] = None,
    bits: Annotated[
        Bits | None, typer.Option(help="Bits of the frozen extractor's weights.", show_default="unchanged")
    ] = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Convert between a single network, a pipeline and a split.

    A split consists of NAME.mlmodel, which an app loads once, and NAMEHead.mlmodel, the only file that an update loads.
    Nothing is written unless probabilities stay the same (within 1e-6; 0.01 with 16 bits, 0.1 with 8 bits), an update
    gives the same head, and the result breaks none of Apple's rules.
    """
    expect_out(out, dry_run=dry_run)
    paths = [] if out is None else targets(out, to, _stem(files))
    from coreml_updatable.converting.layouts import laid_out
    from coreml_updatable.errors import located
    from coreml_updatable.spec.io import read_model

    with located("model", files[0] if len(files) == 1 else "model"):
        laid = laid_out([read_model(path) for path in files], to, None if bits is None else int(bits))
    written = [] if dry_run else paths
    write(laid.models, written)
    if json:
        say_json(as_json(laid, written), indent=1)
    else:
        say(*as_lines(laid, written))


def targets(out: Out, to: Layout, name: str) -> list[Path]:
    """The files to write; BadParameter for a folder where one file is meant. ``name``: in a folder, that of a split."""
    return out.files(name, ("", HEAD)) if to == "split" else [out.file()]


def write(models: Sequence["Model"], paths: list[Path]) -> None:
    """All of them, or none."""
    from coreml_updatable.spec.io import write_models

    if paths:
        write_models(dict(zip(paths, models, strict=True)))


@dataclass(frozen=True)
class LayoutOption:
    """The value of ``mark --layout``; ``bits`` None keeps the weights unchanged."""

    to: Layout
    bits: int | None


def parse_layout(text: str | None) -> LayoutOption | None:
    """``split``, ``pipeline:16`` and the like; BadParameter for anything else."""
    if text is None:
        return None
    name, colon, bits = text.partition(":")
    if name not in get_args(Layout) or (colon and bits not in get_args(Bits)):
        raise typer.BadParameter(f"--layout {text}: expected single, pipeline or split, or with bits: pipeline:16")
    return LayoutOption(cast(Layout, name), int(bits) if colon else None)


def expect_layout(model: "Model", wanted: LayoutOption | None) -> None:
    """The errors of ``lay_out`` for a model that cannot be laid out so; nothing runs."""
    if wanted is not None:
        from coreml_updatable.converting.layouts import arrange

        arrange([model], wanted.to, wanted.bits)


def lay_out(model: "Model", wanted: LayoutOption | None) -> "Laid | None":
    """``model`` laid out as wanted; None where nothing is."""
    if wanted is None:
        return None
    from coreml_updatable.converting.layouts import laid_out

    return laid_out([model], wanted.to, wanted.bits)


def as_json(laid: "Laid", paths: list[Path]) -> dict[str, Any]:
    return {
        "models": [str(path) for path in paths],
        "bits": laid.bits,
        "bytes": {name: list(sizes) for name, sizes in laid.sizes.items()},
        "largest_difference": {
            "answers": laid.agreement.difference,
            "updated_head": laid.heads,
            "features": laid.agreement.relative,
        },
        "proved": laid.agreement.proved,
        "notes": list(laid.agreement.notes),
        "warnings": [str(warning) for warning in laid.warnings],
    }


def as_lines(laid: "Laid", paths: list[Path]) -> list[str]:
    lines = [f"warning: {warning}" for warning in laid.warnings]
    lines += [f"{name:<9} {' + '.join(f'{size:,}' for size in sizes)} bytes" for name, sizes in laid.sizes.items()]
    lines += laid.agreement.notes
    lines.append(
        f"answers within {laid.agreement.difference:.1g} of those before, an updated head within {laid.heads:.1g}, "
        f"features within {laid.agreement.relative:.1g}; the extractor has {laid.bits} bits"
    )
    lines.append(f"{' and '.join(map(str, paths))} written" if paths else "nothing written")
    return lines


def _stem(files: list[Path]) -> str:
    """The extractor's name, where a split is given."""
    first = files[0].stem
    return files[1].stem if len(files) == 2 and first == f"{files[1].stem}{HEAD}" else first
