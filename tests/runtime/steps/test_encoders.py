"""Steps that turn features into arrays, against scikit-learn's transformers."""

from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MaxAbsScaler, Normalizer, OneHotEncoder, StandardScaler

from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime import load


def test_scaler(describe: Any, random: Any) -> None:
    x = random.normal(size=(20, 2, 3)) * 5 + 2
    flat = x.reshape(20, 6)
    standard = StandardScaler().fit(flat)
    spec = describe({"x": [2, 3]}, {"y": [2, 3]})
    spec.scaler.shiftValue.extend((-standard.mean_).tolist())
    spec.scaler.scaleValue.extend((1 / standard.scale_).tolist())
    actual = np.stack([answer["y"] for answer in load(spec).predict([{"x": row} for row in x])])
    np.testing.assert_allclose(actual, standard.transform(flat).reshape(x.shape), rtol=1e-12)
    widest = MaxAbsScaler().fit(flat.reshape(-1, 1))
    spec.scaler.ClearField("shiftValue")
    spec.scaler.scaleValue[:] = (1 / widest.scale_).tolist()
    expected = widest.transform(x[0].reshape(-1, 1)).reshape(2, 3)
    np.testing.assert_allclose(load(spec).predict({"x": x[0]})["y"], expected, rtol=1e-12)
    spec.scaler.scaleValue.append(1.0)
    with pytest.raises(ModelError, match="row 0: feature 'x': has 6 values, but scaleValue has 2"):
        load(spec).predict({"x": x[0]})


@pytest.mark.parametrize(("number", "norm"), [(0, "max"), (1, "l1"), (2, "l2")])
def test_normalizer(describe: Any, random: Any, number: int, norm: str) -> None:
    x = random.normal(size=(9, 5))
    x[3] = 0
    spec = describe({"x": [5]}, {"y": [5]})
    spec.normalizer.normType = number
    result = np.stack([answer["y"] for answer in load(spec).predict([{"x": row} for row in x])])
    np.testing.assert_allclose(result, Normalizer(norm).fit_transform(x), rtol=1e-12)


@pytest.mark.parametrize("missing", [np.nan, -1.0])
def test_imputer_of_an_array(describe: Any, random: Any, missing: float) -> None:
    x = random.normal(size=(12, 4))
    x[random.random(x.shape) < 0.3] = missing
    fitted = SimpleImputer(missing_values=missing, strategy="median").fit(x)
    spec = describe({"x": [4]}, {"y": [4]})
    spec.imputer.imputedDoubleArray.vector.extend(fitted.statistics_.tolist())
    spec.imputer.replaceDoubleValue = missing
    result = np.stack([answer["y"] for answer in load(spec).predict([{"x": row} for row in x])])
    np.testing.assert_array_equal(result, fitted.transform(x))
    del spec.imputer.imputedDoubleArray.vector[0]
    with pytest.raises(ModelError, match="row 0: feature 'x': has 4 values, but the imputer has 3"):
        load(spec).predict({"x": x[0]})


def test_imputer_of_single_values(describe: Any) -> None:
    for kind, imputed, missing, other in (
        ("double", 2.5, float("nan"), 1.0), ("int64", 3, -9, 4), ("string", "none", "", "some")
    ):  # fmt: skip
        spec = describe({"x": kind}, {"y": kind})
        setattr(spec.imputer, f"imputed{kind.capitalize()}Value", imputed)
        setattr(spec.imputer, f"replace{kind.capitalize()}Value", missing)
        answers = load(spec).predict([{"x": missing}, {"x": other}])
        assert [answer["y"] for answer in answers] == [imputed, other]
    spec = describe({"x": "double"}, {"y": "double"})
    spec.description.input[0].type.isOptional = True
    spec.imputer.imputedDoubleValue = 7.0
    assert load(spec).predict({})["y"] == 7.0


def test_imputer_of_a_dictionary(describe: Any) -> None:
    spec = describe({"x": "words"}, {"y": "words"})
    spec.imputer.imputedStringDictionary.map["a"] = 1.0
    spec.imputer.imputedStringDictionary.map["b"] = 2.0
    assert load(spec).predict({"x": {"a": float("nan"), "c": 5}})["y"] == {"a": 1.0, "b": 2.0, "c": 5.0}
    with pytest.raises(DataError, match="row 0: feature 'x': is a list, expected a dictionary"):
        load(spec).predict({"x": [1]})


@pytest.mark.parametrize("categories", [["red", "green", "blue"], [4, 8, 15, 16]])
def test_one_hot_encoder(describe: Any, categories: list[Any]) -> None:
    kind = "string" if isinstance(categories[0], str) else "int64"
    spec = describe({"x": kind}, {"y": [len(categories)]})
    getattr(spec.oneHotEncoder, f"{kind}Categories").vector.extend(categories)
    fitted = OneHotEncoder(categories=[categories], sparse_output=False).fit([[category] for category in categories])
    answers = load(spec).predict([{"x": category} for category in categories])
    np.testing.assert_array_equal(
        np.stack([answer["y"] for answer in answers]), fitted.transform([[category] for category in categories])
    )
    unknown = "pink" if kind == "string" else 23
    with pytest.raises(DataError, match=rf"row 0: feature 'x': is {unknown!r}, which is not one of the model's cat"):
        load(spec).predict({"x": unknown})
    spec.oneHotEncoder.handleUnknown = 1
    assert not load(spec).predict({"x": unknown})["y"].any()
    spec.description.output[0].type.dictionaryType.int64KeyType.SetInParent()
    spec.oneHotEncoder.outputSparse = True
    assert load(spec).predict({"x": categories[2]})["y"] == {2: 1.0}
    assert load(spec).predict({"x": unknown})["y"] == {}


def test_dict_vectorizer(describe: Any) -> None:
    rows = [{"the": 2.0, "cat": 1.0}, {"cat": 3.0, "sat": 1.0}, {}]
    fitted = DictVectorizer(sparse=False).fit(rows)
    spec = describe({"x": "words"}, {"y": [3]})
    spec.dictVectorizer.stringToIndex.vector.extend(fitted.feature_names_)
    given = [*rows, {"dog": 4.0, "cat": 1.0}]
    answers = load(spec).predict([{"x": row} for row in given])
    np.testing.assert_array_equal(np.stack([answer["y"] for answer in answers]), fitted.transform(given))
    with pytest.raises(DataError, match="row 0: feature 'x': 'a': is a str, expected one number"):
        load(spec).predict({"x": {"a": "b"}})
    spec.description.output[0].type.dictionaryType.int64KeyType.SetInParent()  # as Turi Create declares it
    places = {name: place for place, name in enumerate(fitted.feature_names_)}
    assert load(spec).predict({"x": given[3]})["y"] == {places["cat"]: 1.0}


def test_dict_vectorizer_with_the_keys_of_its_map_whatever_its_input_says(describe: Any) -> None:
    """coremltools' scikit-learn converter describes every dictionary with text as its keys (test_dict_vectorizer)."""
    rows = [{44: 2.0, 7: 1.0}, {7: 3.0}, {1: 5.0}]
    fitted = DictVectorizer(sparse=False).fit(rows[:2])
    spec = describe({"x": "words"}, {"y": [2]})
    spec.dictVectorizer.int64ToIndex.vector.extend(fitted.feature_names_)
    answers = load(spec).predict([{"x": row} for row in rows])
    np.testing.assert_array_equal(np.stack([answer["y"] for answer in answers]), fitted.transform(rows))
    with pytest.raises(DataError, match="row 0: feature 'x': key 'a': is a str, expected one number"):
        load(spec).predict({"x": {"a": 1.0}})


def test_feature_vectorizer_of_coremltools(random: Any) -> None:
    from coremltools.models import datatypes
    from coremltools.models.feature_vectorizer import create_feature_vectorizer

    features = [("a", datatypes.Double()), ("b", datatypes.Array(3)), ("c", datatypes.Int64())]
    spec, size = create_feature_vectorizer([*features, ("d", datatypes.Dictionary(datatypes.Int64()))], "y", {"d": 4})
    b = random.normal(size=3)
    row = {"a": 1.5, "b": b, "c": 7, "d": {2: 0.5}}
    assert size == 9
    np.testing.assert_array_equal(load(spec).predict(row)["y"], [1.5, *b, 7, 0, 0, 0.5, 0])
    with pytest.raises(DataError, match="feature 'd': has the index 4, expected integers from 0 to 3"):
        load(spec).predict({**row, "d": {4: 1.0}})
    with pytest.raises(DataError, match=r"feature 'b': has the shape \[2\], but the model expects \[3\]"):
        load(spec).predict({**row, "b": [1, 2]})
    with pytest.raises(DataError, match=r"feature 'c': is 1\.5, expected an integer"):
        load(spec).predict({**row, "c": 1.5})


def test_array_feature_extractor_of_coremltools(random: Any) -> None:
    from coremltools.models import datatypes
    from coremltools.models.array_feature_extractor import create_array_feature_extractor

    x = random.normal(size=6)
    several = create_array_feature_extractor([("x", datatypes.Array(6))], "y", [4, 0, 4])
    np.testing.assert_array_equal(load(several).predict({"x": x})["y"], x[[4, 0, 4]])
    single = load(create_array_feature_extractor([("x", datatypes.Array(6))], "y", 3)).predict({"x": x})["y"]
    assert single == x[3]
    assert isinstance(single, float)
    several.description.input[0].type.multiArrayType.shape[:] = [4]
    with pytest.raises(ModelError, match="has 4 values, but the model extracts index 4"):
        load(several).predict({"x": x[:4]})


def test_categorical_mapping(describe: Any) -> None:
    spec = describe({"x": "string"}, {"y": "int64"})
    spec.categoricalMapping.stringToInt64Map.map["one"] = 1
    assert load(spec).predict({"x": "one"})["y"] == 1
    with pytest.raises(DataError, match="row 0: feature 'x': is 'two', which is not in the model's map"):
        load(spec).predict({"x": "two"})
    spec.categoricalMapping.int64Value = -1
    assert load(spec).predict({"x": "two"})["y"] == -1
    with pytest.raises(DataError, match="row 0: feature 'x': is an int, expected text"):
        load(spec).predict({"x": 2})


def test_identity_gives_every_type_back(describe: Any) -> None:
    kinds = {"a": "double", "b": "int64", "c": "string", "d": "words", "e": [2], "f": "sequence"}
    spec = describe(kinds, kinds)
    spec.identity.SetInParent()
    sequence = spec.description.input[5].type.sequenceType
    sequence.stringType.SetInParent()
    sequence.sizeRange.lowerBound, sequence.sizeRange.upperBound = 1, 2
    row = {"a": 0.5, "b": 2**60 + 1, "c": "x", "d": {"k": 1.0}, "e": np.array([1.0, 2.0]), "f": ["p", "q"]}
    answer = load(spec).predict(row)
    np.testing.assert_array_equal(answer.pop("e"), row.pop("e"))
    assert answer == row
    with pytest.raises(DataError, match="feature 'f': has 3 entries, but the model expects 1 to 2"):
        load(spec).predict({**row, "e": [1, 2], "f": ["p", "q", "r"]})
    with pytest.raises(DataError, match="feature 'f': entry 0: is an int, expected text"):
        load(spec).predict({**row, "e": [1, 2], "f": [1]})


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("normalizer", "a normalizer with 2 inputs, expected 1"),
        ("imputer", "an imputer without imputed values"),
        ("oneHotEncoder", "a oneHotEncoder without categories"),
        ("dictVectorizer", "a dictVectorizer without keys"),
        ("categoricalMapping", "a categoricalMapping without a map"),
        ("arrayFeatureExtractor", "an arrayFeatureExtractor without indices"),
        ("featureVectorizer", "a featureVectorizer of no values"),
        ("identity", "the identity has the output 'y', which is not an input"),
    ],
)
def test_messages_at_fault(describe: Any, kind: str, sentence: str) -> None:
    spec = describe({"x": [3], "z": [3]}, {"y": [3]})
    getattr(spec, kind).SetInParent()
    with pytest.raises(ModelError, match=sentence):
        load(spec)


def test_inputs_of_a_type_that_the_step_does_not_take(describe: Any) -> None:
    spec = describe({"x": "words"}, {"y": [3]})
    spec.normalizer.SetInParent()
    with pytest.raises(ModelError, match="a normalizer whose input is dictionaryType, expected multiArrayType or doub"):
        load(spec)
    spec = describe({"x": "words"}, {"y": "double"})
    spec.description.predictedFeatureName = "y"
    spec.glmRegressor.weights.add().value.append(1.0)
    with pytest.raises(ModelError, match="model: an input is a dict, expected numbers"):
        load(spec).predict({"x": {"a": 1}})
    spec = describe({"x": [1]}, {"y": "double"})
    spec.description.predictedFeatureName = "y"
    spec.glmRegressor.weights.add().value.append(1.0)
    spec.description.input[0].type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=1, upperBound=2)
    with pytest.raises(DataError, match="rows have different numbers of values"):
        load(spec).predict([{"x": [1]}, {"x": [1, 2]}])
    spec.description.output.add(name="z").type.doubleType.SetInParent()
    with pytest.raises(ModelError, match="describes the output 'z', which a glmRegressor does not give"):
        load(spec).predict({"x": [1]})
