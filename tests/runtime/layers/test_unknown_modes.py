"""Modes that a newer format might add: named and refused, never taken for another one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from coreml_updatable.errors import ModelError

VOLUME = np.ones((1, 1, 3, 3, 3), np.float32)
BOXES = np.zeros((1, 1, 4, 1, 1), np.float32)
Add = Callable[[Any], Any]


def pool3d(builder: Any) -> None:
    builder.add_pooling3d("it", "x", "y", "MAX", 1, 1, 1, 1, 1, 1)


def crop_resize(builder: Any) -> None:
    builder.add_crop_resize("it", ["x", "boxes"], "y", 2, 2)


MODES: list[tuple[Add, str, str]] = [
    (lambda b: b.add_reduce("it", "x", "y", "C", "sum"), "reduce.mode", "mode 99 or axis 2 is newer"),
    (lambda b: b.add_reduce("it", "x", "y", "C", "sum"), "reduce.axis", "mode 0 or axis 99 is newer"),
    (lambda b: b.add_resize_bilinear("it", "x", "y"), "resizeBilinear.mode.samplingMethod", r".* in mode 99, expected"),
    (crop_resize, "cropResize.mode.samplingMethod", r".* in mode 99, expected"),
    (crop_resize, "cropResize.boxIndicesMode.boxMode", "boxMode 99 is newer"),
    (lambda b: b.add_slice("it", "x", "y", "width", 0, 1), "slice.axis", "stride 1 along axis 99, expected"),
    (lambda b: b.add_reorganize_data("it", "x", "y"), "reorganizeData.mode", "mode 99 with blockSize 2, expected"),
    (lambda b: b.add_pooling("it", 1, 1, 1, 1, "MAX", "VALID", "x", "y"), "pooling.type", "pooling type 99 is not"),
    (pool3d, "pooling3d.type", "pooling type 99 is newer"),
    (pool3d, "pooling3d.paddingType", "paddingType 99 is newer"),
    (lambda b: b.add_global_pooling3d("it", "x", "y", "MAX"), "globalPooling3d.type", "pooling type 99 is newer"),
]


@pytest.mark.parametrize(("add", "path", "message"), MODES)
def test_unknown_mode(answers: Any, add: Add, path: str, message: str) -> None:
    def edit(layer: Any) -> None:
        *outer, name = path.split(".")
        for step in outer:
            layer = getattr(layer, step)
        setattr(layer, name, 99)

    with pytest.raises(ModelError, match=f"layer 'it': {message}"):
        answers(add, [{"x": VOLUME, "boxes": BOXES}], edit=edit)
