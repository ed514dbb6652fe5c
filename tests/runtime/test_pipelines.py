"""Pipelines of feature steps against scikit-learn's, and rows that start in the middle of a pipeline."""

from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime import load
from coreml_updatable.spec.messages import Model, Model_pb2
from tests.runtime.steps.conftest import described

LABELS = ["bad", "fair", "good"]


def chained(members: list[Model], inputs: Model) -> Model:
    """A pipelineClassifier of ``members`` with the inputs of one of them, and the outputs of the last."""
    spec = Model_pb2.Model(specificationVersion=3)
    spec.description.input.extend(inputs.description.input)
    spec.description.output.extend(members[-1].description.output)
    spec.description.predictedFeatureName, spec.description.predictedProbabilitiesName = "label", "probs"
    spec.pipelineClassifier.pipeline.models.extend(members)
    return spec


def glm(fitted: LogisticRegression, name: str) -> Model:
    spec = described({name: [fitted.coef_.shape[1]]}, {"label": "string", "probs": "words"})
    spec.description.predictedFeatureName, spec.description.predictedProbabilitiesName = "label", "probs"
    for row in fitted.coef_[1:] - fitted.coef_[0]:
        spec.glmClassifier.weights.add().value.extend(row.tolist())
    spec.glmClassifier.offset.extend((fitted.intercept_[1:] - fitted.intercept_[0]).tolist())
    spec.glmClassifier.stringClassLabels.vector.extend(LABELS)
    return spec


def assert_equal_shares(answers: list[Any], expected: Any) -> None:
    actual = np.array([[answer["probs"][label] for label in LABELS] for answer in answers])
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)
    assert [answer["label"] for answer in answers] == [LABELS[at] for at in expected.argmax(1)]


def test_a_text_classifier(random: Any) -> None:
    """Dictionary vectorizer, feature vectorizer with a number beside it, multinomial regression."""
    words = np.array(["soup", "salad", "chips", "cake", "tea"])
    texts = [{str(word): float(random.integers(1, 4)) for word in words[random.random(5) < 0.5]} for _ in range(40)]
    hours = random.normal(size=40)
    vectorizer = DictVectorizer(sparse=False).fit([dict.fromkeys(words.tolist(), 1.0)])
    x = np.concatenate([vectorizer.transform(texts), hours[:, None]], 1)
    fitted = LogisticRegression().fit(x, random.integers(0, 3, 40))
    first = described({"text": "words"}, {"counts": [5]})
    first.dictVectorizer.stringToIndex.vector.extend(vectorizer.feature_names_)
    second = described({"counts": [5], "hour": "double"}, {"features": [6]})
    for name, size in (("counts", 5), ("hour", 1)):
        second.featureVectorizer.inputList.add(inputColumn=name, inputDimensions=size)
    spec = chained([first, second, glm(fitted, "features")], described({"text": "words", "hour": "double"}, {}))
    rows = [{"text": text, "hour": hour} for text, hour in zip(texts, hours, strict=True)]
    model = load(spec)
    assert_equal_shares(model.predict(rows), fitted.predict_proba(x))
    assert model.predict(model.frozen(rows)) == model.predict(rows)
    traced = model.predict(rows[0], intermediate=True)
    np.testing.assert_array_equal(traced["model1.features"], x[0])
    with pytest.raises(DataError, match="row 0: feature 'text': is a str, expected a dictionary"):
        model.predict({"text": "soup", "hour": 3})


def test_imputed_and_scaled(random: Any) -> None:
    x = random.normal(size=(50, 4)) * 3
    x[random.random(x.shape) < 0.2] = np.nan
    whole = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(x, random.integers(0, 3, 50))
    imputer, scaler, fitted = (step for _, step in whole.steps)
    first, second = described({"x": [4]}, {"x": [4]}), described({"x": [4]}, {"z": [4]})
    first.imputer.imputedDoubleArray.vector.extend(imputer.statistics_.tolist())
    second.scaler.shiftValue.extend((-scaler.mean_).tolist())
    second.scaler.scaleValue.extend((1 / scaler.scale_).tolist())
    spec = chained([first, second, glm(fitted, "z")], first)
    assert_equal_shares(load(spec).predict([{"x": row} for row in x]), whole.predict_proba(x))


def with_front(front: Model) -> Model:
    """A model that cannot run here, a scaler on what it gives, a linear classifier on that."""
    front.description.input.add(name="image").type.imageType.width = 299
    front.description.output.extend(described({}, {"print": [3]}).description.output)
    scaler = described({"print": [3]}, {"z": [3]})
    scaler.scaler.scaleValue.append(2.0)
    fitted = LogisticRegression()
    fitted.coef_, fitted.intercept_ = np.arange(9.0).reshape(3, 3), np.array([0.0, 1.0, -1.0])
    return chained([front, scaler, glm(fitted, "z")], front)


def test_a_row_may_start_behind_what_cannot_run() -> None:
    front = Model_pb2.Model(specificationVersion=3)
    front.visionFeaturePrint.scene.version = 1
    model = load(with_front(front))
    feature_print = np.array([0.1, -0.2, 0.05])
    answer = model.predict({"print": feature_print})
    scores = np.arange(9.0).reshape(3, 3) @ (2 * feature_print) + [0, 1, -1]
    expected = np.exp(scores) / np.exp(scores).sum()
    assert_equal_shares([answer], expected[None])
    later, frozen = {"z": 2 * feature_print}, model.frozen([{"print": feature_print, "label": "good"}])
    for other in model.predict([later, {"print": feature_print}, *frozen]):
        assert_equal_shares([other], expected[None])
    assert frozen[0].features == {"label": "good"}
    assert "model0.print" not in model.predict(later, intermediate=True)
    assert model.predict({"print": feature_print}, intermediate=True)["model1.z"] == pytest.approx(2 * feature_print)
    for row, error, sentence in (
        ({"image": None}, ModelError, "model0: is a visionFeaturePrint, whose weights are part of Apple's systems, "
         "where alone it runs; give 'print' in the row instead of 'image'"),
        ({}, ModelError, "model0: is a visionFeaturePrint"),
        ({"print": [1, 2]}, DataError, r"feature 'print': has the shape \[2\], but the model expects \[3\]"),
    ):  # fmt: skip
        with pytest.raises(error, match=sentence):
            model.predict(row)


def test_models_that_run_nowhere_here() -> None:
    custom, none = Model_pb2.Model(specificationVersion=3), Model_pb2.Model(specificationVersion=3)
    custom.customModel.className = "Mine"
    model = load(with_front(custom))
    with pytest.raises(
        ModelError, match=r"model0: is a custom model \('Mine'\), whose code is in an app; give 'print'"
    ):
        model.predict({"image": None})
    with pytest.raises(ModelError, match=r"model: is a custom model .*; run it on a device"):
        load(custom)
    with pytest.raises(ModelError, match="a member of the pipeline contains no model"):
        load(with_front(none))
    last = Model_pb2.Model(specificationVersion=3)
    last.description.output.extend(described({}, {"y": "double"}).description.output)
    last.customModel.className = "Mine"
    for use in ("predict", "frozen"):
        with pytest.raises(ModelError, match="predict with the models before it"):
            getattr(load(chained([last], last)), use)([{}])


def test_pipelines_too_deep() -> None:
    spec = described({"x": [2]}, {"x": [2]})
    spec.identity.SetInParent()
    for _ in range(10):
        spec = chained([spec], spec)
    with pytest.raises(ModelError, match="has more than 8 nested pipelines"):
        load(spec)
