"""Compare the layers of two networks: added, removed, changed settings, changed weights.

Settings are compared as every message is, field by field, as text: all that is neither weights nor samples.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TypeAlias

from google.protobuf.message import Message

from coreml_updatable.spec.graph import all_layers, layer_kind
from coreml_updatable.spec.messages import NeuralNetwork, NeuralNetwork_pb2, NeuralNetworkLayer
from coreml_updatable.spec.storage import weight_fields

_MAX_TEXT = 120
_SHOWN_VALUES = 8
_OF_THEIR_OWN = ("NeuralNetwork",)  # inner networks (branch, loop): their layers are compared as layers
_OF_WEIGHTS = "isUpdatable"  # the only setting in a WeightParams message; the rest is how its numbers are stored


@dataclass(frozen=True)
class FieldChange:
    """``what`` names the field; ``before`` and ``after`` are its values in words, empty where it is not set."""

    what: str
    before: str
    after: str


def field_changes(
    before: Message, after: Message, *, skip: Collection[str] = (), prefix: str = ""
) -> Iterator[FieldChange]:
    """The fields that differ, in the format's order. ``skip`` names fields of the outer message to leave out."""
    for field in before.DESCRIPTOR.fields:
        if field.name in skip or (before.DESCRIPTOR.name == "WeightParams" and field.name != _OF_WEIGHTS):
            continue
        one, other = getattr(before, field.name), getattr(after, field.name)
        name = f"{prefix}{field.name}"
        if field.message_type is None:
            if field.is_repeated:
                yield from _lists(name, one, other)
            elif _key(one) != _key(other):
                yield FieldChange(name, _text(field, one), _text(field, other))
        elif field.message_type.name in _OF_THEIR_OWN:
            continue
        elif field.message_type.GetOptions().map_entry:
            yield from _maps(name, one, other)
        elif field.is_repeated:
            yield from _messages(name, one, other)
        else:
            inner = list(field_changes(one, other, prefix=f"{name}."))
            yield from inner or _presence(name, before.HasField(field.name), after.HasField(field.name))


def shortened(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def _presence(name: str, before: bool, after: bool) -> Iterator[FieldChange]:
    if before != after:
        yield FieldChange(name, "set" if before else "", "set" if after else "")


def _lists(name: str, before: Any, after: Any) -> Iterator[FieldChange]:
    if len(before) == len(after) and all(_key(item) == _key(other) for item, other in zip(before, after, strict=True)):
        return
    yield FieldChange(name, _values(before), _values(after))


def _maps(name: str, before: Any, after: Any) -> Iterator[FieldChange]:
    for key in sorted({*before, *after}):
        one, other = (_entry(values, key) for values in (before, after))
        if one != other:
            yield FieldChange(f"{name}[{shortened(str(key))}]", *(shortened(value or "") for value in (one, other)))


def _entry(values: Any, key: Any) -> str | None:
    return str(values[key]) if key in values else None


def _messages(name: str, before: Any, after: Any) -> Iterator[FieldChange]:
    if len(before) != len(after):
        yield FieldChange(f"{name} (count)", str(len(before)), str(len(after)))
    for index, (one, other) in enumerate(zip_longest(before, after)):
        if one is not None and other is not None:
            yield from field_changes(one, other, prefix=f"{name}[{index}].")


def _key(value: Any) -> Any:
    """NaN equals NaN here: a file does not differ from itself."""
    return repr(value) if isinstance(value, float) else value


def _text(field: Any, value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else str(value)
    return shortened(_number(value))


def _number(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _values(values: Any) -> str:
    shown = ", ".join(_number(value) for value in values[:_SHOWN_VALUES])
    return shortened(f"{shown}, … ({len(values)} values)" if len(values) > _SHOWN_VALUES else shown)


@dataclass(frozen=True)
class WeightChange:
    """One weight field of a layer that is not the same in both models.

    ``kind``: "changed" (other values), "rounded" (the same values, as near as the coarser storage holds them), "stored"
    (the very same values, stored otherwise), "count" (another number of values), "fields" (the same values in the same
    storage, with something else beside them) or "unreadable" (a quantization that cannot be decoded). ``norm`` is the
    Euclidean norm of the change, ``relative`` that norm over the norm of the old values, ``largest`` the greatest
    change of one value; None where there is none.
    """

    field: str
    kind: str
    before: str  # how the numbers are stored: "float32", "8-bit linear" ...
    after: str
    values: int
    norm: float | None = None
    relative: float | None = None
    largest: float | None = None
    not_finite: int = 0  # values that are NaN or infinite in either model; they are left out of the norms


_Layers: TypeAlias = dict[tuple[str, int], NeuralNetworkLayer]
_EMPTY = NeuralNetwork_pb2.WeightParams()


@dataclass(frozen=True)
class LayerChange:
    """One layer that is in both networks and not the same. ``updatable``: in the first network, the second or both."""

    name: str
    kind: str
    updatable: bool
    settings: tuple[FieldChange, ...]
    weights: tuple[WeightChange, ...]


@dataclass(frozen=True)
class LayerChanges:
    """``added`` and ``removed`` as "name (kind)"; ``reordered``: common layers have a different order."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[LayerChange, ...] = ()
    reordered: bool = False


def layer_changes(before: NeuralNetwork, after: NeuralNetwork) -> LayerChanges:
    """Layers are the same by name; those of one name by their order; renamed ones by the blob they write."""
    old, new = _by_name(before), _by_name(after)
    pairs = {key: key for key in old if key in new}
    pairs |= _renamed(
        {key: layer for key, layer in old.items() if key not in new},
        {key: layer for key, layer in new.items() if key not in old},
    )
    result = (_layer_change(old[key], new[other], key[0]) for key, other in pairs.items())
    places = {key: index for index, key in enumerate(new)}
    order = [places[pairs[key]] for key in old if key in pairs]
    taken = set(pairs.values())
    return LayerChanges(
        tuple(_title(key[0], layer) for key, layer in new.items() if key not in taken),
        tuple(_title(key[0], layer) for key, layer in old.items() if key not in pairs),
        tuple(change for change in result if change is not None),
        order != sorted(order),
    )


def _by_name(network: NeuralNetwork) -> _Layers:
    seen = Counter[str]()
    result: _Layers = {}
    for name, layer in all_layers(network):
        result[name, seen[name]] = layer
        seen[name] += 1
    return result


def _renamed(old: _Layers, new: _Layers) -> dict[tuple[str, int], tuple[str, int]]:
    """Of the layers whose name is in one network only: those of one kind that write the same blob."""
    writers = {(layer_kind(layer), str(layer.output[0])): key for key, layer in new.items() if layer.output}
    pairs: dict[tuple[str, int], tuple[str, int]] = {}
    for key, layer in old.items():
        result = writers.pop((layer_kind(layer), str(layer.output[0])), None) if layer.output else None
        if result is not None:
            pairs[key] = result
    return pairs


def _title(name: str, layer: NeuralNetworkLayer) -> str:
    return f"{name} ({layer_kind(layer) or 'no kind'})"


def _layer_change(before: NeuralNetworkLayer, after: NeuralNetworkLayer, name: str) -> LayerChange | None:
    if before.SerializeToString(deterministic=True) == after.SerializeToString(deterministic=True):
        return None
    kind, kind_after = layer_kind(before), layer_kind(after)
    if kind != kind_after:
        settings: tuple[FieldChange, ...] = (FieldChange("kind", kind, kind_after),)
        weights: tuple[WeightChange, ...] = ()
    else:
        settings = tuple(_settings(before, after, kind))
        weights = tuple(_weights(before, after, kind))
    if not settings and not weights:
        return None
    return LayerChange(name, kind_after, bool(before.isUpdatable or after.isUpdatable), settings, weights)


def _settings(before: NeuralNetworkLayer, after: NeuralNetworkLayer, kind: str) -> Iterator[FieldChange]:
    yield from field_changes(before, after, skip=(kind,))
    if kind:
        yield from field_changes(getattr(before, kind), getattr(after, kind))


def _weights(before: NeuralNetworkLayer, after: NeuralNetworkLayer, kind: str) -> Iterable[WeightChange]:
    from coreml_updatable.spec.diff.weights import weight_change  # here, for most layers are the same: no NumPy then

    old, new = dict(weight_fields(before)), dict(weight_fields(after))
    deconvolution = kind in ("convolution", "convolution3d") and getattr(before, kind).isDeconvolution
    for field in dict.fromkeys([*old, *new]):
        lead = _kernels(before, kind) if deconvolution and field == "weights" else 1
        change = weight_change(field, old.get(field, _EMPTY), new.get(field, _EMPTY), lead)
        if change is not None:
            yield change


def _kernels(layer: NeuralNetworkLayer, kind: str) -> int:
    return int(layer.convolution.kernelChannels if kind == "convolution" else layer.convolution3d.inputChannels)
