"""How a report shows rows that are no pictures: as the sample's own code draws them, or as a plain plot."""

import dataclasses
from typing import Any

import numpy as np
from PIL import Image

from coreml_updatable.building.recipe import ArraySection
from coreml_updatable.building.request import BuildRequest
from coreml_updatable.conversion import Examples, UInt8Array
from coreml_updatable.errors import DataError
from coreml_updatable.publishing.array_plot import SIZE, plotted
from coreml_updatable.sample_code import called, load_function


def as_pictures(request: BuildRequest, examples: Examples) -> Examples:
    """``examples`` with pictures in the place of arrays; pictures stay what they are."""
    if not isinstance(request.recipe.input, ArraySection):
        return examples
    reference = request.recipe.data.show
    if reference is None:
        drawn = [plotted(values) for values in examples.values]
    else:
        show = load_function(request.folder, reference, request.recipe.trust_code)
        drawn = [
            _shown(called(f"{reference}: showing a row", show, values.copy()), reference) for values in examples.values
        ]
    empty = np.zeros((0, *SIZE, 3), np.uint8)
    return dataclasses.replace(examples, values=np.stack(drawn) if drawn else empty)


def _shown(picture: Any, reference: str) -> UInt8Array:
    if not isinstance(picture, Image.Image):
        raise DataError(f"{reference}: gave a {type(picture).__name__}, expected a PIL image; correct it")
    return np.asarray(picture.convert("RGB").resize(SIZE[::-1]), np.uint8)
