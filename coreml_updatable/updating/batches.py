"""The order in which rows are learnt."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.updating.variants import Variants


class Order:
    """Mini-batches of row numbers, epoch after epoch."""

    def __init__(self, rows: int, seed: int, shuffle: bool, variants: Variants) -> None:
        generators = {"PCG64": np.random.PCG64, "MT19937": np.random.MT19937}
        self._random = np.random.Generator(generators[variants.generator](seed % 2**64))
        self._rows = rows
        self._shuffle = shuffle
        self._variants = variants

    def epoch(self, number: int, size: int) -> Iterator[NDArray[np.int64]]:
        """The mini-batches of epoch ``number``, at most ``size`` rows each."""
        order = np.arange(self._rows)
        if self._shuffle and (number > 0 or self._variants.first_epoch == "shuffled"):
            order = self._random.permutation(self._rows)
        drop = self._variants.last_mini_batch == "drop" and self._rows > size
        for start in range(0, self._rows, size):
            batch = order[start : start + size]
            if drop and len(batch) < size:
                return
            yield batch
