"""The requirements of a build for its pictures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coreml_updatable.data.inputs import Input
from coreml_updatable.data.sample_code import load_function


@dataclass(frozen=True)
class Owner:
    """One kind of the owner's, which the base is never trained on: ``kind`` is what the pictures show, ``label`` what
    their owner says they are. ``support`` pictures to take shots from, and at most ``held_out`` to test on."""

    kind: str
    label: str
    support: int
    held_out: int


@dataclass(frozen=True)
class Wanted:
    """``kinds`` maps what a picture shows (a folder's name) to one of ``labels``; the shares are of each kind."""

    input: Input
    labels: tuple[str, ...]
    kinds: Mapping[str, str]
    owners: tuple[Owner, ...] = ()  # one for each of the owner's kinds, which the base never learns
    reserved_labels: tuple[str, ...] = ()  # they follow ``labels``; only the owner's kinds may have them
    adapt: "SampleFunction | None" = None  # what the sample does to pictures of a collection (``collected.py``)
    test_share: float = 0.2
    validation_share: float = 0.1
    drawn_kinds: tuple[str, ...] = ()
    drawn_per_kind: int = 200
    maximum_per_kind: int | None = None
    by_folds: bool = False  # where a test set would be small, cross-validate instead
    seed: int = 0

    def label_of(self, kind: str) -> str | None:
        """Return the base label of ``kind``; None for the owner's kind. A label is its own kind."""
        if any(kind == owner.kind for owner in self.owners):
            return None
        return self.kinds.get(kind, kind if kind in self.labels else None)

    def index_of(self, kind: str) -> int:
        """The index of the label of ``kind``; for the owner's kinds, of what the owner says."""
        label = next((owner.label for owner in self.owners if owner.kind == kind), self.label_of(kind))
        return (*self.labels, *self.reserved_labels).index(label) if label is not None else -1

    def known(self) -> list[str]:
        """Every name that a class folder may have."""
        return sorted({*self.kinds, *self.labels, *(owner.kind for owner in self.owners)})


@dataclass(frozen=True)
class SampleFunction:
    """A function of the recipe's own code, ``"drawing.py:draw"``: named, so that another process can load it too."""

    folder: Path
    reference: str
    trusted: bool = False  # whether the file may lie outside the folder

    def load(self) -> Callable[..., Any]:
        return load_function(self.folder, self.reference, self.trusted)
