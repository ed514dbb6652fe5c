"""report.html of a model that never learns: what it is, what was proved of it, and why it stays as it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from coreml_updatable.data.inputs import Int64Array, UInt8Array
from coreml_updatable.publishing import wording
from coreml_updatable.publishing.report.pictures import data_uri, mask_uri
from coreml_updatable.text import on_page


@dataclass(frozen=True)
class Seen:
    """What both made of the proof's pictures: [n, height, width, 3], and a class for each pixel [n, height, width]."""

    pixels: UInt8Array
    source_classes: Int64Array
    model_classes: Int64Array


def frozen_page(report: Mapping[str, Any], sample: str, colors: Sequence[str], preview: str, seen: Seen | None) -> str:
    """The page as HTML, of ``report.json``'s fields; without ``seen`` no pictures. It asks nothing of the network."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, finalize=on_page, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "bytes": lambda size: wording.byte_count(size).replace(" ", "\u00a0"),
        "tiny": wording.tiny,
        "share": _share,
        "prose": wording.typographic,
    }
    here = files("coreml_updatable.publishing.report")
    template = environment.from_string((here / "frozen.html.j2").read_text(encoding="utf-8"))
    page: str = template.render(
        report=report,
        sample=sample,
        preview=preview,
        style=Markup((here / "report.css").read_text(encoding="utf-8")),
        rows=[] if seen is None else _rows(seen, colors),
        legend=_legend(report["labels"], colors, seen),
    )
    return page


def _rows(seen: Seen, colors: Sequence[str]) -> list[tuple[str, str, str]]:
    """Data URIs of a picture, of its source's mask, and of the model's."""
    return [
        (data_uri(pixels), mask_uri(source, colors), mask_uri(model, colors))
        for pixels, source, model in zip(seen.pixels, seen.source_classes, seen.model_classes, strict=True)
    ]


def _legend(labels: Sequence[str], colors: Sequence[str], seen: Seen | None) -> list[tuple[str, str, float]]:
    """Each label, its colour, and its share of the places on the proof's pictures."""
    counts = np.zeros(len(labels)) if seen is None else np.bincount(seen.model_classes.ravel(), minlength=len(labels))
    shares = counts / max(1, counts.sum())
    return [(label, color, float(share)) for label, color, share in zip(labels, colors, shares, strict=True)]


def _share(value: float) -> str:
    """In percent; what is not nothing, and not all, is not called so."""
    if 0 < value < 0.001:
        return "under 0.1%"
    return "over 99.9%" if 0.999 < value < 1 else f"{value:.1%}".replace(".0%", "%")
