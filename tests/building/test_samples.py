"""The k-NN's samples are spread over their kind, and the same for the same seed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import make_blobs

from coreml_updatable.building.models_stage import typical


def test_each_heap_of_a_kind_gets_a_sample() -> None:
    points, heaps = make_blobs(120, 8, centers=6, cluster_std=0.05, random_state=0)
    kinds = ["even" if heap % 2 == 0 else "odd" for heap in heaps]
    chosen = typical(points.astype(np.float32), kinds, 3, seed=0)
    assert sorted(heaps[chosen].tolist()) == [0, 1, 2, 3, 4, 5]


@given(
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    per_kind=st.integers(0, 15),
    seed=st.integers(0, 5),
    same=st.booleans(),
)
def test_at_most_as_many_as_asked_and_as_there_are(counts: list[int], per_kind: int, seed: int, same: bool) -> None:
    kinds = [str(kind) for kind, count in enumerate(counts) for _ in range(count)]
    random = np.random.default_rng(seed)
    points = np.ones((len(kinds), 4), np.float32) if same else random.normal(size=(len(kinds), 4)).astype(np.float32)
    chosen = typical(points, kinds, per_kind, seed)
    assert chosen == typical(points, kinds, per_kind, seed)
    assert len(set(chosen)) == len(chosen)
    for kind, count in enumerate(counts):
        result = sum(kinds[at] == str(kind) for at in chosen)
        assert result <= min(per_kind, 1 if same else count)
        assert (result > 0) == (per_kind > 0)
