"""Members of pipelines that are neither network nor k-NN; the verdicts are those of Apple's validator, compiled."""

import re
from collections.abc import Iterator

import pytest
from google.protobuf import text_format

from coreml_updatable.checking import check
from coreml_updatable.spec.messages import Model
from tests.broken_models.other_models import KINDS, in_a_pipeline, other_model

# kind -> what is merged into the sound model after the fields at the front of each entry are cleared; rejected each
REJECTED = [
    ("visionFeaturePrint", "visionFeaturePrint.scene", ""),
    ("visionFeaturePrint", "visionFeaturePrint.scene.version", ""),
    ("visionFeaturePrint", "description.input", 'description { input { name: "x" type { doubleType {} } } }'),
    ("visionFeaturePrint", "", "visionFeaturePrint { objects { version: OBJECTS_VERSION_1 output: 'y' } }"),
    ("categoricalMapping", "categoricalMapping.stringToInt64Map", ""),
    ("categoricalMapping", "", "categoricalMapping { strValue: 'none' }"),
    ("categoricalMapping", "description.output", 'description { output { name: "y" type { stringType {} } } }'),
    (
        "categoricalMapping",
        "description.input",
        'description { input { name: "x" type { sequenceType { stringType {} } } } }',
    ),
    (
        "itemSimilarityRecommender",
        "itemSimilarityRecommender.itemStringIds",
        "itemSimilarityRecommender { itemInt64Ids { vector: 1 } }",
    ),
    ("itemSimilarityRecommender", "", "itemSimilarityRecommender { itemStringIds { vector: 'a' } }"),
    ("itemSimilarityRecommender", "", "itemSimilarityRecommender { itemInputFeatureName: 'k' }"),
    ("itemSimilarityRecommender", "", "itemSimilarityRecommender { itemExclusionInputFeatureName: 'gone' }"),
    ("glmClassifier", "glmClassifier.offset", ""),
    ("glmClassifier", "", "glmClassifier { stringClassLabels { vector: 'c' } }"),
    ("glmClassifier", "glmClassifier.ClassLabels", ""),
    ("glmRegressor", "", "glmRegressor { offset: 1 }"),
    ("supportVectorClassifier", "", "supportVectorClassifier { probA: 1 }"),
    ("supportVectorClassifier", "supportVectorClassifier.kernel", ""),
    ("supportVectorRegressor", "", "supportVectorRegressor { coefficients { alpha: 1 } }"),
    (
        "treeEnsembleRegressor",
        "",
        "treeEnsembleRegressor { treeEnsemble { nodes { nodeId: 9 nodeBehavior: LeafNode } } }",
    ),
    ("treeEnsembleRegressor", "", "treeEnsembleRegressor { treeEnsemble { basePredictionValue: [1, 2] } }"),
    ("treeEnsembleClassifier", "", "treeEnsembleClassifier { stringClassLabels { vector: 'c' } }"),
    ("nonMaximumSuppression", "", "nonMaximumSuppression { iouThreshold: 1.5 }"),
    ("nonMaximumSuppression", "", "nonMaximumSuppression { stringClassLabels { vector: 'c' } }"),
    ("nonMaximumSuppression", "", 'description { input { name: "more" type { doubleType {} } } }'),
    ("imputer", "imputer.imputedDoubleValue", ""),
    ("imputer", "", "imputer { replaceStringValue: 'a' }"),
    ("scaler", "", "scaler { scaleValue: [1, 2] }"),
    ("oneHotEncoder", "", "oneHotEncoder { outputSparse: true }"),
    ("dictVectorizer", "dictVectorizer.stringToIndex", ""),
    ("featureVectorizer", "", "featureVectorizer { inputList {} }"),
    ("normalizer", "description.output", 'description { output { name: "y" type { doubleType {} } } }'),
    ("arrayFeatureExtractor", "", "arrayFeatureExtractor { extractIndex: 0 }"),
    ("soundAnalysisPreprocessing", "soundAnalysisPreprocessing.vggish", ""),
    ("audioFeaturePrint", "audioFeaturePrint.sound", ""),
    ("customModel", "customModel.className", ""),
    ("linkedModel", "linkedModel.linkedModelFile", ""),
    ("textClassifier", "textClassifier.revision", ""),
    ("gazetteer", "", "gazetteer { revision: 1 }"),
    ("wordEmbedding", "wordEmbedding.modelParameterData", ""),
    ("wordTagger", "", "wordTagger { tokenLocationsOutputFeatureName: 'gone' }"),
    ("classConfidenceThresholding", "classConfidenceThresholding.precisionRecallCurves", ""),
    ("bayesianProbitRegressor", "", 'description { input { name: "more" type { doubleType {} } } }'),
]


def broken(kind: str, cleared: str, merged: str) -> Model:
    model = other_model(kind)
    if cleared:
        *path, field = cleared.split(".")
        message = model
        for name in path:
            message = getattr(message, name)
        message.ClearField(field)
    text_format.Parse(merged, update := type(model)())
    model.MergeFrom(update)
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_model_of_any_kind_has_no_problem(kind: str) -> None:
    assert [str(problem) for problem in check(other_model(kind)) if problem.severity == "error"] == []
    assert [str(problem) for problem in check(in_a_pipeline(other_model(kind))) if problem.severity == "error"] == []


@pytest.mark.parametrize(("kind", "cleared", "merged"), REJECTED)
def test_what_apple_rejects_in_a_member_is_an_error_that_names_it(kind: str, cleared: str, merged: str) -> None:
    errors = [problem for problem in check(in_a_pipeline(broken(kind, cleared, merged))) if problem.severity == "error"]
    assert {problem.rule for problem in errors} <= {"M12.1", "M12.2"}
    assert errors
    assert all(problem.where.startswith("models[0]: ") for problem in errors)


def damaged(kind: str, number: str) -> Iterator[tuple[str, Model]]:
    """The model with ``number`` in place of one number of its text form, for each where the format reads a float."""
    model = other_model(kind)
    text = text_format.MessageToString(getattr(model, kind))
    for match in re.finditer(r"(?<=: )-?[0-9.e+-]+(?=\n)", text):
        result = other_model(kind)
        result.ClearField(kind)
        try:
            text_format.Parse(f"{text[: match.start()]}{number}{text[match.end() :]}", getattr(result, kind))
        except text_format.ParseError:  # an integer
            continue
        yield text[text.rfind("\n", 0, match.start()) + 1 : match.start()].strip(" :"), result


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_number_that_is_not_finite_is_reported(kind: str, number: str) -> None:
    """But for what an imputer replaces, infinite borders of branches and of boxes, and what a custom model holds."""
    for field, model in damaged(kind, number):
        rules = {problem.rule for problem in check(model)}
        allowed = field == "replaceDoubleValue" or kind == "customModel"
        allowed = allowed or (field == "branchFeatureValue" and number != "nan")
        allowed = allowed or (field == "confidenceThreshold" and number == "inf")
        assert ("L12.8" in rules or "M12.2" in rules) != allowed, field


def test_numbers_that_are_not_finite_are_found_in_these_kinds() -> None:
    assert {kind for kind in KINDS if any(damaged(kind, "nan"))} >= {
        "glmClassifier",
        "glmRegressor",
        "imputer",
        "itemSimilarityRecommender",
        "scaler",
        "supportVectorClassifier",
        "supportVectorRegressor",
        "treeEnsembleClassifier",
        "treeEnsembleRegressor",
    }


def test_means_and_precisions_of_a_probit_regressor() -> None:
    model = other_model("bayesianProbitRegressor")
    assert "L12.8" not in {problem.rule for problem in check(model)}
    feature = model.bayesianProbitRegressor.features.add(featureId=1)
    feature.weights.add(featureValue=2, featureWeight={"mean": float("inf"), "precision": 1})
    (problem,) = (problem for problem in check(model) if problem.rule == "L12.8")
    assert problem.where == "features[0].weights[0].featureWeight.mean"
