"""The pages of a catalogue: one that lists all models, and one a model."""

import base64
import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from coreml_updatable.personalization.results import Comparison
from coreml_updatable.personalization.statistics import MeasuredAccuracy, wilson
from coreml_updatable.personalization.wording import Words, counted, listed, words_for
from coreml_updatable.publishing.catalogue.build_report import REPORT, BuildReport, read_published_report
from coreml_updatable.publishing.catalogue.devices import device_table
from coreml_updatable.publishing.catalogue.index import Accuracy as Measured
from coreml_updatable.publishing.catalogue.index import Entry, File, Index, ModelFile, Release
from coreml_updatable.publishing.catalogue.names import release_folder
from coreml_updatable.publishing.catalogue.release import EXAMPLES
from coreml_updatable.publishing.chart import SERIES
from coreml_updatable.publishing.report.comparison import curves, rows_of
from coreml_updatable.publishing.report.gallery import AnswerChange, Card
from coreml_updatable.publishing.report.pictures import data_uri, evenly, is_tiny
from coreml_updatable.publishing.report.story import headline
from coreml_updatable.publishing.swift import case_names
from coreml_updatable.publishing.templates import template, text_of
from coreml_updatable.publishing.vectors.document import (
    AFTER,
    BEFORE,
    Exercise,
    Picture,
    Row,
    Vectors,
    read_published_vectors,
)
from coreml_updatable.publishing.vectors.values import row_values
from coreml_updatable.publishing.wording import brief, mean_with_interval, with_interval

if TYPE_CHECKING:
    from coreml_updatable.data.inputs import UInt8Array


@dataclass(frozen=True)
class Examined:
    """``update``: what the update in between was trained on, e.g. "5 photos called “healthy”"."""

    cards: tuple[Card, ...] = ()
    update: str = ""


def shown(site: Path, entry: Entry, release: Release, words: Words) -> Examined:
    """What its golden vectors ask; nothing where it has none."""
    folder = site / release_folder(entry.name, release.version)
    result: dict[str, Vectors] = {}
    for model in sorted(release.models, key=lambda item: item.role == "network" and item.layout != "single"):
        if model.vectors is not None and model.role not in ("part", *result):  # a further layout is the same network
            result[model.role] = read_published_vectors(folder / model.vectors)
    if not result:
        return Examined()
    first = next(iter(result.values()))
    asked = first.exercise(BEFORE)
    cards = tuple(_card(folder, row, index, result) for index, row in enumerate(asked.asked if asked else ()))
    return Examined(cards, _update(first.exercise(AFTER), words))


def _card(folder: Path, row: Row, index: int, result: dict[str, Vectors]) -> Card:
    changes = tuple(
        AnswerChange(role, _said(before.outcomes[0].answers[index]), _said(after.outcomes[0].answers[index]))
        for role, vectors in result.items()
        if (before := vectors.exercise(BEFORE)) and (after := vectors.exercise(AFTER))
        if before.asked[index : index + 1] == after.asked[index : index + 1] == (row,)
    )
    pictures = [name for name, value in row.items() if isinstance(value, Picture)]
    if len(pictures) != 1:
        return Card("", False, changes)
    pixels: UInt8Array = np.asarray(row_values(row, folder)[pictures[0]])
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    return Card(data_uri(pixels), is_tiny(pixels), changes)


def _said(answer: Row) -> str:
    """The label, and how likely it is."""
    label = next((value for value in answer.values() if isinstance(value, str)), "")
    shares = next((value for value in answer.values() if isinstance(value, dict)), {})
    return f"{label} {brief(shares[label])}" if label in shares else label


def _update(after: Exercise | None, words: Words) -> str:
    if after is None or after.update is None:
        return ""
    rows = after.update.rows
    labels = dict.fromkeys(value for row in rows for value in row.values() if isinstance(value, str))
    named = " and ".join(f"“{label}”" for label in labels)
    return f"{counted(len(rows), words.photo)} labeled {named}"


LIST = "index.html"
SIZES = (1_000_000, 5_000_000, 20_000_000, 100_000_000)  # that one can ask for
IN_A_STRIP = 4
SHOTS = 3  # of the owner's, after which a card tells the personal accuracy
ACCURACIES = (80, 90, 95, 98)  # percent, that one can ask for
LABELS = {"report.html": "report of the build", EXAMPLES: "report with pictures", REPORT: "report as JSON"}


def pages(site: Path, index: Index, public_key: str | None) -> Mapping[str, bytes]:
    """Path -> HTML; the releases that ``index`` names lie in ``site`` already."""
    result: dict[str, bytes] = {}
    cards = []
    for entry in index.models:
        release = entry.versions[0]
        report, _ = read_published_report(site / release_folder(entry.name, release.version))
        pictures = shown(site, entry, release, words_for(report.noun))
        if report.data.origin == "photos":  # the vectors of somebody's photos are generated, and nothing to look at
            pictures = Examined()
        result[entry.page] = _model_page(entry, release, report, pictures, index, public_key)
        cards.append(_list_card(entry, release, report, pictures))
    return {**result, LIST: _list_page(cards, device_table(index.devices), public_key)}


def expect_shown(site: Path, releases: Iterable[tuple[Entry, Release]]) -> None:
    """Read what the pages of ``releases``, which lie in ``site``, need, before anything is written."""
    for entry, release in releases:
        report, _ = read_published_report(site / release_folder(entry.name, release.version))
        shown(site, entry, release, words_for(report.noun))


def _render(name: str, script: str, values: Mapping[str, Any]) -> bytes:
    from markupsafe import Markup

    style = text_of("report/report.css") + text_of("catalogue/gallery.css")
    page = template(f"catalogue/{name}").render(
        style=Markup(style), style_sum=_sum(style), script=Markup(script), script_sum=_sum(script), **values
    )
    return page.encode()


def _sum(text: str) -> str:
    """A source of a content security policy: this very text, and no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _list_page(cards: list[dict[str, Any]], answered: Mapping[str, Any] | None, public_key: str | None) -> bytes:
    most = max((card["bytes"] for card in cards), default=0)
    sizes = [size for size in SIZES if size < most]
    values = {
        "cards": cards,
        "answered": answered,
        "inputs": sorted({card["input"] for card in cards}),
        "sizes": [*sizes, next((size for size in SIZES if size >= most), most)],
        "accuracies": ACCURACIES,
        "public_key": public_key,
    }
    return _render("list.html.j2", text_of("catalogue/gallery.js"), values)


def _list_card(entry: Entry, release: Release, report: BuildReport, pictures: Examined) -> dict[str, Any]:
    first, drawn = release.models[0], [card for card in pictures.cards if card.uri]
    base = _base_accuracy(report)
    words = (entry.name, release.description, *release.labels, *(model.kind for model in release.models))
    return {
        "name": entry.name,
        "page": entry.page,
        "version": release.version,
        "description": release.description,
        "least_ios": first.least_ios,
        "input": ", ".join(value.type for value in first.inputs),
        "labels": listed(list(release.labels)),
        "sizes": [(title(item), item.bytes) for item in ordered(release)],
        "bytes": min(model.bytes for model in release.models),
        "text": " ".join(words).lower(),
        "figures": _figures(report, _data(report)),
        "accuracy": 0 if base is None else math.floor(1000 * base.share) / 10,
        "pictures": [drawn[index] for index in evenly(len(drawn), IN_A_STRIP)],
    }


def _model_page(
    entry: Entry, release: Release, report: BuildReport, pictures: Examined, index: Index, public_key: str | None
) -> bytes:
    words = words_for(report.noun)
    models, comparison = ordered(release), report.compared()
    swift = [(model, store_swift(entry, model, index.base_url, public_key)) for model in models]
    learners = [model for model in models if model.accuracies]
    values = {
        "entry": entry,
        "answered": bool(index.devices),
        "release": release,
        "models": [(title(model), model) for model in models],
        "synthetic": _made(report) if report.data.origin == "drawn" else "",
        "card": _model_card(release, report, words),
        "versions": [
            (version.version, title(model), model) for version in entry.versions for model in ordered(version)
        ],
        "pages": sorted(
            ({"file": file.file, "label": _label(file)} for file in release.files if "/" not in file.file),
            key=lambda page: page["file"] not in LABELS,
        ),
        "owner": None if comparison is None else _owner(comparison, release),
        "photo": words.photo,
        "picture": words.picture,
        "learners": learners,
        "cards": pictures.cards,
        "update": pictures.update,
        "swift": [(model, code, swift_package(model)) for model, code in swift if code],
    }
    return _render("model.html.j2", "", values)


def _data(report: BuildReport) -> str:
    """A few words on the data, for a card of the list."""
    match report.data.origin:
        case "drawn":
            return _made(report)
        case "photos":
            return f"{words_for(report.noun).picture}s, the publisher's own"
    return report.data.description.partition(". ")[0] or f"{words_for(report.noun).picture}s, a collection"


def _made(report: BuildReport) -> str:
    """What a program made."""
    return f"synthetic {words_for(report.noun).picture}s" if report.noun else "drawings"


def _base_accuracy(report: BuildReport) -> MeasuredAccuracy | None:
    """The network's, before any update; None where a report of an older schema has none."""
    if report.base is not None:
        return MeasuredAccuracy(**report.base.accuracy.model_dump())
    comparison = report.compared()
    if comparison is None:
        return None
    result = comparison.entrants[0].last(0).intervals["base_accuracy"]
    return MeasuredAccuracy(result.mean, comparison.test_rows, result.low, result.high)


def _figures(report: BuildReport, data: str) -> list[tuple[str, str]]:
    """What a card says of a model's accuracy, ``data`` and backbone, as pairs of a term and its text."""
    sentences, comparison, base = [], report.compared(), _base_accuracy(report)
    if base is not None:
        sentences.append(("Base accuracy", with_interval(base)))
    if comparison is not None:
        shots = next((count for count in comparison.shots if count >= SHOTS), comparison.shots[-1])
        result = comparison.entrants[0].last(shots).intervals["personal_accuracy"]
        personal = mean_with_interval(result, comparison.held_out_rows)
        sentences.append((f"After {counted(shots, 'shot')}", f"personal accuracy {personal}"))
    sentences.append(("Data", data))
    architecture = report.source.get("encoder", report.source.get("architecture", ""))
    if report.source.get("weights") == "pretrained":
        license = report.source.get("license of the weights", "license not known")
        sentences.append(("Backbone", f"{architecture}, pretrained ({license})"))
    return sentences


def _model_card(release: Release, report: BuildReport, words: Words) -> list[tuple[str, str]]:
    """Intended use, data, limits and versions, in the order of a model card (Mitchell et al. 2019)."""
    weakest = (
        min(report.base.labels, key=lambda item: item.recall.share) if report.base and report.base.labels else None
    )
    limits = [f"It answers one of its {len(release.labels)} labels, whatever it is shown."]
    if report.data.origin == "drawn":
        limits.append(f"It was measured on {_made(report)}; nothing is known of real {words.photo}s.")
    elif report.data.origin == "photos":
        limits.append(
            f"It was measured on {words.photo}s of the same folder that it learned from; others may be harder."
        )
    if weakest is not None and weakest.recall.share < 1:
        recall = with_interval(MeasuredAccuracy(**weakest.recall.model_dump()))
        limits.append(f"The label that it finds least often is “{weakest.label}”: {recall}.")
    folds = report.base.folds if report.base else 0
    judged = f"cross-validated in {folds} folds" if folds else f"on {words.picture}s that were held out"
    return [
        ("Intended use", f"{release.description} Its owner can go on training it on the device."),
        *_figures(report, release.data),
        ("How measured", f"{judged}; in parentheses the 95% interval and the number of {words.picture}s"),
        ("Limits", " ".join(limits)),
        ("Made with", ", ".join(f"{name} {version}" for name, version in report.versions.items())),
    ]


def ordered(release: Release) -> list[ModelFile]:
    """The variants, then the network in other layouts, then the parts of a split."""
    return sorted(
        release.models, key=lambda model: (model.role == "part", (model.role, model.layout) == ("network", "pipeline"))
    )


def title(model: ModelFile) -> str:
    """Return a short description of a file of a release."""
    if model.role == "part":
        return "Head of the split" if model.update else "Extractor of the split"
    if model.role == "network":
        return "Network" if model.layout == "single" else "Network as a pipeline"
    return "k-NN"


def _label(file: File) -> str:
    return LABELS.get(file.file, f"golden vectors, {file.file}" if file.file.endswith(".vectors.json") else file.file)


def _owner(comparison: Comparison, release: Release) -> dict[str, Any]:
    """Both variants beside each other, and which suits whom."""
    learners = [model for model in release.models if model.accuracies]
    return {
        "headline": headline(comparison),
        "advice": " ".join(comparison.conclusions),
        "orders": comparison.owners,
        "curves": curves(comparison, rows_of(comparison, SERIES))[:2],
        "accuracies": [
            {"pictures": first.pictures, "on": first.measured_on, "shares": [_told(item) for item in same]}
            for first, *others in zip(*(model.accuracies for model in learners), strict=True)
            for same in ((first, *others),)
        ],
    }


def _told(accuracy: Measured) -> str:
    return with_interval(wilson(accuracy.value * accuracy.pictures, accuracy.pictures))


EXAMPLE_SITE = "https://example.org/models/"
SHAPE = re.compile(r"MultiArray \(\w+ ([0-9]+(?: × [0-9]+)*)\)")


def store_swift(entry: Entry, model: ModelFile, base_url: str, public_key: str | None) -> str:
    """The source file; an empty text for a model that the Swift package does not open by itself."""
    form = {"network": "network" if model.layout == "single" else None, "k-NN": "neighbors"}.get(model.role)
    given = model.inputs[0].type if len(model.inputs) == 1 else ""
    shape = SHAPE.fullmatch(given)
    outputs = [output.type for output in model.outputs]
    teaches = "String" in outputs and any(output.startswith("Dictionary (String") for output in outputs)
    if model.update is None or form is None or not teaches or not (shape or given.startswith("Image")):
        return ""
    labels = [str(item) for item in model.labels or ()]
    return template("catalogue/store.swift.j2", escape=False).render(
        type=model.file.removesuffix(".mlmodel"),
        entry=entry.name,
        form=form,
        least_ios=model.least_ios,
        site=base_url or EXAMPLE_SITE,
        public_key=public_key,
        labels=list(zip(case_names(labels), labels, strict=True)),
        shape=shape[1].split(" × ") if shape else None,
    )


def swift_package(model: ModelFile) -> str:
    """The manifest of a Swift package around the source file, for apps that are made of packages."""
    return template("catalogue/package.swift.j2", escape=False).render(type=model.file.removesuffix(".mlmodel"))
