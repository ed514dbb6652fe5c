"""What a release was asked, pictures or not, beside the answers before and after one update: its golden vectors."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from coreml_updatable.personalizing.wording import Words, counted
from coreml_updatable.publishing.catalogue.index import Entry, Release
from coreml_updatable.publishing.catalogue.names import release_folder
from coreml_updatable.publishing.golden.document import Picture, Row, Vectors, read_vectors
from coreml_updatable.publishing.golden.values import row_values
from coreml_updatable.publishing.pictures import data_uri, is_tiny
from coreml_updatable.publishing.wording import brief

if TYPE_CHECKING:
    from coreml_updatable.conversion import UInt8Array


@dataclass(frozen=True)
class Change:
    role: str
    before: str
    after: str


@dataclass(frozen=True)
class Card:
    """A picture, and what each model answers before and after; ``uri`` is empty where the input is no picture."""

    uri: str
    tiny: bool
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Shown:
    """``learnt``: what the update in between learnt, e.g. "5 photos called “healthy”"."""

    cards: tuple[Card, ...] = ()
    learnt: str = ""


def shown(site: Path, entry: Entry, release: Release, words: Words) -> Shown:
    """What its golden vectors ask; nothing where it has none."""
    folder = site / release_folder(entry.name, release.version)
    found: dict[str, Vectors] = {}
    for model in sorted(release.models, key=lambda one: one.role == "network" and one.layout != "single"):
        if model.vectors is not None and model.role not in ("part", *found):  # a further layout is the same network
            found[model.role] = read_vectors(folder / model.vectors)
    if not found:
        return Shown()
    first = next(iter(found.values()))
    cards = tuple(_card(folder, row, number, found) for number, row in enumerate(first.rows))
    return Shown(cards, _learnt(first, words))


def _card(folder: Path, row: Row, number: int, found: dict[str, Vectors]) -> Card:
    changes = tuple(
        Change(role, _said(vectors.before[number]), _said(vectors.update.after[number]))
        for role, vectors in found.items()
        if vectors.update is not None and vectors.rows[number : number + 1] == (row,)
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


def _learnt(vectors: Vectors, words: Words) -> str:
    if vectors.update is None:
        return ""
    labels = dict.fromkeys(value for row in vectors.update.rows for value in row.values() if isinstance(value, str))
    named = " and ".join(f"“{label}”" for label in labels)
    return f"{counted(len(vectors.update.rows), words.photo)} called {named}"
