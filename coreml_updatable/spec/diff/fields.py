"""What differs between two messages of one kind, field by field, as text: all that is neither weights nor samples."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from google.protobuf.message import Message

_LONGEST_TEXT = 120
_SHOWN_VALUES = 8
_OF_THEIR_OWN = ("NeuralNetwork",)  # inner networks (branch, loop): their layers are compared as layers
_OF_WEIGHTS = "isUpdatable"  # the only setting in a WeightParams message; the rest is how its numbers are stored


@dataclass(frozen=True)
class Change:
    """``what`` names the field; ``before`` and ``after`` are its values in words, empty where it is not set."""

    what: str
    before: str
    after: str


def field_changes(before: Message, after: Message, *, skip: Collection[str] = (), prefix: str = "") -> Iterator[Change]:
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
                yield Change(name, _text(field, one), _text(field, other))
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
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"


def _presence(name: str, before: bool, after: bool) -> Iterator[Change]:
    if before != after:
        yield Change(name, "set" if before else "", "set" if after else "")


def _lists(name: str, before: Any, after: Any) -> Iterator[Change]:
    if len(before) == len(after) and all(_key(one) == _key(other) for one, other in zip(before, after, strict=True)):
        return
    yield Change(name, _values(before), _values(after))


def _maps(name: str, before: Any, after: Any) -> Iterator[Change]:
    for key in sorted({*before, *after}):
        one, other = (_entry(values, key) for values in (before, after))
        if one != other:
            yield Change(f"{name}[{shortened(str(key))}]", *(shortened(value or "") for value in (one, other)))


def _entry(values: Any, key: Any) -> str | None:
    return str(values[key]) if key in values else None


def _messages(name: str, before: Any, after: Any) -> Iterator[Change]:
    if len(before) != len(after):
        yield Change(f"{name} (count)", str(len(before)), str(len(after)))
    for number, (one, other) in enumerate(zip_longest(before, after)):
        if one is not None and other is not None:
            yield from field_changes(one, other, prefix=f"{name}[{number}].")


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
