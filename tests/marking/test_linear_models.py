"""Linear classifiers become updatable networks with scikit-learn's predictions, alone and in pipelines."""

from collections import Counter

import numpy as np
import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression

from coreml_updatable.checking import check
from coreml_updatable.converting.equivalence import unchanged
from coreml_updatable.errors import BuildError, ModelError
from coreml_updatable.marking import mark, marked
from coreml_updatable.runtime import load
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model, Model_pb2
from coreml_updatable.spec.network import last_member, network_of, pipeline_of
from coreml_updatable.updating import UpdateTask
from tests.broken_models import valid
from tests.marking import layered
from tests.marking.linear_models import behind_audio, behind_vision, glm, of_words, pipeline
from tests.marking.test_mark import SETTINGS

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(60, 4))
SENTENCES = ["the cat sat", "a dog barks", "the dog sat", "cat and cat", "birds sing", "a bird sings", "dog and bird"]
ANIMALS = ["cat", "dog", "dog", "cat", "bird", "bird", "bird"]


def fitted(classes: int, labels: tuple[str, ...] | tuple[int, ...]) -> tuple[LogisticRegression, Model]:
    """scikit-learn's multinomial regression, and the same as a glmClassifier with the first class as reference."""
    wanted = np.array(labels)[np.arange(60) % classes]
    estimator = LogisticRegression().fit(ROWS, wanted)
    weights, offset = estimator.coef_, estimator.intercept_
    if classes > 2:
        weights, offset = weights[1:] - weights[0], offset[1:] - offset[0]
    return estimator, glm(labels, weights, offset)


def text_classifier() -> tuple[LogisticRegression, DictVectorizer, Model]:
    counts = [dict(Counter(sentence.split())) for sentence in SENTENCES]
    vectorizer = DictVectorizer(sparse=False)
    estimator = LogisticRegression().fit(vectorizer.fit_transform(counts), ANIMALS)
    labels = [str(label) for label in estimator.classes_]
    weights = estimator.coef_[1:] - estimator.coef_[0]
    model = glm(labels, weights, estimator.intercept_[1:] - estimator.intercept_[0])
    return estimator, vectorizer, of_words([str(n) for n in vectorizer.get_feature_names_out()], model, labels)


@pytest.mark.parametrize(("classes", "labels"), [(2, ("n", "y")), (3, ("a", "b", "c")), (4, (3, 5, 7, 9)), (2, (0, 1))])
def test_it_answers_as_scikit_learn_does(classes: int, labels: tuple[str, ...] | tuple[int, ...]) -> None:
    estimator, model = fitted(classes, labels)
    result = marked(model, SETTINGS)
    assert result.repairs == ("glmClassifier became innerProduct and softmax, with the same predictions",)
    assert check(result.model) == []
    assert unchanged(model, result.model) < 1e-6
    answers = load(result.model).predict([{"x": row} for row in ROWS])
    said = [[answer["classProbability"][label] for label in labels] for answer in answers]
    np.testing.assert_allclose(said, estimator.predict_proba(ROWS), atol=1e-6)
    assert [answer["class"] for answer in answers] == estimator.predict(ROWS).tolist()


def test_one_row_of_weights_serves_two_classes_whatever_their_encoding() -> None:
    _, model = fitted(2, ("n", "y"))
    model.glmClassifier.classEncoding = model.glmClassifier.OneVsRest
    assert unchanged(model, mark(model, SETTINGS)) < 1e-6


def test_without_a_name_for_probabilities_they_are_compared_all_the_same() -> None:
    _, model = fitted(3, ("a", "b", "c"))
    model.description.predictedProbabilitiesName = ""
    del model.description.output[1]
    result = mark(model, SETTINGS)
    assert check(result) == []
    assert unchanged(model, result) < 1e-6
    model.glmClassifier.offset[0] += 1
    with pytest.raises(BuildError, match="its probabilities differ from those before"):
        unchanged(model, result)


def test_an_input_of_higher_rank_and_names_that_are_taken() -> None:
    _, model = fitted(3, ("a", "b", "c"))
    model.description.input[0].type.multiArrayType.shape[:] = [1, 4]
    model.description.input[0].name = "fc"
    result = mark(model, SETTINGS)
    assert check(result) == []
    assert unchanged(model, result) < 1e-6


def test_whole_labels_get_probabilities_by_whole_labels() -> None:
    """Turi Create describes them by strings."""
    _, model = fitted(3, (1, 2, 3))
    model.description.output[1].type.dictionaryType.stringKeyType.SetInParent()
    result = mark(model, SETTINGS)
    assert result.description.output[1].type.dictionaryType.WhichOneof("KeyType") == "int64KeyType"
    assert check(result) == []


def test_a_pipeline_over_words_answers_as_scikit_learn_does_and_learns() -> None:
    estimator, vectorizer, model = text_classifier()
    result = marked(model, SETTINGS)
    assert check(result.model) == []
    assert result.model.isUpdatable
    assert result.model.specificationVersion == 4
    assert [f.name for f in result.model.description.trainingInput] == ["words", "class"]
    assert unchanged(model, result.model) < 1e-6
    counts = [dict(Counter(sentence.split())) for sentence in SENTENCES]
    runnable = load(result.model)
    said = [
        [answer["classProbability"][label] for label in estimator.classes_]
        for answer in runnable.predict([{"words": count} for count in counts])
    ]
    np.testing.assert_allclose(said, estimator.predict_proba(vectorizer.transform(counts)), atol=1e-6)
    rows = [{"words": count, "class": animal} for count, animal in zip(counts, ANIMALS, strict=True)]
    losses = [UpdateTask(runnable, rows, {"epochs": n}).resume().metrics["lossValue"] for n in (1, 20)]
    assert losses[1] < losses[0]


def test_marking_a_pipeline_twice_is_marking_it_once() -> None:
    once = mark(text_classifier()[2], SETTINGS)
    assert model_bytes(mark(once, SETTINGS)) == model_bytes(once)


def test_features_of_a_pipeline_can_be_named() -> None:
    model = text_classifier()[2]
    result = mark(model, SETTINGS, input="bag", label="animal", probabilities="chances")
    assert [f.name for f in result.description.output] == ["animal", "chances"]
    assert [f.name for f in result.description.trainingInput] == ["bag", "animal"]
    assert result.description.predictedFeatureName == "animal"
    assert check(result) == []
    assert unchanged(model, result) < 1e-6
    with pytest.raises(ModelError, match="'words' cannot be an output"):
        mark(model, SETTINGS, label="words")


def test_new_labels_for_a_pipeline() -> None:
    result = mark(text_classifier()[2], SETTINGS, labels=[1, 2, 3])
    assert check(result) == []
    assert load(result).predict({"words": {"cat": 3}})["class"] in (1, 2, 3)


def test_a_network_behind_apples_vision_features() -> None:
    random = np.random.default_rng(0)
    _, model = fitted(3, ("a", "b", "c"))
    head = mark(glm(layered.LABELS, random.normal(size=(2, 2048)) / 45, [0.1, 0.2]), SETTINGS)
    frozen = Model_pb2.Model()
    frozen.CopyFrom(head)
    frozen.isUpdatable = False
    frozen.specificationVersion = 1
    model = behind_vision(frozen, layered.LABELS)
    result = mark(model, SETTINGS)
    assert check(result) == []
    assert [member.isUpdatable for member in pipeline_of(result).models] == [False, True]
    assert [feature.name for feature in result.description.trainingInput] == ["image", "class"]
    assert unchanged(model, result) < 1e-6
    features = random.normal(size=(6, 2048)).astype(np.float32)
    rows = [{"x": row, "class": "abc"[index % 3]} for index, row in enumerate(features)]
    losses = [
        UpdateTask(result, rows, {"epochs": n, "miniBatchSize": 2}).resume().metrics["lossValue"] for n in (1, 20)
    ]
    assert losses[1] < losses[0]


def test_a_pipeline_in_a_pipeline() -> None:
    inner = text_classifier()[2]
    model = pipeline([inner], ["bird", "cat", "dog"])
    result = mark(model, SETTINGS)
    assert check(result) == []
    assert unchanged(model, result) < 1e-6
    assert network_of(last_member(result)).layers[0].isUpdatable


def test_a_plain_network_in_a_pipeline_becomes_a_classifier() -> None:
    network = valid.exact()
    model = Model_pb2.Model(specificationVersion=4)
    model.pipeline.models.append(network)
    model.description.input.extend(network.description.input)
    model.description.output.extend(network.description.output)
    result = mark(model, SETTINGS, labels=["no", "yes"])
    assert result.WhichOneof("Type") == "pipelineClassifier"
    assert [feature.name for feature in result.description.output] == ["label", "labelProbability"]
    assert check(result) == []
    assert unchanged(model, result) < 1e-6


def test_another_front_is_found() -> None:
    model = text_classifier()[2]
    result = mark(model, SETTINGS)
    pipeline_of(result).models[0].dictVectorizer.stringToIndex.vector[0] = "another"
    with pytest.raises(BuildError, match="a model before the last of the pipeline has changed"):
        unchanged(model, result)


def test_what_no_softmax_equals_is_refused() -> None:
    _, model = fitted(3, ("a", "b", "c"))
    model.glmClassifier.postEvaluationTransform = model.glmClassifier.Probit
    with pytest.raises(ModelError, match="glmClassifier: is a probit, expected a logit"):
        mark(model, SETTINGS)
    one_vs_rest = glm(("a", "b", "c"), np.eye(3), [0, 0, 0], reference=False)
    with pytest.raises(ModelError, match="compares each of 3 classes with the rest, expected one reference class"):
        mark(one_vs_rest, SETTINGS)
    with pytest.raises(ModelError, match=r"compares each .+ convert it with `coreml-updatable convert`"):
        mark(pipeline([one_vs_rest], ["a", "b", "c"]), SETTINGS)


def test_weights_and_inputs_that_do_not_fit() -> None:
    with pytest.raises(ModelError, match="3 rows of weights for 3 classes, expected 2"):
        mark(glm(("a", "b", "c"), np.eye(3), [0, 0, 0]), SETTINGS)
    with pytest.raises(ModelError, match="1 rows of weights and 2 offsets for 2 classes"):
        mark(glm(("a", "b"), np.ones((1, 3)), [0, 0]), SETTINGS)
    model = glm(("a", "b"), np.ones((1, 3)), [0])
    model.description.input[0].type.multiArrayType.shape[0] = 4
    with pytest.raises(ModelError, match=r"input 'x': is an array of shape \[4\], expected an array of 3 numbers"):
        mark(model, SETTINGS)
    model.description.input[0].type.doubleType.SetInParent()
    with pytest.raises(ModelError, match="input 'x': is a doubleType, expected an array"):
        mark(model, SETTINGS)


def test_create_mls_sound_classifier_learns_behind_apples_features() -> None:
    """As Create ML 3 writes it: [audioFeaturePrint, glmClassifier]; the features come from the phone."""
    random = np.random.default_rng(0)
    weights, offset = random.normal(size=(2, 512)) / 20, random.normal(size=2)
    model = behind_audio(glm(("bark", "purr", "sing"), weights, offset), ("bark", "purr", "sing"))
    marked = mark(model, SETTINGS)
    first, last = marked.pipelineClassifier.pipeline.models
    assert first == model.pipelineClassifier.pipeline.models[0]
    assert last.isUpdatable
    assert marked.isUpdatable
    row = random.normal(size=512).astype(np.float32)
    logits = np.concatenate([[0.0], weights @ row + offset])
    expected = np.exp(logits) / np.exp(logits).sum()
    actual = load(marked).predict([{"x": row}])[0]["classProbability"]
    np.testing.assert_allclose([actual[label] for label in ("bark", "purr", "sing")], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("treeEnsembleClassifier", "trees cannot be trained by gradient descent"),
        ("supportVectorClassifier", "support vectors cannot be turned into layers"),
        ("kNearestNeighborsClassifier", "nearest neighbors learn without marking"),
        ("visionFeaturePrint", "its weights are part of Apple's systems; put a network after it"),
        ("textClassifier", "its weights are Apple's and take text; make vectors of the text"),
        ("normalizer", "models of this type have nothing to train"),
    ],
)
def test_models_of_other_kinds_are_refused_with_the_reason(kind: str, words: str) -> None:
    model = Model_pb2.Model(specificationVersion=4)
    getattr(model, kind).SetInParent()
    with pytest.raises(ModelError, match=f"model: is an? {kind}, expected a neural network: {words}"):
        mark(model, SETTINGS)


@pytest.mark.field_case("apple/coremltools#1417", "an ML program, which can never be updated", "refused")
def test_an_ml_program_is_refused_with_the_way_out() -> None:
    model = Model_pb2.Model(specificationVersion=7)
    model.mlProgram.SetInParent()
    with pytest.raises(ModelError, match="model: is an ML program, which no device can update; convert with"):
        mark(model, SETTINGS)


def test_an_empty_pipeline_and_an_empty_message() -> None:
    model = Model_pb2.Model(specificationVersion=4)
    model.pipelineClassifier.pipeline.SetInParent()
    with pytest.raises(ModelError, match="is a pipeline without members"):
        mark(model, SETTINGS)
    with pytest.raises(ModelError, match="is a model without a type"):
        mark(Model_pb2.Model(), SETTINGS)
