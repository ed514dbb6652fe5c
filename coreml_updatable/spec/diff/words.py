"""A difference in one sentence: `only the head changed (fc)`."""

from collections.abc import Iterator

from coreml_updatable.spec.diff.layers import LayerChange
from coreml_updatable.spec.diff.models import Difference

_SHOWN_NAMES = 5


def sentence(difference: Difference) -> str:
    """What changed, in a few words; pipelines name the model in which it did."""
    if difference.same:
        return f"the same in meaning{_stored_otherwise(difference)}"
    found = list(_parts(difference, ""))
    if len(found) == 1:
        return f"only {found[0]} changed"
    return f"{', '.join(found[:-1])} and {found[-1]} changed"


def _parts(difference: Difference, where: str) -> Iterator[str]:
    kinds = [change for change in difference.settings if change.what == "kind"]
    if kinds:
        yield f"the kind of the model{where}"
    if len(difference.settings) > len(kinds):
        yield f"settings{where}"
    if difference.description:
        yield f"the description{where}"
    if difference.labels:
        yield f"the labels{where}"
    if difference.parameters:
        yield f"the parameters of the update{where}"
    yield from _layers(difference, where)
    if difference.samples is not None:
        yield f"the samples of the nearest neighbours{where}"
    for name, member in difference.members:
        yield from _parts(member, f" of '{name}'")


def _layers(difference: Difference, where: str) -> Iterator[str]:
    layers = difference.layers
    if layers.added or layers.removed or layers.reordered:
        yield f"the layers{where}"
    settings = [layer.name for layer in layers.changed if layer.settings]
    if settings:
        yield f"settings of the layers {_listed(settings)}{where}"
    trained = [layer for layer in layers.changed if any(w.kind not in ("stored", "rounded") for w in layer.weights)]
    if trained and all(layer.updatable for layer in trained):
        yield f"the head ({_listed([layer.name for layer in trained])}){where}"
    elif trained:
        yield f"the weights of {_listed([layer.name for layer in trained])}{where}"
    rounded = [layer.name for layer in layers.changed if any(w.kind == "rounded" for w in layer.weights)]
    if rounded:
        yield f"the storage of the weights of {_listed(rounded)}{where} (their values rounded by it)"


def _stored_otherwise(difference: Difference) -> str:
    count = sum(1 for layer in _all_changed(difference) if layer.weights)
    return f"; the weights of {count} layers are stored otherwise, their values the same" if count else ""


def _all_changed(difference: Difference) -> Iterator[LayerChange]:
    yield from difference.layers.changed
    for _, member in difference.members:
        yield from _all_changed(member)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN_NAMES])
    return f"{shown} and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else shown
