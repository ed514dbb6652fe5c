"""Collections in files of their own, instead of a picture a file: MNIST's idx files, the strokes of Quick, Draw!"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from coreml_updatable.building.data.idx import find_idx, read_idx
from coreml_updatable.building.data.quickdraw import find_quickdraw, read_quickdraw
from coreml_updatable.errors import DataError
from coreml_updatable.sample_code import called

Found = tuple[str, str, Image.Image, bool | None]  # kind, name, picture, whether its collection keeps it for testing
Adapt = Callable[[str, int, Image.Image], Any]


def find_collection(folder: Path) -> str | None:
    """What ``folder`` holds, in words; None where it is no such collection."""
    if find_idx(folder):
        return "pictures of MNIST's files (its own test pictures kept for the test)"
    return "drawings of Quick, Draw!" if find_quickdraw(folder) else None


def read_collection(folder: Path, most: int | None, adapt: Adapt | None) -> list[Found]:
    """Every picture, ``adapt``ed by the sample: (kind, number within its kind, picture) -> (kind, picture)."""
    if find_idx(folder):
        found: list[Found] = list(read_idx(folder, most))
    else:
        found = [(*one, None) for path in find_quickdraw(folder) for one in read_quickdraw(path, most)]
    if adapt is None:
        return found
    counts: dict[str, int] = {}
    adapted: list[Found] = []
    for kind, name, picture, test in found:
        counts[kind] = counts.get(kind, 0) + 1
        what = f"data.adapt: adapting {name} of {kind!r}"
        match called(what, adapt, kind, counts[kind], picture):
            case (str(new_kind), Image.Image() as changed):
                adapted.append((new_kind, name, changed, test))
            case other:
                raise DataError(f"{what} gave {other!r:.60}, expected (kind, PIL image); correct it")
    return adapted
