"""Every model that differs from a sound one in a single field: unset, one more, one less, flipped, doubled."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, TypeAlias

from google.protobuf.descriptor import FieldDescriptor

from coreml_updatable.spec.messages import Model, Model_pb2

Path: TypeAlias = tuple[tuple[str, int | None], ...]  # fields, with the index in a repeated one
WHOLE = (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64)
COUNTS = (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64)
MANY_KINDS = 20  # the kinds of models and layers: another one in an empty message is no near case
REAL = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)


def edited(model: Model, within: Path = ()) -> Iterator[Model]:
    """``model`` with one edit each, in the order of its fields; ``within``: of the message there alone."""
    changed = Model_pb2.Model()
    for edit in list(_edits(_inner(model, within), within)):
        changed.CopyFrom(model)
        edit(changed)
        yield changed


def edited_twice(model: Model, count: int, within: Path = ()) -> Iterator[Model]:
    """``count`` models with two edits each, drawn by their number."""
    first = list(_edits(_inner(model, within), within))
    for index in range(count):
        random = Random(index)
        changed = Model_pb2.Model()
        changed.CopyFrom(model)
        random.choice(first)(changed)
        random.choice(list(_edits(_inner(changed, within), within)))(changed)
        yield changed


def _inner(message: Any, path: Path) -> Any:
    for step, index in path:
        message = getattr(message, step) if index is None else getattr(message, step)[index]
    return message


def _edits(message: Any, path: Path) -> Iterator[Callable[[Any], None]]:
    for field in message.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        present = len(getattr(message, field.name)) > 0 if field.is_repeated else _has(message, field)
        for change in _changes(message, field, present):
            yield _at(path, field.name, change)
        if field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE or not present:
            continue
        if field.is_repeated:
            for index, inner in enumerate(getattr(message, field.name)):
                yield from _edits(inner, (*path, (field.name, index)))
        else:
            yield from _edits(getattr(message, field.name), (*path, (field.name, None)))


def _has(message: Any, field: Any) -> bool:
    if field.has_presence:
        return bool(message.HasField(field.name))
    return bool(getattr(message, field.name) != field.default_value)


def _at(path: Path, name: str, change: Callable[[Any, str], None]) -> Callable[[Any], None]:
    return lambda message: change(_inner(message, path), name)


def _changes(message: Any, field: Any, present: bool) -> Iterator[Callable[[Any, str], None]]:
    if present:
        yield lambda message, name: message.ClearField(name)
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        if field.is_repeated:
            if present:
                yield lambda message, name: getattr(message, name).pop()
                yield lambda message, name: getattr(message, name).add().CopyFrom(getattr(message, name)[-1])
            yield lambda message, name: getattr(message, name).add().SetInParent()
        elif not present and (field.containing_oneof is None or len(field.containing_oneof.fields) < MANY_KINDS):
            yield lambda message, name: getattr(message, name).SetInParent()
        return
    if field.is_repeated:
        if present:
            yield lambda message, name: _drop(getattr(message, name))
            yield lambda message, name: getattr(message, name).append(getattr(message, name)[-1])
            for value in _near(field, getattr(message, field.name)[0]):
                yield lambda message, name, value=value: getattr(message, name).__setitem__(0, value)  # type: ignore[misc]
        else:
            for value in _near(field, field.default_value or _zero(field)):
                yield lambda message, name, value=value: getattr(message, name).append(value)  # type: ignore[misc]
        return
    for value in _near(field, getattr(message, field.name)):
        yield lambda message, name, value=value: setattr(message, name, value)  # type: ignore[misc]


def _drop(values: Any) -> None:
    del values[-1]


def _zero(field: Any) -> Any:
    return "" if field.cpp_type == FieldDescriptor.CPPTYPE_STRING and field.type != FieldDescriptor.TYPE_BYTES else 0


def _near(field: Any, value: Any) -> list[Any]:
    """What is close to ``value`` and not it."""
    if field.cpp_type in WHOLE:
        near = [value + 1, value - 1, 0, -1, 5]
    elif field.cpp_type in COUNTS:
        near = [value + 1, max(0, value - 1), 0, 5]
    elif field.cpp_type in REAL:
        near = [value + 1, -1.0, 0.0, 0.5]
    elif field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        near = [not value]
    elif field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        near = [choice.number for choice in field.enum_type.values]
    elif field.type == FieldDescriptor.TYPE_BYTES:
        near = [b"\1", b"\1\2\3\4"]
    else:
        near = ["", "other"]
    return list(dict.fromkeys(each for each in near if each != value))
