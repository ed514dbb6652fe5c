"""Which training pictures the k-NN twin remembers: few, and typical of their kind."""

from collections.abc import Sequence

import numpy as np

from coreml_updatable.conversion import Float32Array


def typical(embeddings: Float32Array, kinds: Sequence[str], per_kind: int, seed: int) -> list[int]:
    """Indices of at most ``per_kind`` pictures of each kind: those nearest to the centres that k-means finds in it.

    A k-NN only knows what it was given. A few pictures that stand for the rest answer as well as many, and leave the
    room between the kinds, where the owner's own pictures will lie, to the owner. ``embeddings`` float32 [n, D].
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    chosen: list[int] = []
    if per_kind == 0:
        return chosen
    with threadpool_limits(1):  # the sums' last bits depend on how many threads share them
        for kind in sorted(set(kinds)):
            members = np.flatnonzero(np.array(kinds) == kind)
            own = embeddings[members].astype(np.float64)
            distinct = min(per_kind, len(np.unique(own, axis=0)))
            centres = KMeans(distinct, n_init=3, random_state=seed).fit(own).cluster_centers_
            distances = ((own[:, None] - centres[None]) ** 2).sum(axis=2)
            chosen += sorted({int(members[at]) for at in distances.argmin(axis=0)})
    return chosen
