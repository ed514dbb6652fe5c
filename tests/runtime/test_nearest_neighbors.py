"""k-nearest neighbors against scikit-learn, and the named assumptions against the formulas they name."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime import load
from coreml_updatable.runtime.assumptions import PredictionAssumptions
from coreml_updatable.runtime.neighbors.search import nearest
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model_pb2
from tests.broken_models import valid


def knn_model(
    samples: Any, labels: list[Any], neighbors: int = 3, inverse: bool = False, tree: bool = False, dimensions: int = 4
) -> Any:
    spec = Model_pb2.Model(specificationVersion=4, isUpdatable=True)
    feature = spec.description.input.add(name="v")
    feature.type.multiArrayType.shape.append(dimensions)
    feature.type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    spec.description.predictedFeatureName, spec.description.predictedProbabilitiesName = "label", "shares"
    classifier = spec.kNearestNeighborsClassifier
    classifier.numberOfNeighbors.defaultValue = neighbors
    index = classifier.nearestNeighborsIndex
    index.numberOfDimensions = dimensions
    index.squaredEuclideanDistance.SetInParent()
    if tree:
        index.singleKdTreeIndex.leafSize = 3
    else:
        index.linearIndex.SetInParent()
    for sample in samples:
        index.floatSamples.add().vector.extend(np.asarray(sample).tolist())
    (classifier.inverseDistanceWeighting if inverse else classifier.uniformWeighting).SetInParent()
    if labels and isinstance(labels[0], int):
        classifier.int64ClassLabels.vector.extend(labels)
        classifier.defaultInt64Label = -1
    else:
        classifier.stringClassLabels.vector.extend(labels)
        classifier.defaultStringLabel = "none"
    return spec


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 7), st.booleans(), st.booleans())
def test_votes_equal_scikit_learn(seed: int, neighbors: int, inverse: bool, tree: bool) -> None:
    random = np.random.default_rng(seed)
    samples, queries = (random.normal(size=(count, 4)).astype(np.float32) for count in (30, 9))
    labels = [f"l{number}" for number in random.integers(0, 4, 30)]
    spec = knn_model(samples, labels, neighbors, inverse, tree)
    assumptions = PredictionAssumptions(inverse_of="distance", tied_labels="first")
    answers = load(spec, assumptions=assumptions).predict([{"v": query} for query in queries])
    judge = KNeighborsClassifier(neighbors, weights="distance" if inverse else "uniform", algorithm="brute")
    shares = judge.fit(samples, labels).predict_proba(queries)
    result = np.array([[answer["shares"][label] for label in judge.classes_] for answer in answers])
    np.testing.assert_allclose(result, shares, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1000), st.integers(-28, 17))
def test_nearest_is_exact_far_from_the_origin_and_at_any_size(seed: int, offset: float, magnitude: int) -> None:
    random = np.random.default_rng(seed)
    size = 10.0**magnitude
    samples = ((random.normal(size=(50, 16)) * 0.01 + offset) * size).astype(np.float32)
    queries = ((random.normal(size=(5, 16)) * 0.01 + offset) * size).astype(np.float32)
    exact = ((queries[:, None].astype(np.float64) - samples[None]) ** 2).sum(-1)
    for query, (indices, distances) in enumerate(nearest(samples, queries, 7)):
        np.testing.assert_array_equal(indices, np.argsort(exact[query], kind="stable")[:7])
        np.testing.assert_allclose(distances, np.sort(exact[query])[:7])


def test_the_smallest_samples_find_themselves(random: Any) -> None:
    samples = (random.normal(size=(500, 4)) * 1e-22).astype(np.float32)  # their products underflow
    assert [int(indices[0]) for indices, _ in nearest(samples, samples, 1)] == list(range(500))


def test_linear_and_kd_tree_answer_equally(random: Any) -> None:
    samples, labels = random.normal(size=(40, 4)).astype(np.float32), list("abcd" * 10)
    rows = [{"v": query} for query in random.normal(size=(20, 4))]
    linear, tree = (load(knn_model(samples, labels, 5, True, tree)).predict(rows) for tree in (False, True))
    assert linear == tree


def test_empty_index_gives_the_default_label() -> None:
    assert load(knn_model([], [])).predict({"v": [0, 0, 0, 0]}) == {"label": "none", "shares": {"none": 1.0}}
    spec = knn_model([], [])
    spec.kNearestNeighborsClassifier.ClearField("defaultStringLabel")
    with pytest.raises(ModelError, match="no samples and no default label"):
        load(spec).predict({"v": [0, 0, 0, 0]})


def test_more_neighbours_than_samples_and_int64_labels() -> None:
    spec = knn_model([[0, 0, 0, 0], [1, 1, 1, 1]], [7, 9], neighbors=50)
    assert load(spec).predict({"v": [0, 0, 0, 0.1]}) == {"label": 7, "shares": {7: 0.5, 9: 0.5}}


def shares(labels: str, positions: list[float], at: float, neighbors: int = 3, **choices: Any) -> dict[str, Any]:
    spec = knn_model([[position] for position in positions], list(labels), neighbors, inverse=True, dimensions=1)
    result: dict[str, Any] = load(spec, assumptions=PredictionAssumptions(**choices)).predict({"v": [at]})
    return result


def test_inverse_of_what() -> None:
    assert shares("ab", [1, -2], 0)["shares"]["a"] == pytest.approx(1 / (1 + 1 / 4))
    assert shares("ab", [1, -2], 0, inverse_of="distance")["shares"]["a"] == pytest.approx(1 / (1 + 1 / 2))


def test_zero_distance() -> None:
    assert shares("aab", [0, 1, 0], 0)["shares"] == {"a": 0.5, "b": 0.5}
    assert shares("ab", [0, 1], 0, zero_distance="epsilon")["shares"]["b"] == pytest.approx(1e-7 / (1 + 2e-7))


def test_ties() -> None:
    uniform = knn_model([[3], [1], [1], [3]], list("abba"), 4, dimensions=1)
    assert load(uniform).predict({"v": [0]})["label"] == "b"
    assert load(uniform, assumptions=PredictionAssumptions(tied_labels="first")).predict({"v": [0]})["label"] == "a"
    assert shares("ab", [1, -1], 0, 1)["label"] == "a"
    assert shares("ab", [1, -1], 0, 1, tied_samples="latest")["label"] == "b"


def test_votes_and_what_is_listed() -> None:
    assert shares("abc", [1, -2, 9], 0, 2, probabilities="votes")["shares"] == {"a": 1.0, "b": 0.25, "c": 0.0}
    assert set(shares("abc", [1, -2, 9], 0, 2, listed="neighbors")["shares"]) == {"a", "b"}


def test_faults_are_named() -> None:
    for change, message in (
        (lambda c: c.stringClassLabels.vector.append("x"), "1 samples and 2 labels"),
        (
            lambda c: c.nearestNeighborsIndex.floatSamples[0].vector.append(1),
            "sample 0 has 5 values, but the index has 4",
        ),
        (lambda c: setattr(c.numberOfNeighbors, "defaultValue", 0), "numberOfNeighbors is 0"),
        (lambda c: setattr(c.nearestNeighborsIndex, "numberOfDimensions", 2**31 - 1), "sample 0 has 4 values"),
    ):
        spec = knn_model([[0, 0, 0, 0]], ["a"])
        change(spec.kNearestNeighborsClassifier)
        with pytest.raises(ModelError, match=message):
            load(spec)
    with pytest.raises(ModelError, match="sample 0 contains NaN or infinite numbers"):
        load(knn_model([[0, 0, 0, np.inf]], ["a"]))
    model = load(knn_model([[0, 0, 0, 0]], ["a"]))
    with pytest.raises(DataError, match="feature 'v': contains NaN or infinite numbers"):
        model.predict({"v": [1, 2, 3, np.inf]})
    with pytest.raises(DataError, match=r"feature 'v': has the shape \[3\], but the model expects \[4\]"):
        model.predict({"v": [1, 2, 3]})
    wrong = knn_model([[0, 0, 0, 0]], ["a"])
    wrong.description.input[0].type.multiArrayType.shape[0] = 3
    with pytest.raises(ModelError, match="has 3 values, but the index has 4 dimensions"):
        load(wrong).predict({"v": [1, 2, 3]})
    assert model.predict({"v": [1, 2, 3, 4]}, intermediate=True)["v"].tolist() == [1, 2, 3, 4]


def test_values_too_large_for_single_precision_are_still_measured() -> None:
    samples = np.array([[3e38, 0], [-3e38, 0], [1e38, 0]], np.float32)
    (result,) = nearest(samples, np.array([[2.5e38, 0]], np.float32), 3)
    assert result[0].tolist() == [0, 2, 1]


def test_features_that_it_does_not_know_are_named_beside_those_it_reads() -> None:
    model = load(valid.filled_nearest_neighbors())
    with pytest.raises(DataError) as caught:
        model.predict({"embedding": [0.0] * 4, "colour": "red"})
    assert (
        str(caught.value) == "row 0: the model has no feature 'colour', expected only 'embedding', 'label'; remove it"
    )


def test_rows_together_are_rows_one_by_one(random: Any) -> None:
    model = load(knn_model(random.normal(size=(30, 4)), [*"abcde"] * 6, 3, inverse=True))
    vectors = random.normal(size=(6, 4)).astype(np.float32)
    alike = [{"v": vector} for vector in vectors]
    mixed: list[dict[str, Any]] = [
        {"v": vector.tolist() if index == 2 else vector} for index, vector in enumerate(vectors)
    ]
    one_by_one = [model.predict(row) for row in alike]
    assert model.predict(alike) == one_by_one == model.predict(mixed)


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ({"v": np.array([1, np.nan, 0, 0], np.float32)}, r"row 2: feature 'v': is NaN at \[1\]"),
        ({"v": np.array([1, np.inf, 0, 0], np.float32)}, "row 2: feature 'v': contains NaN or infinite numbers"),
        ({"v": np.zeros(3, np.float32)}, r"row 2: feature 'v': has the shape \[3\], but the model expects \[4\]"),
        ({"v": np.zeros(4, np.float32), "w": 1}, "row 2: the model has no feature 'w'"),
        ({}, "row 2: feature 'v' is missing"),
        ([], "row 2: is a list, expected a mapping"),
    ],
)
def test_a_spoilt_row_among_others_is_named(spoilt: Any, said: str) -> None:
    model = load(knn_model([[0, 0, 0, 0]], ["a"]))
    rows: list[Any] = [{"v": np.full(4, index, np.float32)} for index in range(4)]
    rows[2] = spoilt
    with pytest.raises(DataError, match=said):
        model.predict(rows)
