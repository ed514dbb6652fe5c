"""What an extractor makes of rows, a block at a time: neither all pictures nor all blobs are held at once."""

from collections.abc import Iterable
from itertools import islice

import numpy as np

from coreml_updatable.data.inputs import Float32Array
from coreml_updatable.errors import ModelError
from coreml_updatable.marking import embedding_length
from coreml_updatable.runtime import Row, load, reference
from coreml_updatable.spec.messages import Model

AT_A_TIME = 256


@reference()
def embedded(extractor: Model, rows: Iterable[Row]) -> Float32Array:
    """float32 [n, D]: the extractor's one output for each row.

    They may be written into a k-NN, so the reference makes them.
    Raises ModelError for an embedding that is not finite, and what the runtime raises for a row that does not fit.
    """
    name, runnable = str(extractor.description.output[0].name), load(extractor)
    waiting, found = iter(rows), list[Float32Array]()
    while block := list(islice(waiting, AT_A_TIME)):
        numbers = range(len(found), len(found) + len(block))
        for number, answer in zip(numbers, runnable.predict(runnable.frozen(block, numbers)), strict=True):
            vector = np.asarray(answer[name], np.float32)
            if not np.isfinite(vector).all():
                raise ModelError(f"row {number}: the extractor returned NaN or infinite numbers; check its weights")
            found.append(vector)
    return np.stack(found) if found else np.zeros((0, embedding_length(extractor)), np.float32)
