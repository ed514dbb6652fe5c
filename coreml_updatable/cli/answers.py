"""A model's answers as a table and as JSON."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from coreml_updatable.spec.messages import Model
from coreml_updatable.text import MAX_QUOTED, shortened, visible

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = 3  # probabilities, unless another number is asked for
VALUES_SHOWN = 4  # of an array
AS_TEXT = 160  # bytes of a number while it is written as JSON


def plain(answer: Mapping[str, Any], top: int | None) -> dict[str, Any]:
    """An answer as values that JSON has; of dictionaries the ``top`` greatest, or all."""
    return {name: _plain(value, top) for name, value in answer.items()}


def _plain(value: Any, top: int | None) -> Any:
    import numpy as np
    from PIL import Image

    from coreml_updatable.runtime import bounds

    if isinstance(value, Mapping):
        return {str(label): _plain(share, top) for label, share in _greatest(value, top or len(value))}
    if isinstance(value, np.ndarray | Image.Image):
        bounds.expect(AS_TEXT * np.asarray(value).size, f"an answer of {np.asarray(value).size} values as JSON")
        array = np.asarray(value)
        if array.dtype.kind in "biu" or (array.dtype.kind == "f" and np.isfinite(array).all()):
            return array.tolist()  # at once: one by one, a million numbers take seconds
        return _plain(array.tolist(), top)
    if isinstance(value, list | tuple):
        return [_plain(element, top) for element in value]
    if isinstance(value, np.generic):
        return _plain(value.item(), top)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def table(model: Model, answers: Sequence[tuple[str, Mapping[str, Any]]], top: int | None, room: int) -> "Table":
    """Input in ``room`` columns, then every output; for a classifier its label and the greatest probabilities."""
    from rich.table import Column, Table
    from rich.text import Text

    outputs = [str(feature.name) for feature in model.description.output]
    label = str(model.description.predictedFeatureName)
    outputs.sort(key=lambda name: name != label)
    # The first column is never folded, so that no part of a name begins a line.
    first = Column("input", no_wrap=True, overflow="ellipsis")
    made = Table(first, *(Column(Text(_named(name))) for name in outputs), box=None, pad_edge=False)
    for name, answer in answers:
        made.add_row(
            Text(visible(shortened(name, room))), *(Text(_short(answer.get(output), top)) for output in outputs)
        )
    return made


def _short(value: Any, top: int | None) -> str:
    import numpy as np
    from PIL import Image

    if isinstance(value, Mapping):
        return ", ".join(f"{_named(label)} {share:.3f}" for label, share in _greatest(value, top or SHOWN))
    if isinstance(value, Image.Image):
        return f"picture {value.width}x{value.height}"
    if isinstance(value, np.ndarray):
        shown = ", ".join(f"{number:.4g}" for number in value.ravel()[:VALUES_SHOWN])
        return f"{list(value.shape)} {shown}" + (", ..." if value.size > VALUES_SHOWN else "")
    return f"{value:.4g}" if isinstance(value, float) else _named(value)


def _greatest(shares: Mapping[Any, Any], count: int) -> list[tuple[Any, Any]]:
    """Largest first; equal ones stay in the model's order."""
    return sorted(shares.items(), key=lambda share: -share[1])[:count]


def _named(value: Any) -> str:
    return visible(shortened(str(value), MAX_QUOTED))
