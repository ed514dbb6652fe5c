"""Modes that a newer format might add: named and refused, never taken for another one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.messages import NeuralNetwork_pb2

VOLUME = np.ones((1, 1, 3, 3, 3), np.float32)
BOXES = np.zeros((1, 1, 4, 1, 1), np.float32)
Add = Callable[[Any], Any]


def pool3d(builder: Any) -> None:
    builder.add_pooling3d("it", "x", "y", "MAX", 1, 1, 1, 1, 1, 1)


def crop_resize(builder: Any) -> None:
    builder.add_crop_resize("it", ["x", "boxes"], "y", 2, 2)


MODES: list[tuple[Add, str, str]] = [
    (lambda b: b.add_reduce("it", "x", "y", "C", "sum"), "reduce.mode", "mode {} or axis 2 is not known"),
    (lambda b: b.add_reduce("it", "x", "y", "C", "sum"), "reduce.axis", "mode 0 or axis {} is not known"),
    (lambda b: b.add_resize_bilinear("it", "x", "y"), "resizeBilinear.mode.samplingMethod", r".* in mode {}, expected"),
    (crop_resize, "cropResize.mode.samplingMethod", r".* in mode {}, expected"),
    (crop_resize, "cropResize.boxIndicesMode.boxMode", "boxMode {} is not known"),
    (lambda b: b.add_slice("it", "x", "y", "width", 0, 1), "slice.axis", "stride 1 along axis {}, expected"),
    (lambda b: b.add_reorganize_data("it", "x", "y"), "reorganizeData.mode", "mode {} with blockSize 2, expected"),
    (lambda b: b.add_pooling("it", 1, 1, 1, 1, "MAX", "VALID", "x", "y"), "pooling.type", "pooling type {} is not"),
    (pool3d, "pooling3d.type", "pooling type {} is not known"),
    (pool3d, "pooling3d.paddingType", "paddingType {} is not known"),
    (lambda b: b.add_global_pooling3d("it", "x", "y", "MAX"), "globalPooling3d.type", "pooling type {} is not known"),
]


@pytest.mark.parametrize("beyond", [1, 50])
@pytest.mark.parametrize(("add", "path", "message"), MODES)
def test_unknown_mode(answers: Any, add: Add, path: str, message: str, beyond: int) -> None:
    """The first number after the modes of the format, and a far one."""
    *outer, name = path.split(".")
    field = NeuralNetwork_pb2.NeuralNetworkLayer.DESCRIPTOR
    for step in outer:
        field = field.fields_by_name[step].message_type
    unknown = max(value.number for value in field.fields_by_name[name].enum_type.values) + beyond

    def edit(layer: Any) -> None:
        for step in outer:
            layer = getattr(layer, step)
        setattr(layer, name, unknown)

    with pytest.raises(ModelError, match=f"layer 'it': {message.format(unknown)}"):
        answers(add, [{"x": VOLUME, "boxes": BOXES}], edit=edit)
