"""Generalized linear models against scikit-learn's and SciPy's."""

import re
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime import load


@pytest.fixture
def data(random: Any) -> tuple[Any, Any]:
    x = random.normal(size=(90, 4))
    return x, np.digitize(x @ [1, -2, 0.5, 0] + random.normal(size=90) * 0.3, [-0.8, 0.9])


def fill(linear: Any, weights: Any, offset: Any) -> None:
    for row in weights:
        linear.weights.add().value.extend(row.tolist())
    linear.offset.extend(np.ravel(offset).tolist())


def assert_classifies(spec: Any, x: Any, probabilities: Any, labels: list[Any]) -> None:
    answers = load(spec).predict([{"x": row} for row in x])
    result = np.array([[answer["probs"][label] for label in labels] for answer in answers])
    np.testing.assert_allclose(result, probabilities, rtol=1e-9, atol=1e-12)
    assert [answer["label"] for answer in answers] == [labels[at] for at in probabilities.argmax(1)]


@pytest.mark.parametrize("labels", [["low", "middle", "high"], [10, 20, 30]])
def test_reference_class(classifier: Any, data: Any, labels: list[Any]) -> None:
    """Softmax regression, its first class's score taken from all."""
    x, y = data
    fitted = LogisticRegression().fit(x, y)
    spec = classifier({"x": [4]}, labels, "glmClassifier")
    fill(spec.glmClassifier, fitted.coef_[1:] - fitted.coef_[0], fitted.intercept_[1:] - fitted.intercept_[0])
    assert_classifies(spec, x, fitted.predict_proba(x), labels)


@pytest.mark.parametrize(("declared", "shape", "fits"), [
    ([4], (1, 4), True), ([4], (4, 1), True), ([4], (1, 1, 4), True), ([1, 4], (4,), True), ([2, 1, 2], (2, 2), True),
    ([4], (2, 2), False), ([2, 2], (4,), False), ([4], (1, 5), False), ([1, 4], (2, 2), False), ([4], (), False),
])  # fmt: skip
def test_axes_of_length_1_may_be_added_or_left_out(
    classifier: Any, data: Any, declared: list[int], shape: tuple[int, ...], fits: bool
) -> None:
    """coremltools' own test_io_types gives [1, 13] to scikit-learn's models, whose input is [13]."""
    x, y = data
    fitted = LogisticRegression().fit(x, y > 0)
    spec = classifier({"x": declared}, ["no", "yes"], "glmClassifier")
    fill(spec.glmClassifier, fitted.coef_, fitted.intercept_)
    row = np.resize(x[0], shape)
    if not fits:
        with pytest.raises(DataError, match=rf"but the model expects {re.escape(str(declared))}"):
            load(spec).predict({"x": row})
        return
    result = load(spec).predict({"x": row})["probs"]
    np.testing.assert_allclose([result["no"], result["yes"]], fitted.predict_proba(x[:1])[0], rtol=1e-9)


@pytest.mark.parametrize("encoding", [0, 1])
def test_two_classes(classifier: Any, data: Any, encoding: int) -> None:
    x, y = data
    fitted = LogisticRegression().fit(x, y > 0)
    spec = classifier({"x": [4]}, ["no", "yes"], "glmClassifier")
    fill(spec.glmClassifier, fitted.coef_, fitted.intercept_)
    spec.glmClassifier.classEncoding = encoding
    assert_classifies(spec, x, fitted.predict_proba(x), ["no", "yes"])
    spec.glmClassifier.postEvaluationTransform = 1
    second = norm.cdf(x @ fitted.coef_[0] + fitted.intercept_)
    assert_classifies(spec, x, np.stack([1 - second, second], 1), ["no", "yes"])


def test_one_against_the_rest(classifier: Any, data: Any) -> None:
    x, y = data
    fitted = OneVsRestClassifier(LogisticRegression()).fit(x, y)
    spec = classifier({"x": [4]}, ["a", "b", "c"], "glmClassifier")
    fill(
        spec.glmClassifier,
        [estimator.coef_[0] for estimator in fitted.estimators_],
        [float(estimator.intercept_[0]) for estimator in fitted.estimators_],
    )
    spec.glmClassifier.classEncoding = 1
    assert_classifies(spec, x, fitted.predict_proba(x), ["a", "b", "c"])
    far = load(spec).predict({"x": x[0] * 1e5})["probs"]
    assert sum(far.values()) == pytest.approx(1)


def test_regressor_of_several_inputs(describe: Any, data: Any) -> None:
    x, y = data
    fitted = LinearRegression().fit(x, y)
    spec = describe({"a": "double", "b": [3]}, {"y": "double"})
    spec.description.predictedFeatureName = "y"
    fill(spec.glmRegressor, fitted.coef_[None], fitted.intercept_)
    rows = [{"a": row[0], "b": row[1:]} for row in x]
    result = [answer["y"] for answer in load(spec).predict(rows)]
    np.testing.assert_allclose(result, fitted.predict(x), rtol=1e-12)
    spec.glmRegressor.postEvaluationTransform = 1
    result = [answer["y"] for answer in load(spec).predict(rows)]
    np.testing.assert_allclose(result, 1 / (1 + np.exp(-fitted.predict(x))), rtol=1e-12)
    spec.glmRegressor.postEvaluationTransform = 2
    result = [answer["y"] for answer in load(spec).predict(rows)]
    np.testing.assert_allclose(result, norm.cdf(fitted.predict(x)), rtol=1e-12)


def test_faults(classifier: Any, data: Any) -> None:
    x, _ = data
    spec = classifier({"x": [4]}, ["a", "b", "c"], "glmClassifier")
    with pytest.raises(ModelError, match="weights of the lengths none, expected at least one row"):
        load(spec)
    fill(spec.glmClassifier, np.ones((3, 4)), np.zeros(3))
    with pytest.raises(ModelError, match="3 rows of weights for 3 classes, expected 2"):
        load(spec)
    spec.glmClassifier.classEncoding = 1
    with pytest.raises(DataError, match="row 1: value 2 of its features is NaN"):
        load(spec).predict([{"x": x[0]}, {"x": [1, 2, np.nan, 3]}])
    spec.glmClassifier.postEvaluationTransform = 1
    with pytest.raises(ModelError, match="is a probit with more than two classes"):
        load(spec)
    spec.glmClassifier.postEvaluationTransform = 0
    del spec.glmClassifier.offset[0]
    with pytest.raises(ModelError, match="3 rows of weights and 2 offsets"):
        load(spec)
    spec.glmClassifier.ClearField("offset")
    for row in spec.glmClassifier.weights:
        row.value.append(1.0)
    with pytest.raises(ModelError, match="its inputs have 4 values per row, the glmClassifier reads 5"):
        load(spec).predict({"x": x[0]})
    spec.glmClassifier.stringClassLabels.vector[:] = ["a"]
    with pytest.raises(ModelError, match="a classifier with 1 class labels"):
        load(spec)
