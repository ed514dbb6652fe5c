"""k-NN through ``predict`` against one bare float32 matrix product of that size and scikit-learn's brute force.

20,000 samples have the 1,280 dimensions of MobileNetV2; the million has 128, so that four copies of it fit in memory.
Five neighbors are asked for.
"""

from collections.abc import Iterator

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.figure import Figure
from benchmarks.interleaved import interleaved, milliseconds, ratio
from coreml_updatable.runtime.neighbors.classifier import NearestNeighborsModel
from coreml_updatable.spec.messages import Model_pb2

SIZES = (
    (20_000, 1280, 200, 15),
    (20_000, 1280, 32, 15),
    (20_000, 1280, 1, 15),
    (1_000_000, 128, 64, 3),
)  # samples, dimensions, queries, repeats


def figures() -> Iterator[Figure]:
    from sklearn.neighbors import NearestNeighbors

    for count, dimensions, asked, repeats in SIZES:
        random = np.random.default_rng(0)
        samples = random.standard_normal((count, dimensions), np.float32)
        queries = random.standard_normal((asked, dimensions), np.float32)
        rows = [{"x": query} for query in queries]
        model = _empty(dimensions).updated(samples, [index % 10 for index in range(count)])
        brute = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(samples)
        functions = {
            "ours": lambda: model.predict(rows),  # noqa: B023
            "matrix product": lambda: queries @ samples.T,  # noqa: B023
            "scikit-learn": lambda: brute.kneighbors(queries),  # noqa: B023
        }
        for threads in (1, 2):
            with threadpool_limits(threads):
                times = interleaved(functions, repeats, threads=threads)
            for peer, bound in (("matrix product", 1.3), ("scikit-learn", 1.0)):
                yield Figure(
                    f"k-NN, {asked} of {count:,} x {dimensions}, {threads} thread(s)",
                    milliseconds(times["ours"]),
                    f"{ratio(times['ours'], times[peer]):.2f} times {peer}; at most {bound}",
                    f"{milliseconds(times[peer])} {peer}",
                    seconds={which: times[which] for which in ("ours", peer)},
                )


def _empty(dimensions: int) -> NearestNeighborsModel:
    model = Model_pb2.Model(specificationVersion=4, isUpdatable=True)
    array = model.description.input.add(name="x").type.multiArrayType
    array.dataType = 65568
    array.shape.append(dimensions)
    model.description.output.add(name="label").type.int64Type.SetInParent()
    model.description.predictedFeatureName = "label"
    classifier = model.kNearestNeighborsClassifier
    classifier.nearestNeighborsIndex.numberOfDimensions = dimensions
    classifier.nearestNeighborsIndex.linearIndex.SetInParent()
    classifier.nearestNeighborsIndex.squaredEuclideanDistance.SetInParent()
    classifier.numberOfNeighbors.defaultValue = 5
    classifier.uniformWeighting.SetInParent()
    classifier.int64ClassLabels.SetInParent()
    classifier.defaultInt64Label = 0
    return NearestNeighborsModel(model)
