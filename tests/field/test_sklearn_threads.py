"""Threads about scikit-learn: versions that are refused, classifiers and other estimators."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import SVC

import coreml_updatable as cu
from tests.field.networks import learns, probabilities, rules


def data(classes: int = 3) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    labels = np.arange(60) % classes
    return (random.normal(size=(60, 4)) + labels[:, None]).astype(np.float32), labels


@pytest.mark.field_case("apple/coremltools#2288", "a version of scikit-learn that coremltools refuses", "works")
@pytest.mark.field_case("apple/coremltools#1860", "which is the newest scikit-learn that converts?", "works")
@pytest.mark.field_case("apple/coremltools#253", "a new version of scikit-learn breaks the converter", "works")
@pytest.mark.field_case("apple/coremltools#429", "a logistic regression to an .mlmodel file", "works")
@pytest.mark.field_case(
    "aws/sagemaker-scikit-learn-container#8", "multinomial regression: not one against the rest", "works"
)
@pytest.mark.parametrize("classes", [2, 3])
def test_a_logistic_regression_of_the_installed_version(classes: int) -> None:
    values, labels = data(classes)
    names = np.array(["a", "b", "c"])[labels]
    judge = LogisticRegression().fit(values, names)
    result = cu.convert(judge, converter="sklearn")
    assert rules(result) == set()
    (feature,) = result.inputs
    rows = [{feature.name: row} for row in values]
    np.testing.assert_allclose(probabilities(result, rows), judge.predict_proba(values), atol=1e-5)
    learns(result, rows, "label", list(judge.classes_))


OTHERS: dict[str, Callable[[], Any]] = {
    "regression": LinearRegression,
    "support vectors": lambda: SVC(gamma="auto"),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=3),
    "forest": lambda: RandomForestClassifier(n_estimators=3),
}


@pytest.mark.field_case(
    "apple/coremltools#746", "a linear regression, and a forest, of a newer scikit-learn", "refused"
)
@pytest.mark.field_case("apple/coremltools#314", "a support vector classifier with gamma='auto'", "refused")
@pytest.mark.field_case(
    "apple/coremltools#50", "gradient boosting, whose probabilities differ once converted", "refused"
)
@pytest.mark.parametrize("name", OTHERS)
def test_estimators_that_no_update_can_train(name: str) -> None:
    """Named in one sentence with what to fit instead, and that converts."""
    values, labels = data()
    estimator = OTHERS[name]().fit(values, labels)
    with pytest.raises(cu.SourceError, match=type(estimator).__name__) as excinfo:
        cu.convert(estimator, converter="sklearn")
    assert "LogisticRegression" in str(excinfo.value)
    assert "\n" not in str(excinfo.value)
    assert rules(cu.convert(LogisticRegression().fit(values, labels), converter="sklearn")) == set()
