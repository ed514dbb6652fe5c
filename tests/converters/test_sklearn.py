"""Every estimator's ``predict_proba``, answered by the converted model."""

import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, FactorAnalysis, FastICA, IncrementalPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.random_projection import SparseRandomProjection

from coreml_updatable.checking import check
from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.converting.finished import Finished, finish, probabilities
from coreml_updatable.converting.registry import find_converter, load_source_converter
from coreml_updatable.data.inputs import ArrayInput
from coreml_updatable.runtime import load
from coreml_updatable.updating import UpdateTask

ESTIMATORS: dict[str, Callable[[int], Any]] = {
    "logistic": lambda _: LogisticRegression(max_iter=20),
    "descended": lambda seed: SGDClassifier(loss="log_loss", max_iter=5, tol=None, alpha=0.1, random_state=seed),
    "relu": lambda seed: MLPClassifier((5, 3), max_iter=3, random_state=seed),
    "tanh": lambda seed: MLPClassifier((4,), activation="tanh", max_iter=3, random_state=seed),
    "sigmoid": lambda seed: MLPClassifier((4,), activation="logistic", solver="sgd", max_iter=3, random_state=seed),
    "identity": lambda seed: MLPClassifier((4,), activation="identity", solver="lbfgs", max_iter=3, random_state=seed),
    "discriminant": lambda _: LinearDiscriminantAnalysis(),
    "neighbors": lambda seed: KNeighborsClassifier(1 + seed % 4),
    "tree": lambda seed: KNeighborsClassifier(1 + seed % 4, algorithm="ball_tree", metric="minkowski", p=2),
}


def fitted(estimator: Any, seed: int, classes: int = 3, features: int = 4, names: Any = None) -> Any:
    """On 40 rows, most of them near the middle of their class."""
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), random.integers(classes, size=40 - classes)])
    rows = random.normal(size=(classes, features))[labels] + random.normal(size=(40, features))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that so few steps do not converge
        return estimator.fit(rows, labels if names is None else np.array(names)[labels])


def converted(source: Any, **options: Any) -> Finished:
    return finish(load_source_converter(find_converter("sklearn")), SourceRequest(source, **options))


def saved(estimator: Any, folder: Path) -> Path:
    skops.io.dump(estimator, folder / "estimator.skops")
    return folder / "estimator.skops"


@pytest.mark.parametrize("kind", ESTIMATORS)
@settings(max_examples=5)
@given(st.integers(0, 99), st.integers(2, 4), st.integers(1, 5), st.booleans(), st.booleans(), st.integers(0, 2))
def test_it_answers_predict_proba(
    kind: str, seed: int, classes: int, features: int, with_mean: bool, with_std: bool, scalers: int
) -> None:
    steps = [StandardScaler(with_mean=with_mean, with_std=with_std) for _ in range(scalers)]
    estimator = fitted(make_pipeline(*steps, ESTIMATORS[kind](seed)), seed, classes, features)
    result = converted(estimator)
    assert result.agreement.difference <= 1e-6
    assert result.agreement.rows > 0
    assert not check(result.model)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_file_gives_the_same_model_as_the_object_and_it_learns(kind: str, tmp_path: Path) -> None:
    estimator = fitted(make_pipeline(StandardScaler(), ESTIMATORS[kind](2)), 2, names=["a", "b", "c"])
    result = converted(saved(estimator, tmp_path), inputs=(ArrayInput("x", (4,)),))
    assert result.model == converted(estimator, inputs=(ArrayInput("x", (4,)),)).model
    rows = [{"x": row} for row in np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)]
    expected = estimator.predict_proba(np.stack([row["x"] for row in rows]))
    np.testing.assert_allclose(probabilities(load(result.model), rows, ("a", "b", "c")), expected, atol=1e-6)
    training = [{**row, "label": "c"} for row in rows]
    context = UpdateTask(result.model, training, parameters={} if not result.updatable else {"epochs": 30}).resume()
    learned = probabilities(context.model, rows, ("a", "b", "c"))[:, 2]
    assert learned.mean() > expected[:, 2].mean()


LINEAR: dict[str, Callable[[int], Any]] = {
    "range": lambda seed: MinMaxScaler((seed % 3 - 1, 5)),
    "max": lambda _: MaxAbsScaler(),
    "robust": lambda seed: RobustScaler(with_centering=seed % 2 == 0, with_scaling=seed % 3 > 0),
    "pca": lambda seed: PCA(1 + seed % 3, random_state=seed),
    "white": lambda seed: PCA(2, whiten=True, random_state=seed),
    "incremental": lambda _: IncrementalPCA(2, whiten=True),
    "svd": lambda seed: TruncatedSVD(2, random_state=seed),
    "factors": lambda _: FactorAnalysis(2),
    "independent": lambda seed: FastICA(3, random_state=seed),
    "random": lambda seed: SparseRandomProjection(3, random_state=seed),
    "discriminants": lambda _: LinearDiscriminantAnalysis(n_components=2),
    "eigen": lambda _: LinearDiscriminantAnalysis(solver="eigen", n_components=1),
    "best": lambda _: SelectKBest(f_classif, k=2),
    "identity": lambda _: FunctionTransformer(),
    "union": lambda seed: FeatureUnion(
        [("a", PCA(2, random_state=seed)), ("b", RobustScaler()), ("c", "passthrough")], transformer_weights={"a": 3}
    ),
    "columns": lambda _: ColumnTransformer(
        [("a", make_pipeline(StandardScaler(), PCA(1)), [2, 0]), ("b", MinMaxScaler((1, 2)), [1, 2])],
        remainder="passthrough", transformer_weights={"b": 2},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LINEAR)
@settings(max_examples=5)
@given(st.integers(0, 99), st.sampled_from([1e-3, 1.0, 1e4]))
def test_a_linear_transformer_is_one_formula(kind: str, seed: int, size: float) -> None:
    transformer = fitted(LINEAR[kind](seed), seed)
    rows = np.random.default_rng(seed).normal(size=(20, 4)) * size
    linear = import_module("coreml_updatable.converters.sklearn.linear").linear_of(transformer, "here")
    expected = transformer.transform(rows)
    np.testing.assert_allclose(linear.apply(rows), expected, rtol=1e-9, atol=1e-9 * size)
    np.testing.assert_allclose(transformer.transform(linear.undo(expected)), expected, rtol=1e-6, atol=1e-6 * size)


@pytest.mark.parametrize(
    ("kind", "classifier"), [("columns", "neighbors"), ("white", "relu"), ("range", "descended"), ("union", "logistic")]
)
def test_a_linear_transformer_is_a_step_of_the_model(kind: str, classifier: str) -> None:
    estimator = fitted(make_pipeline(LINEAR[kind](1), StandardScaler(), ESTIMATORS[classifier](1)), 1)
    result = converted(estimator)
    assert not check(result.model)
    rows = np.random.default_rng(5).normal(size=(20, 4)).astype(np.float32)
    output = probabilities(load(result.model), [{"features": row} for row in rows], (0, 1, 2))
    np.testing.assert_allclose(output, estimator.predict_proba(rows), atol=1e-5)


def test_a_file_of_a_column_transformer_is_read_without_trust(tmp_path: Path) -> None:
    estimator = fitted(make_pipeline(LINEAR["columns"](0), LINEAR["union"](0), LogisticRegression()), 1)
    result = converted(saved(estimator, tmp_path))
    assert result.agreement.difference <= 1e-5
    assert list(result.model.description.input[0].type.multiArrayType.shape) == [4]


def test_large_features_lose_no_digits_in_the_scaler() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(60, 3)) * [1, 100, 0.01] + [5000, -1e6, 40]
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, (rows[:, 0] > 5000).astype(int))
    assert converted(estimator).agreement.difference <= 1e-6


def test_nested_pipelines_passthrough_and_single_precision() -> None:
    inner = Pipeline([("scale", StandardScaler()), ("nothing", "passthrough"), ("none", None)])
    estimator = Pipeline([("inner", inner), ("last", LogisticRegression())])
    rows = np.random.default_rng(1).normal(size=(30, 2)).astype(np.float32)
    assert converted(estimator.fit(rows, rows[:, 0] > 0)).agreement.difference <= 1e-6


def test_labels_are_whole_numbers_text_or_those_given() -> None:
    numbers = converted(fitted(LogisticRegression(), 0)).model
    assert list(numbers.neuralNetworkClassifier.int64ClassLabels.vector) == [0, 1, 2]
    truth = converted(fitted(LogisticRegression(), 0, 2, names=[False, True])).model
    assert list(truth.neuralNetworkClassifier.stringClassLabels.vector) == ["False", "True"]
    given = converted(fitted(KNeighborsClassifier(), 0), labels=("x", "y", "z")).model
    assert set(given.kNearestNeighborsClassifier.stringClassLabels.vector) == {"x", "y", "z"}
