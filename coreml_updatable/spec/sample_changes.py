"""Which samples a nearest-neighbours classifier has learnt or lost, by label."""

from collections import Counter
from dataclasses import dataclass

from coreml_updatable.spec.messages import KNearestNeighborsClassifier
from coreml_updatable.spec.samples import sample_labels
from coreml_updatable.spec.storage import float_bytes


@dataclass(frozen=True)
class SampleChange:
    label: str | int
    added: int
    removed: int


@dataclass(frozen=True)
class SampleChanges:
    """``reordered``: the same samples, in another order (it decides between neighbours at equal distances)."""

    before: int
    after: int
    labels: tuple[SampleChange, ...]
    reordered: bool


def sample_changes(before: KNearestNeighborsClassifier, after: KNearestNeighborsClassifier) -> SampleChanges | None:
    """Samples are the same when all their values and their labels are; None when nothing differs."""
    old, new = _samples(before), _samples(after)
    if old == new:
        return None
    had, has = Counter(old), Counter(new)
    added = Counter(label for label, _ in (has - had).elements())
    removed = Counter(label for label, _ in (had - has).elements())
    labels = tuple(SampleChange(label, added[label], removed[label]) for label in dict.fromkeys([*added, *removed]))
    return SampleChanges(len(old), len(new), labels, not labels)


def _samples(classifier: KNearestNeighborsClassifier) -> list[tuple[str | int, bytes]]:
    """Label and bytes of each sample; a sample without a label, or a label without a sample, counts as one too."""
    rows = [bytes(float_bytes(sample)) for sample in classifier.nearestNeighborsIndex.floatSamples]
    labels: list[str | int] = list(sample_labels(classifier))
    length = max(len(rows), len(labels))
    labels += [""] * (length - len(labels))
    return list(zip(labels, rows + [b""] * (length - len(rows)), strict=True))
