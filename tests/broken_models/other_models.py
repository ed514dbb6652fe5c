"""Sound models of the kinds that stand in pipelines, in text form; Apple's validator accepts each."""

from google.protobuf import text_format

from coreml_updatable.spec.messages import Model, Model_pb2


def _array(shape: str = "shape: 2", kind: str = "DOUBLE") -> str:
    return f"multiArrayType {{ {shape} dataType: {kind} }}"


STRING, DOUBLE, INT64 = "stringType {}", "doubleType {}", "int64Type {}"
WORDS, NUMBERS = "sequenceType { stringType {} }", "sequenceType { int64Type {} }"
COUNTS = "dictionaryType { stringKeyType {} }"
IMAGE = "imageType { width: 299 height: 299 colorSpace: RGB }"
LABELS = 'stringClassLabels { vector: "a" vector: "b" }'
BRANCH = "{ nodeBehavior: BranchOnValueLessThan trueChildNodeId: 1 falseChildNodeId: 2 }"
LEAVES = "".join(
    f" nodes {{ nodeId: {node} nodeBehavior: LeafNode evaluationInfo {{ evaluationValue: {node} }} }}"
    for node in (1, 2)
)
TREES = f"treeEnsemble {{ numPredictionDimensions: 1 nodes {BRANCH}{LEAVES} }}"
VECTORS = "denseSupportVectors { vectors { values: 1 values: 2 } vectors { values: 3 values: 4 } }"
# kind -> its parameters, inputs and outputs (name -> type), and what else the description says
KINDS: dict[str, tuple[str, dict[str, str], dict[str, str], str]] = {
    "arrayFeatureExtractor": ("extractIndex: 1", {"x": _array()}, {"y": DOUBLE}, ""),
    "bayesianProbitRegressor": ("", {"x": _array(kind="INT32")}, {"y": DOUBLE}, ""),
    "categoricalMapping": ('stringToInt64Map { map { key: "a" value: 1 } }', {"x": STRING}, {"y": INT64}, ""),
    "classConfidenceThresholding": (
        "precisionRecallCurves { precisionValues { vector: 1 } precisionConfidenceThresholds { vector: 1 } "
        "recallValues { vector: 1 } recallConfidenceThresholds { vector: 0 } }",
        {"x": _array()},
        {"y": _array()},
        "",
    ),
    "customModel": (
        'className: "C" parameters { key: "a" value { doubleValue: 1 } }',
        {"x": DOUBLE},
        {"y": DOUBLE},
        "",
    ),
    "dictVectorizer": ('stringToIndex { vector: "a" }', {"x": COUNTS}, {"y": COUNTS}, ""),
    "featureVectorizer": ("inputList { inputDimensions: 1 }", {"x": DOUBLE}, {"y": _array()}, ""),
    "gazetteer": (f'revision: 2 {LABELS} modelParameterData: "d"', {"x": STRING}, {"y": STRING}, ""),
    "identity": ("", {"x": DOUBLE}, {"x": DOUBLE}, ""),
    "imputer": ("imputedDoubleValue: 1 replaceDoubleValue: 0", {"x": _array()}, {"y": _array()}, ""),
    "itemSimilarityRecommender": (
        "itemItemSimilarities { itemId: 0 similarItemList { itemId: 1 similarityScore: 1 } } "
        'itemStringIds { vector: "a" vector: "b" } itemInputFeatureName: "x" '
        'numRecommendationsInputFeatureName: "k" recommendedItemListOutputFeatureName: "y" '
        'recommendedItemScoreOutputFeatureName: "s"',
        {"x": COUNTS, "k": INT64},
        {"y": WORDS, "s": COUNTS},
        "",
    ),
    "glmRegressor": (
        "weights { value: 1 value: 2 } offset: 1",
        {"x": _array()},
        {"y": DOUBLE},
        'predictedFeatureName: "y"',
    ),
    "glmClassifier": (
        f"weights {{ value: 1 value: 2 }} offset: 1 {LABELS}",
        {"x": _array()},
        {"y": STRING, "p": COUNTS},
        'predictedFeatureName: "y" predictedProbabilitiesName: "p"',
    ),
    "linkedModel": ('linkedModelFile { linkedModelFileName { defaultValue: "f" } }', {"x": DOUBLE}, {"y": DOUBLE}, ""),
    "nonMaximumSuppression": (
        'confidenceInputFeatureName: "c" coordinatesInputFeatureName: "b" iouThresholdInputFeatureName: "i" '
        'confidenceThresholdInputFeatureName: "t" confidenceOutputFeatureName: "co" '
        f'coordinatesOutputFeatureName: "bo" iouThreshold: 0.5 confidenceThreshold: 0.25 {LABELS}',
        {"c": _array("shape: 5 shape: 2"), "b": _array("shape: 5 shape: 4"), "i": DOUBLE, "t": DOUBLE},
        {"co": _array("shape: 5 shape: 2"), "bo": _array("shape: 5 shape: 4")},
        "",
    ),
    "normalizer": ("normType: L2", {"x": _array()}, {"y": _array()}, ""),
    "oneHotEncoder": ('stringCategories { vector: "a" }', {"x": STRING}, {"y": _array()}, ""),
    "scaler": ("shiftValue: [1, 2] scaleValue: 2", {"x": _array()}, {"y": _array()}, ""),
    "soundAnalysisPreprocessing": (
        "vggish {}",
        {"x": _array("shape: 15600", "FLOAT32")},
        {"y": _array("shape: 1 shape: 96 shape: 64", "FLOAT32")},
        "",
    ),
    "supportVectorClassifier": (
        f"kernel {{ rbfKernel {{ gamma: 1 }} }} {LABELS} numberOfSupportVectorsPerClass: [1, 1] {VECTORS} "
        "coefficients { alpha: 1 alpha: -1 } rho: 0 probA: 1 probB: 1",
        {"x": _array()},
        {"y": STRING},
        'predictedFeatureName: "y"',
    ),
    "supportVectorRegressor": (
        f"kernel {{ polyKernel {{ gamma: 1 degree: 2 }} }} {VECTORS} coefficients {{ alpha: 1 alpha: -1 }}",
        {"x": _array()},
        {"y": DOUBLE},
        'predictedFeatureName: "y"',
    ),
    "textClassifier": (f'revision: 1 {LABELS} modelParameterData: "d"', {"x": STRING}, {"y": STRING}, ""),
    "treeEnsembleClassifier": (
        f"{TREES} {LABELS}",
        {"x": _array()},
        {"y": STRING},
        'predictedFeatureName: "y"',
    ),
    "treeEnsembleRegressor": (TREES, {"x": _array()}, {"y": DOUBLE}, 'predictedFeatureName: "y"'),
    "visionFeaturePrint": ("scene { version: SCENE_VERSION_1 }", {"x": IMAGE}, {"y": _array("shape: 2048")}, ""),
    "audioFeaturePrint": ("sound { version: SOUND_VERSION_1 }", {"x": _array()}, {"y": _array("shape: 512")}, ""),
    "wordEmbedding": ('revision: 2 modelParameterData: "d"', {"x": STRING}, {"y": _array()}, ""),
    "wordTagger": (
        'revision: 1 modelParameterData: "d" stringTags { vector: "a" } tokensOutputFeatureName: "w" '
        'tokenTagsOutputFeatureName: "t" tokenLengthsOutputFeatureName: "l"',
        {"x": STRING},
        {"w": WORDS, "t": WORDS, "l": NUMBERS},
        "",
    ),
}


def other_model(kind: str) -> Model:
    params, inputs, outputs, rest = KINDS[kind]
    features = [f'input {{ name: "{name}" type {{ {each} }} }}' for name, each in inputs.items()]
    features += [f'output {{ name: "{name}" type {{ {each} }} }}' for name, each in outputs.items()]
    text = f"specificationVersion: 6 description {{ {' '.join(features)} {rest} }} {kind} {{ {params} }}"
    return text_format.Parse(text, Model_pb2.Model())


def in_a_pipeline(member: Model) -> Model:
    """A pipeline of ``member`` alone, with its features."""
    result = Model_pb2.Model(specificationVersion=6)
    result.description.CopyFrom(member.description)
    result.pipeline.models.add().CopyFrom(member)
    return result
