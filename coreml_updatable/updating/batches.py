"""The order in which rows are learnt."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.updating.variants import Variants


class Order:
    """Mini-batches of row numbers, epoch after epoch. ``seed``: None where neither the model nor the app sets one."""

    def __init__(self, rows: int, seed: int | None, shuffle: bool, variants: Variants) -> None:
        generators = {"PCG64": np.random.PCG64, "MT19937": np.random.MT19937}
        if seed is None and variants.no_seed == "one order":
            seed = 0
        self._random = np.random.Generator(generators[variants.generator](None if seed is None else seed % 2**64))
        self._rows = rows
        self._shuffle = shuffle
        self._variants = variants

    def epoch(self, number: int, size: int) -> Iterator[NDArray[np.int64]]:
        """The mini-batches of epoch ``number``, at most ``size`` rows each."""
        order = np.arange(self._rows)
        shuffle = self._shuffle and (number > 0 or self._variants.first_epoch == "shuffled")
        if shuffle and self._variants.shuffled == "rows":
            order = self._random.permutation(self._rows)
        starts = np.arange(0, self._rows, size)
        if self._variants.last_mini_batch == "drop" and self._rows > size and self._rows % size:
            starts = starts[:-1]
        if shuffle and self._variants.shuffled == "mini-batches":
            starts = self._random.permutation(starts)
        for start in starts:
            yield order[start : start + size]
