"""What differs between the descriptions of two models: features, metadata, labels."""

from collections.abc import Iterator, Sequence

from coreml_updatable.spec.features import describe_type
from coreml_updatable.spec.field_changes import Change, field_changes, shortened
from coreml_updatable.spec.messages import FeatureDescription, Model

_SIDES = {"input": "input", "output": "output", "trainingInput": "training input", "state": "state"}
_SHOWN_LABELS = 8


def description_changes(before: Model, after: Model) -> Iterator[Change]:
    """Features by name, then everything else that ``ModelDescription`` holds."""
    for field, side in _SIDES.items():
        yield from _features(getattr(before.description, field), getattr(after.description, field), side)
    yield from field_changes(before.description, after.description, skip=_SIDES)


def label_changes(before: Sequence[str | int], after: Sequence[str | int]) -> Iterator[Change]:
    """Labels added and removed; else their order, which decides what an output means."""
    old, new = set(before), set(after)
    removed, added = [label for label in before if label not in new], [label for label in after if label not in old]
    if removed or added:
        yield Change("labels", _shown(removed), _shown(added))
    if [label for label in before if label in new] != [label for label in after if label in old]:
        yield Change("order of labels", _shown(before), _shown(after))


def _shown(labels: Sequence[str | int]) -> str:
    more = f", … ({len(labels)} in all)" if len(labels) > _SHOWN_LABELS else ""
    return shortened(", ".join(str(label) for label in labels[:_SHOWN_LABELS])) + more


def _features(before: Sequence[FeatureDescription], after: Sequence[FeatureDescription], side: str) -> Iterator[Change]:
    old, new = ({str(feature.name): feature for feature in features} for features in (before, after))
    for name in dict.fromkeys([*old, *new]):
        what = f"{side} {shortened(name)}"
        if name not in new:
            yield Change(what, describe_type(old[name]), "")
        elif name not in old:
            yield Change(what, "", describe_type(new[name]))
        else:
            yield from _feature(what, old[name], new[name])


def _feature(what: str, before: FeatureDescription, after: FeatureDescription) -> Iterator[Change]:
    old, new = describe_type(before), describe_type(after)
    if old != new:
        yield Change(what, old, new)
        yield from field_changes(before, after, skip=("name", "type"), prefix=f"{what}: ")
    else:
        yield from field_changes(before, after, skip=("name",), prefix=f"{what}: ")
