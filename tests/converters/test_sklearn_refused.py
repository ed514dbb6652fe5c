"""Estimators and files that cannot be converted: every sentence of refusal."""

import pickle
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.metrics._dist_metrics import METRIC_MAPPING64
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    StandardScaler,
)

from coreml_updatable.data.inputs import ArrayInput, ImageInput
from coreml_updatable.errors import SourceError
from tests.converters.test_sklearn import converted, fitted, saved


def sparse_neighbors() -> Any:
    from scipy.sparse import csr_matrix

    return KNeighborsClassifier(1).fit(csr_matrix(np.eye(3)), [0, 1, 2])


def several_labels() -> Any:
    return fitted(MLPClassifier((2,), max_iter=1), 0, names=[[1, 0], [0, 1], [1, 1]])


def alike() -> Any:
    return KNeighborsClassifier(1).fit(np.zeros((4, 2)), [0, 1, 0, 1])


def broken(**attributes: Any) -> Any:
    estimator = fitted(LogisticRegression(), 0)
    for name, value in attributes.items():
        setattr(estimator, name, value)
    return estimator


def without(attribute: str) -> Any:
    estimator = fitted(LogisticRegression(), 0)
    delattr(estimator, attribute)
    return estimator


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: LogisticRegression(), "source: the LogisticRegression is not fitted; fit it"),
        (lambda: make_pipeline(StandardScaler()), "source: step 1 (StandardScaler): is not fitted; fit it"),
        (lambda: "text", "source: is a str, expected a fitted KNeighborsClassifier, LogisticRegression"),
        (lambda: Pipeline([("nothing", "passthrough")]), "the Pipeline has no steps, expected a classifier"),
        (lambda: fitted(GaussianNB(), 0), "source: is a GaussianNB, expected a fitted KNeighborsClassifier"),
        (lambda: fitted(RidgeClassifier(), 0), "source: is a RidgeClassifier, expected a fitted"),
        (
            lambda: StandardScaler().fit(np.eye(3)),
            "the StandardScaler does not predict a single label, expected a fitted",
        ),
        (
            lambda: fitted(make_pipeline(StandardScaler(), Normalizer(), LogisticRegression()), 0),
            "step 2 (Normalizer): cannot be converted, expected a linear step before the classifier",
        ),
        (
            lambda: fitted(make_pipeline(MinMaxScaler(clip=True), LogisticRegression()), 0),
            "step 1 (MinMaxScaler): cuts values off with clip=True, expected a linear step before the classifier",
        ),
        (
            lambda: fitted(make_pipeline(FunctionTransformer(np.square), LogisticRegression()), 0),
            "step 1 (FunctionTransformer): applies a function, expected a linear step before the classifier",
        ),
        (
            lambda: fitted(make_column_transformer((KBinsDiscretizer(2), [0])), 0),
            "the ColumnTransformer does not predict a single label",
        ),
        (
            lambda: fitted(make_pipeline(make_column_transformer((OneHotEncoder(), [0])), LogisticRegression()), 0),
            "step 1 (ColumnTransformer), OneHotEncoder: cannot be converted",
        ),
        (lambda: fitted(SGDClassifier(), 0), "SGDClassifier with the loss 'hinge' has no probabilities"),
        (
            lambda: fitted(KNeighborsClassifier(p=1), 0),
            "with the metric 'manhattan', but Core ML has only the Euclidean",
        ),
        (lambda: fitted(KNeighborsClassifier(weights="distance"), 0), "with the weights 'distance', but Apple does"),
        (
            lambda: fitted(KNeighborsClassifier(weights=np.ones_like), 0),
            "with the weights a function, but Apple does",
        ),
        (sparse_neighbors, "KNeighborsClassifier was fitted on a sparse matrix; fit it on a dense array"),
        (alike, "are so similar that the nearest ones are undecided everywhere; fit it on samples that differ"),
        (lambda: broken(classes_=np.array([1])), "source: has 1 class, expected two or more"),
        (
            several_labels,
            "the MLPClassifier predicts several labels at once, expected one; fit it with one label per row",
        ),
        (
            lambda: broken(coef_=np.ones((2, 4))),
            "source: coef_ has the shape [2, 4], expected finite numbers [3, 4]; fit it again and save it",
        ),
        (lambda: broken(coef_=np.full((3, 4), np.nan)), "source: coef_ holds NaN or infinity, expected finite numbers"),
        (lambda: broken(intercept_=np.ones(2)), "source: the estimator is incomplete (ValueError: "),
        (lambda: without("intercept_"), "source: the estimator is incomplete (AttributeError: "),
        (lambda: broken(n_features_in_="many"), "source: the estimator is incomplete (ValueError: "),
    ],
)
def test_what_is_refused(make: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(SourceError) as error:
        converted(make())
    assert sentence in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_more_neighbors_than_samples() -> None:
    with pytest.raises(SourceError, match=r"predict_proba failed \(ValueError: .*; fit the estimator again"):
        converted(KNeighborsClassifier(5).fit(np.eye(3), [0, 1, 2]))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"inputs": (ArrayInput("x", (5,)),)},
            "input 'x': does not fit the estimator, expected one array of 4 numbers",
        ),
        (
            {"inputs": (ImageInput("x", 2, 2, "grayscale"),)},
            "does not fit the estimator, expected one array of 4 numbers",
        ),
        (
            {"inputs": (ArrayInput("x", (4,)), ArrayInput("y", (4,)))},
            "expected one array of 4 numbers; pass --input x:4",
        ),
        ({"labels": ("a", "b")}, "labels: found 2 for an estimator with 3 classes"),
    ],
)
def test_inputs_and_labels_that_do_not_fit(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SourceError) as error:
        converted(fitted(LogisticRegression(), 0), **options)
    assert sentence in str(error.value)


@pytest.mark.parametrize("ending", [".pkl", ".pickle", ".joblib"])
def test_a_pickle_is_never_read(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine{ending}"
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(
        SourceError, match=r"is a pickle; loading it would run code.*; save .* skops.io.dump\(estimator, 'mine.sk"
    ):
        converted(path)
    assert not (tmp_path / "ran").exists()


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_a_file_that_is_no_skops_file(tmp_path: Path) -> None:
    path = tmp_path / "estimator.skops"
    path.write_bytes(b"no archive")
    with pytest.raises(
        SourceError, match=r"is not a skops file \(File is not a zip file\); save the estimator with skops"
    ):
        converted(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.json", "{}")
    with pytest.raises(SourceError, match=r"an archive without a schema.json, expected a skops file"):
        converted(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", '{"__class__": "dict"')
    with pytest.raises(
        SourceError, match=r"is damaged \(JSONDecodeError\); save the estimator again with skops.io.dump"
    ):
        converted(path)


def test_a_file_that_would_grow_beyond_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(fitted(LogisticRegression(), 0), tmp_path)
    reading = import_module("coreml_updatable.converters.sklearn.reading")
    monkeypatch.setattr(reading, "MOST_BYTES", 1000)
    with pytest.raises(SourceError, match=r"unpacks to \d+ bytes, expected at most 1000; save a smaller estimator"):
        converted(path)


@pytest.mark.parametrize(
    ("estimator", "sentence"),
    [
        (RandomForestClassifier(2), "is a RandomForestClassifier, expected a fitted KNeighborsClassifier, Logistic"),
        (
            make_pipeline(StandardScaler(), make_pipeline(ExtraTreesClassifier(2))),
            "is an ExtraTreesClassifier, expected a fitted KNeighborsClassifier",
        ),
        (
            make_pipeline(StandardScaler(), KNeighborsClassifier(p=1)),
            "KNeighborsClassifier with the metric 'manhattan', but Core ML has only the Euclidean distance; fit it "
            "with",
        ),
        (
            KNeighborsClassifier(metric="braycurtis"),
            "KNeighborsClassifier with the metric 'braycurtis', but Core ML",
        ),
        (RidgeClassifier(), "is a RidgeClassifier, expected a fitted KNeighborsClassifier"),
        (make_pipeline(Normalizer(), LogisticRegression()), "step 1 (Normalizer): cannot be converted"),
    ],
)
def test_a_file_of_another_estimator_is_named_with_what_it_holds(estimator: Any, sentence: str, tmp_path: Path) -> None:
    path = saved(fitted(estimator, 0), tmp_path)
    with pytest.raises(SourceError) as error:
        converted(path)
    assert str(error.value).startswith(f"{path}: {sentence}")


def test_a_metric_is_called_what_scikit_learn_calls_it() -> None:
    metric = import_module("coreml_updatable.converters.sklearn.reading")._metric
    known = METRIC_MAPPING64
    result = {name: metric(f"{kind.__module__}.{kind.__name__}") for name, kind in known.items()}
    assert {result[name] for name in ("manhattan", "chebyshev", "minkowski", "seuclidean", "mahalanobis")} <= set(known)
    assert all(known[called] is known[name] for name, called in result.items() if called in known)


def test_a_part_of_scikit_learn_where_none_belongs(tmp_path: Path) -> None:
    estimator = fitted(LogisticRegression(), 0)
    estimator.forest = fitted(RandomForestClassifier(2), 0)
    with pytest.raises(SourceError, match=r"skops: contains sklearn.tree._tree.Tree, expected only the parts of a"):
        converted(saved(estimator, tmp_path))


def test_a_type_of_ones_own_is_not_trusted(tmp_path: Path) -> None:
    path = saved(fitted(KNeighborsClassifier(weights=Path.touch), 0), tmp_path)
    with pytest.raises(
        SourceError,
        match=r"contains pathlib.*, which is not a type of scikit-learn or NumPy; loading it would run code",
    ):
        converted(path)
