"""The k-NN variant: same extractor, neighbors behind it, checked against torch and scikit-learn's votes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

import coreml_updatable as cu
from coreml_updatable.checking import check
from coreml_updatable.errors import ModelError
from coreml_updatable.marking import (
    describe,
    embedding_length,
    extractor,
    knn_variant,
    mark,
    sample_counts,
    samples_of,
    with_samples,
)
from coreml_updatable.marking.settings import SGD, DoubleParameter, Int64Parameter, KNNSettings, UpdateSettings
from coreml_updatable.runtime import load
from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of, pipeline_of
from tests.broken_models import valid
from tests.marking.networks import LABELS, NETWORKS, PooledLinear, converted, network

SETTINGS = KNNSettings(Int64Parameter(3, range=(1, 15)), weighting="uniform")
UPDATE = UpdateSettings(SGD(DoubleParameter(0.1), Int64Parameter(1), DoubleParameter(0.0)), Int64Parameter(1))


def pictures(count: int) -> torch.Tensor:
    return torch.rand(count, 3, 12, 12, generator=torch.Generator().manual_seed(2))


def embeddings(model: Model, given: torch.Tensor) -> np.ndarray:
    runnable = load(model)
    return np.stack([runnable.predict({"image": row[None].numpy()})["embedding"] for row in given])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_twin_keeps_every_rule(name: str) -> None:
    model = knn_variant(converted(name), SETTINGS)
    assert check(model) == []
    assert check(with_samples(model, np.ones((2, embedding_length(extractor(converted(name))))), ["a", "b"])) == []


@pytest.mark.parametrize("name", NETWORKS)
def test_the_embedding_has_rank_1(name: str) -> None:
    alone = extractor(converted(name))
    shape = NETWORKS[name][1]
    answer = load(alone).predict({"image": np.ones(shape, np.float32)})["embedding"]
    assert answer.shape == (embedding_length(alone),)
    assert list(alone.description.output[0].type.multiArrayType.shape) == list(answer.shape)
    assert check(alone) == []


def test_the_embedding_is_what_torch_feeds_the_head() -> None:
    torch_network = network("pooled linear, logits")
    assert isinstance(torch_network, PooledLinear)
    given = pictures(3)
    with torch.no_grad():
        expected = torch_network.front(given).mean((2, 3))
    np.testing.assert_allclose(embeddings(extractor(converted("pooled linear, logits")), given), expected, atol=1e-6)


def test_linear_layers_in_a_row_are_one_head() -> None:
    """The embedding is what the first of them reads, and only the last of them is marked."""
    name = "two linear layers in a row"
    given = torch.rand(3, 5, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = network(name)[1](network(name)[0](given))  # type: ignore[index]
    np.testing.assert_allclose(embeddings(extractor(converted(name)), given), expected, atol=1e-6)
    marked = network_of(mark(converted(name), UPDATE, labels=LABELS))
    assert [layer.innerProduct.outputChannels for layer in marked.layers if layer.isUpdatable] == [3]


def test_an_embedding_that_is_still_a_map_is_averaged() -> None:
    alone = extractor(converted("convolution before pooling"))
    front = network("convolution before pooling")
    given = pictures(2)
    with torch.no_grad():
        expected = front[1](front[0](given)).mean((2, 3))  # type: ignore[index]
    np.testing.assert_allclose(embeddings(alone, given), expected, atol=1e-6)


def test_an_old_network_keeps_its_meaning_under_the_exact_mapping() -> None:
    old = valid.classifier()
    row = {"image": np.random.default_rng(0).normal(size=(3, 8, 8))}
    expected = load(old).predict(row, intermediate=True)["flatten"].reshape(-1)
    np.testing.assert_allclose(load(extractor(old)).predict(row)["embedding"], expected, atol=1e-6)
    assert check(knn_variant(old, SETTINGS)) == []


def test_the_frozen_extractor_carries_no_mark() -> None:
    marked = mark(converted("two layers"), UPDATE, labels=LABELS, last=2)
    front = pipeline_of(knn_variant(marked, SETTINGS)).models[0]
    assert not front.isUpdatable
    for layer in network_of(front).layers:
        assert not layer.isUpdatable
        assert not layer.innerProduct.weights.isUpdatable


def test_twins_of_a_model_and_of_the_marked_model_are_equal() -> None:
    plain = converted("pooled linear, softmax", image=True)
    assert model_bytes(knn_variant(plain, SETTINGS)) == model_bytes(
        knn_variant(mark(plain, UPDATE, labels=LABELS), SETTINGS)
    )


def test_features_are_those_of_the_classifier() -> None:
    marked = mark(converted("pooled linear, softmax", image=True), UPDATE, labels=LABELS)
    marked = describe(marked, features={"image": "A meal.", "label": "What it is."}, description="Meals.", author="me")
    result = knn_variant(marked, SETTINGS).description
    assert list(result.input) == list(marked.description.input)
    assert list(result.output) == list(marked.description.output)
    assert list(result.trainingInput) == list(marked.description.trainingInput)
    assert result.metadata == marked.description.metadata


def test_an_empty_twin_answers_its_default_label() -> None:
    model = knn_variant(converted("two layers"), SETTINGS)
    assert load(model).predict({"image": np.ones((1, 5), np.float32)})["label"] == "unknown"
    numbers = knn_variant(converted("two layers"), KNNSettings(Int64Parameter(1), default_label=-1))
    assert load(numbers).predict({"image": np.ones((1, 5), np.float32)})["label"] == -1
    assert check(numbers) == []


def test_a_filled_twin_votes_as_scikit_learn_does() -> None:
    random = np.random.default_rng(5)
    name = "pooled linear, softmax"
    known, asked = pictures(12), pictures(20)[12:]
    labels = [str(label) for label in random.choice(LABELS, 12)]
    alone = extractor(converted(name))
    filled = with_samples(knn_variant(converted(name), SETTINGS), embeddings(alone, known), labels)
    judge = KNeighborsClassifier(3).fit(embeddings(alone, known), labels)
    runnable = load(filled)
    for row, chances in zip(asked, judge.predict_proba(embeddings(alone, asked)), strict=True):
        said = runnable.predict({"image": row[None].numpy()})["labelProbability"]
        np.testing.assert_allclose([said.get(label, 0.0) for label in judge.classes_], chances, atol=1e-9)


@given(st.lists(st.sampled_from(["a", "b", "unseen"]), max_size=9))
def test_samples_come_back_as_given(labels: list[str]) -> None:
    values = np.random.default_rng(len(labels)).normal(size=(len(labels), valid.EMBEDDING)).astype(np.float32)
    filled = with_samples(valid.pipeline(), values, labels)
    result = samples_of(filled)
    assert list(result.labels) == labels
    np.testing.assert_array_equal(result.embeddings.reshape(values.shape), values)
    assert sample_counts(filled) == {label: labels.count(label) for label in labels}
    assert model_bytes(with_samples(filled, values, labels)) == model_bytes(filled)


@pytest.mark.parametrize(
    ("values", "labels", "sentence"),
    [
        (np.ones((2, 3)), ["a", "b"], r"have the shape \(2, 3\), expected \(2, 4\)"),
        (np.ones((1, 4)), ["a", "b"], r"have the shape \(1, 4\), expected \(2, 4\)"),
        (np.full((1, 4), np.nan), ["a"], "contains NaN or infinite numbers"),
        (np.ones((1, 4)), [3], "the label 3 has another type than the default label, expected strings"),
    ],
)
def test_wrong_samples_are_refused(values: np.ndarray, labels: list[str], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        with_samples(valid.pipeline(), values, labels)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (KNNSettings(Int64Parameter(0)), "numberOfNeighbors: allows 0"),
        (KNNSettings(Int64Parameter(3), weighting="inverse"), "weighting: found 'inverse'"),
        (KNNSettings(Int64Parameter(3), index="ball"), "index: found 'ball', expected 'linear' or 'kd-tree'"),
        (KNNSettings(Int64Parameter(3), index="kd-tree", leaf_size=0), "leaf_size: found 0, expected 1 to"),
    ],
)
def test_wrong_settings_are_refused(settings: KNNSettings, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        knn_variant(converted("two layers"), settings)


def test_a_kd_tree_is_written() -> None:
    model = knn_variant(
        converted("two layers"), KNNSettings(Int64Parameter(3, allowed=(1, 3)), index="kd-tree", leaf_size=10)
    )
    index = pipeline_of(model).models[1].kNearestNeighborsClassifier.nearestNeighborsIndex
    assert index.singleKdTreeIndex.leafSize == 10
    assert check(model) == []


def test_samples_of_a_network_are_refused() -> None:
    with pytest.raises(ModelError, match="expected a k-nearest-neighbors classifier"):
        samples_of(valid.plain())


def test_a_taken_name_for_the_embedding_is_refused() -> None:
    with pytest.raises(ModelError, match="a blob is already named 'image'"):
        extractor(converted("two layers"), embedding="image")


class Recurrent(torch.nn.Module):
    """coremltools writes torch's GRU as a loop, whose layer names no outputs."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.gru, self.head = torch.nn.GRU(3, 4, batch_first=True), torch.nn.Linear(4, 3)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.head(self.gru(values)[0].mean(1))
        return answer


def test_an_extractor_keeps_the_loops_that_its_embedding_comes_from() -> None:
    network = Recurrent().eval()
    model = cu.convert(network, converter="torch", inputs=["x:5x3:array"], labels=LABELS)
    assert any(layer_kind(layer) == "loop" for layer in network_of(model.message).layers)
    rows = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
    result = cu.knn(model, [{"x": row, "label": LABELS[0]} for row in rows])
    with torch.no_grad():
        expected = network.gru(torch.from_numpy(rows))[0].mean(1).numpy()
    np.testing.assert_allclose(samples_of(result.message).embeddings, expected, atol=1e-5)
