"""Hostile messages: sound models with damaged bytes or fields, and layers of any kind with arbitrary fields.

Everything follows from one random generator, so a seed is a case.
"""

from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from coreml_updatable.spec.messages import Model, Model_pb2
from coreml_updatable.spec.network import is_network, last_member, network_of

SMALL = (0, 1, 1, 2, 2, 3, 4)
ABSURD = (-1, -2, 5, 7, 64, 2**16, 2**31 - 1, -(2**31), 2**40, 2**62, -(2**63))
FLOATS = (0.0, 1.0, -1.0, 0.5, 2.0, 1e-30, 1e30, float("inf"), float("-inf"), float("nan"))
TEXTS = ("x", "y", "z", "", "é\n", "x" * 300)
INPUTS = (0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 5)
DEEPEST = 4
LIMITS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def damaged_bytes(content: bytes, other: bytes, random: Random) -> bytes:
    """Bits flipped, the end cut off, a part left out, doubled, or replaced by one of another file."""
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4))):
        start = random.randrange(len(changed)) if changed else 0
        end = min(len(changed), start + random.choice((1, 4, 16, 64)))
        match random.randrange(6):
            case 0 | 1:
                if changed:
                    changed[start] ^= 1 << random.randrange(8)
            case 2:
                del changed[start:]
            case 3:
                del changed[start:end]
            case 4:
                changed[start:start] = changed[start:end]
            case 5:
                from_ = random.randrange(len(other))
                changed[start:end] = other[from_ : from_ + random.choice((1, 4, 16, 64))]
    return bytes(changed)


def damaged_fields(model: Model, random: Random) -> Model:
    """The same model with one to three fields cleared, doubled or set to anything."""
    changed = Model_pb2.Model()
    changed.CopyFrom(model)
    for _ in range(random.choice((1, 1, 2, 3))):
        message = changed
        while inner := _messages(message):
            if message is not changed and random.random() < 0.3:
                break
            message = random.choice(inner)
        _damage(message, random)
    return changed


def rewired(model: Model, random: Random) -> Model:
    """The same network with one to three blobs read or written elsewhere: circles, doubles, dead ends."""
    changed = Model_pb2.Model()
    changed.CopyFrom(model)
    last = last_member(changed)
    layers = list(network_of(last).layers) if is_network(last) else []
    blobs = [str(blob) for layer in layers for blob in (*layer.input, *layer.output)]
    for _ in range(random.choice((1, 1, 2, 3)) if blobs else 0):
        layer = random.choice(layers)
        wires = random.choice((layer.input, layer.input, layer.output))
        match random.randrange(4):
            case 0 if len(wires):
                del wires[random.randrange(len(wires))]
            case 1:
                wires.append(random.choice(blobs))
            case _ if len(wires):
                wires[random.randrange(len(wires))] = random.choice(blobs)
    return changed


def any_layer(kind: str, random: Random) -> Model:
    """A network x -> y of one layer of ``kind`` with arbitrary fields, and up to four inputs."""
    model = Model_pb2.Model(specificationVersion=random.choice((1, 4, 7)))
    shape = random.choice(([2, 3, 3], [4], [1, 2, 4, 4], [2, 2], [3, 1, 4, 1, 1], [1]))
    for features, name, sizes in ((model.description.input, "x", shape), (model.description.output, "y", [])):
        array = features.add(name=name).type.multiArrayType
        array.shape.extend(sizes)
        array.dataType = 65568
    network = model.neuralNetwork
    network.arrayInputShapeMapping = random.randrange(2)
    outputs = random.choice((1, 1, 1, 1, 1, 2, 3, 5))
    names = ["y", *(f"z{index}" for index in range(1, outputs))]
    layer = network.layers.add(name="layer", input=["x"] * random.choice(INPUTS), output=names)
    getattr(layer, kind).SetInParent()
    fill(getattr(layer, kind), random, DEEPEST)
    return model


def layer_kinds() -> list[str]:
    layer = Model_pb2.Model().neuralNetwork.layers.add()
    return [str(field.name) for field in layer.DESCRIPTOR.oneofs_by_name["layer"].fields]


def fill(message: Any, random: Random, depth: int) -> None:
    """Set fields of ``message``, each with a chance; of a oneof at most one."""
    chosen = {oneof.name: random.choice(oneof.fields).name for oneof in message.DESCRIPTOR.oneofs}
    for field in message.DESCRIPTOR.fields:
        oneof = field.containing_oneof
        if random.random() < 0.3 or (oneof is not None and chosen[oneof.name] != field.name):
            continue
        _set(message, field, random, depth)


def _set(message: Any, field: Any, random: Random, depth: int) -> None:
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        if depth == 0 or field.message_type.GetOptions().map_entry:
            return
        inner = [getattr(message, field.name)]
        if field.is_repeated:
            inner = [inner[0].add() for _ in range(random.randrange(3))]
        for item in inner:
            item.SetInParent()
            fill(item, random, depth - 1)
    elif field.is_repeated:
        values = getattr(message, field.name)
        del values[:]
        values.extend(_value(field, random) for _ in range(random.choice((0, 1, 2, 2, 3, 3, 4, 4, 6, 8, 16, 36))))
    else:
        setattr(message, field.name, _value(field, random))


def _value(field: Any, random: Random) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_BOOL:
            return random.random() < 0.5
        case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
            return random.choice(FLOATS) if random.random() < 0.2 else random.uniform(-1, 1)
        case FieldDescriptor.CPPTYPE_ENUM:
            return random.choice(field.enum_type.values).number
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return random.randbytes(random.choice((0, 1, 8, 32)))
        case FieldDescriptor.CPPTYPE_STRING:
            return random.choice(TEXTS)
    low, high = LIMITS[field.cpp_type]
    return max(low, min(high, random.choice(ABSURD if random.random() < 0.15 else SMALL)))


def _messages(message: Any) -> list[Any]:
    result: list[Any] = []
    for field, value in message.ListFields():
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE and not _is_map(field):
            result += list(value) if field.is_repeated else [value]
    return result


def _damage(message: Any, random: Random) -> None:
    fields = [field for field in message.DESCRIPTOR.fields if not _is_map(field)]
    present = [field for field, _ in message.ListFields() if not _is_map(field)]
    if not fields:
        return
    field = random.choice(present) if present and random.random() < 0.8 else random.choice(fields)
    values = getattr(message, field.name)
    match random.randrange(4):
        case 0:
            message.ClearField(field.name)
        case 1 if field.is_repeated and len(values):
            if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
                values.add().CopyFrom(random.choice(values))
            else:
                values.append(random.choice(values))
        case 2 if field.is_repeated and len(values):
            del values[random.randrange(len(values))]
        case _ if field.is_repeated and len(values) and field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE:
            values[random.randrange(len(values))] = _value(field, random)
        case _:
            _set(message, field, random, 2)


def _is_map(field: Any) -> bool:
    return bool(field.message_type is not None and field.message_type.GetOptions().map_entry)
