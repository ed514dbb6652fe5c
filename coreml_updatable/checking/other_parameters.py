"""Parameters that models other than networks, k-NNs and pipelines require."""

from collections.abc import Callable, Iterator
from math import isfinite
from typing import TypeAlias

from coreml_updatable.checking.problem import Finding
from coreml_updatable.checking.trees import trees_grown
from coreml_updatable.errors import with_article
from coreml_updatable.spec.messages import Model

_Rule: TypeAlias = Callable[[Model], Iterator[tuple[str, str]]]
_REPLACED = {  # what an imputer puts in -> the type of its feature, and what it may put it in place of
    "imputedDoubleValue": (("doubleType", "multiArrayType"), "replaceDoubleValue"),
    "imputedInt64Value": (("int64Type",), "replaceInt64Value"),
    "imputedDoubleArray": (("multiArrayType",), "replaceDoubleValue"),
    "imputedStringValue": (("stringType",), "replaceStringValue"),
    "imputedInt64Array": (("multiArrayType",), "replaceInt64Value"),
    "imputedStringDictionary": (("dictionaryType",), ""),
    "imputedInt64Dictionary": (("dictionaryType",), ""),
}


def other_parameters(model: Model) -> Iterator[Finding]:
    """A model of another type has the parameters that its type requires."""
    kind = str(model.WhichOneof("Type"))
    if kind in ("treeEnsembleClassifier", "treeEnsembleRegressor"):
        yield from trees_grown(model)
    elif kind in _RULES:
        for actual, expected in _RULES[kind](model):
            yield Finding(kind, actual, expected)


def _mapping(model: Model) -> Iterator[tuple[str, str]]:
    params = model.categoricalMapping
    kind, default = params.WhichOneof("MappingType"), params.WhichOneof("ValueOnUnknown")
    if kind is None:
        yield "maps nothing", "a mapping"
    elif (kind, default) in (("stringToInt64Map", "strValue"), ("int64ToStringMap", "int64Value")):
        yield f"is {with_article(kind)} with a {default} for unknown inputs", "a value of the type that it maps to"


def _curves(model: Model) -> Iterator[tuple[str, str]]:
    curves = model.classConfidenceThresholding.precisionRecallCurves
    if not curves:
        yield "has no precisionRecallCurves", "at least one"
    for index, curve in enumerate(curves):
        pairs = (
            (curve.precisionValues.vector, curve.precisionConfidenceThresholds.vector),
            (curve.recallValues.vector, curve.recallConfidenceThresholds.vector),
        )
        for values, thresholds in pairs:
            if not values or len(values) != len(thresholds):
                yield (
                    f"has {len(values)} values and {len(thresholds)} thresholds in curve {index}",
                    "equal numbers, not 0",
                )
            if not all(isfinite(value) and value >= 0 for value in (*values, *thresholds)):
                yield f"has a negative or infinite number in curve {index}", "finite numbers of 0 or more"


def _custom(model: Model) -> Iterator[tuple[str, str]]:
    if not model.customModel.className:
        yield "has no className", "one"
    for name, value in model.customModel.parameters.items():
        if not name or value.WhichOneof("value") is None:
            yield f"has the parameter '{name}' without a name or value", "both"


def _linked(model: Model) -> Iterator[tuple[str, str]]:
    if not model.linkedModel.linkedModelFile.linkedModelFileName.defaultValue:
        yield "links to no file", "a linkedModelFileName"


def _indexed(model: Model) -> Iterator[tuple[str, str]]:
    if model.dictVectorizer.WhichOneof("Map") is None:
        yield "has no map", "one"


def _sizes(model: Model) -> Iterator[tuple[str, str]]:
    for index, column in enumerate(model.featureVectorizer.inputList):
        if column.inputDimensions == 0:
            yield f"has an empty input {index}", "1 or more"


def _categories(model: Model) -> Iterator[tuple[str, str]]:
    if model.oneHotEncoder.WhichOneof("CategoryType") is None:
        yield "has no categories", "some"


def _norm(model: Model) -> Iterator[tuple[str, str]]:
    if model.normalizer.normType not in (0, 1, 2):
        yield f"has the norm {model.normalizer.normType}", "LMax, L1 or L2"


def _imputed(model: Model) -> Iterator[tuple[str, str]]:
    params = model.imputer
    kind, replaced = params.WhichOneof("ImputedValue"), params.WhichOneof("ReplaceValue")
    if kind is None:
        yield "has no replacement value", "a value"
        return
    if not model.description.input:
        return
    types, replaceable = _REPLACED[kind]
    feature = model.description.input[0].type
    if feature.WhichOneof("Type") not in types:
        yield f"puts an {kind} into a {feature.WhichOneof('Type')}", f"a {' or '.join(types)}"
    if replaced is not None and replaced != replaceable:
        yield f"puts an {kind} in place of a {replaced}", replaceable or "nothing to replace"
    if kind in ("imputedDoubleArray", "imputedInt64Array"):
        length, shape = len(getattr(params, kind).vector), list(feature.multiArrayType.shape[:1])
        if shape != [length]:
            yield f"puts {length} numbers into {shape}", "as many as the input has"


def _scaled(model: Model) -> Iterator[tuple[str, str]]:
    lengths = {0, 1}
    if model.description.input:
        lengths |= set(model.description.input[0].type.multiArrayType.shape[:1])
    for name in ("shiftValue", "scaleValue"):
        count = len(getattr(model.scaler, name))
        if count not in lengths:
            yield f"has {count} numbers in {name}", "none, one or one for each number of its input"


def _language(least: int) -> Callable[[Model], Iterator[tuple[str, str]]]:
    """Text models: a revision, labels if the type has them, and the data."""

    def rule(model: Model) -> Iterator[tuple[str, str]]:
        params = getattr(model, model.WhichOneof("Type"))
        if params.revision < least:
            yield f"has revision {params.revision}", f"{least} or more"
        labels = {"wordTagger": "stringTags", "wordEmbedding": ""}.get(model.WhichOneof("Type"), "stringClassLabels")
        if labels and not getattr(params, labels).vector:
            yield "has no labels", "at least one"
        if not params.modelParameterData:
            yield "has no modelParameterData", "the data of the model"

    return rule


def _vision(model: Model) -> Iterator[tuple[str, str]]:
    params = model.visionFeaturePrint
    match params.WhichOneof("VisionFeaturePrintType"):
        case None:
            yield "has no type", "scene or objects"
        case "scene" if params.scene.version not in (1, 2):
            yield f"is of scene version {params.scene.version}", "1 or 2"
        case "objects" if params.objects.version != 1:
            yield f"is of objects version {params.objects.version}", "1"
        case "objects" if len(params.objects.output) != 2:
            yield f"names {len(params.objects.output)} outputs", "two"


def _audio(model: Model) -> Iterator[tuple[str, str]]:
    params = model.audioFeaturePrint
    if params.WhichOneof("AudioFeaturePrintType") is None:
        yield "has no type", "sound"
    elif params.sound.version == 0:
        yield "has no sound version", "1"


def _sound(model: Model) -> Iterator[tuple[str, str]]:
    if model.soundAnalysisPreprocessing.WhichOneof("SoundAnalysisPreprocessingType") is None:
        yield "has no type", "vggish"


def _regression(model: Model) -> Iterator[tuple[str, str]]:
    params = model.glmRegressor
    if len(params.weights) != len(params.offset):
        yield f"has {len(params.weights)} weights and {len(params.offset)} offsets", "equal numbers"
    if len({len(weights.value) for weights in params.weights}) > 1:
        yield "has weights of different lengths", "one length"


def _logistic(model: Model) -> Iterator[tuple[str, str]]:
    params = model.glmClassifier
    if params.postEvaluationTransform not in (0, 1) or params.classEncoding not in (0, 1):
        yield "has an unsupported transform or encoding", "Logit or Probit, ReferenceClass or OneVsRest"
    count = len(params.weights)
    if not count or count != len(params.offset):
        yield f"has {count} weights and {len(params.offset)} offsets", "equal numbers, not 0"
    lengths = {len(weights.value) for weights in params.weights}
    if len(lengths) > 1 or 0 in lengths:
        yield "has weights of different lengths, or none", "one length"
    labels = params.WhichOneof("ClassLabels")
    classes = len(getattr(params, labels).vector) if labels else None
    if classes is None:
        return
    reference = params.classEncoding == params.ReferenceClass
    expected = classes - 1 if reference or classes == 2 else classes
    if count != expected:
        yield f"has {count} weights for {classes} classes", f"{expected}"
    if classes > 2 and params.postEvaluationTransform == params.Probit:
        yield f"is a Probit of {classes} classes", "two at most"


def _vectors(model: Model) -> Iterator[tuple[str, str]]:
    """Support vectors: a kernel, and one coefficient per vector."""
    kind = model.WhichOneof("Type")
    params = getattr(model, kind)
    yield from _kernel(params.kernel)
    stored = params.WhichOneof("supportVectors")
    if stored is None:
        yield "has no support vectors", "sparse or dense ones"
        return
    total = len(getattr(params, stored).vectors)
    if kind == "supportVectorRegressor":
        if len(params.coefficients.alpha) != total:
            yield f"has {len(params.coefficients.alpha)} coefficients", f"{total}, one for each support vector"
        return
    labels = params.WhichOneof("ClassLabels")
    classes = len(getattr(params, labels).vector) if labels else 0
    if len(params.coefficients) != classes - 1:
        yield f"has {len(params.coefficients)} rows of coefficients for {classes} classes", f"{classes - 1}"
    counts = [int(count) for count in params.numberOfSupportVectorsPerClass]
    if len(counts) != classes or sum(counts) != total:
        yield f"has {sum(counts)} support vectors for {len(counts)} classes", f"{total} for {classes}"
    if any(len(row.alpha) != total for row in params.coefficients):
        yield "has rows of coefficients of the wrong length", f"{total}, one for each support vector"
    pairs = classes * (classes - 1) // 2
    if (params.probA or params.probB) and not len(params.probA) == len(params.probB) == pairs:
        yield f"has {len(params.probA)} probA and {len(params.probB)} probB", f"{pairs}, one for each pair of classes"


def _kernel(kernel: Model) -> Iterator[tuple[str, str]]:
    kind = kernel.WhichOneof("kernel")
    if kind is None:
        yield "has no kernel", "one"
        return
    params = getattr(kernel, kind)
    if kind != "linearKernel" and params.gamma < 0:
        yield f"has the gamma {params.gamma}", "0 or more"
    if kind == "polyKernel" and params.degree < 0:
        yield f"has the degree {params.degree}", "0 or more"


def _recommender(model: Model) -> Iterator[tuple[str, str]]:
    """Every compared item has an id if ids are listed, and the ids are unique."""
    params = model.itemSimilarityRecommender
    largest = 0
    for item in params.itemItemSimilarities:
        largest = max(largest, int(item.itemId), *(int(other.itemId) for other in item.similarItemList))
    numbers, names = list(params.itemInt64Ids.vector), list(params.itemStringIds.vector)
    if numbers and names:
        yield "has integer and string ids", "one kind"
    ids: list[int] | list[str] = numbers or names
    # Apple's validator lets a list of strings be one too short.
    if ids and len(ids) < largest + (1 if numbers else 0):
        yield f"has {len(ids)} ids, but an item {largest}", f"{largest + 1} or more"
    if len(set(ids)) != len(ids):
        yield "has an id twice", "each id once"


def _suppression(model: Model) -> Iterator[tuple[str, str]]:
    params = model.nonMaximumSuppression
    if not 0 <= params.iouThreshold <= 1:
        yield f"has the iouThreshold {params.iouThreshold}", "0 to 1"
    if not params.confidenceThreshold >= 0:
        yield f"has the confidenceThreshold {params.confidenceThreshold}", "0 or more"


_RULES: dict[str, _Rule] = {
    "categoricalMapping": _mapping,
    "classConfidenceThresholding": _curves,
    "customModel": _custom,
    "linkedModel": _linked,
    "dictVectorizer": _indexed,
    "featureVectorizer": _sizes,
    "oneHotEncoder": _categories,
    "normalizer": _norm,
    "imputer": _imputed,
    "scaler": _scaled,
    "gazetteer": _language(2),
    "wordEmbedding": _language(2),
    "textClassifier": _language(1),
    "wordTagger": _language(1),
    "visionFeaturePrint": _vision,
    "audioFeaturePrint": _audio,
    "soundAnalysisPreprocessing": _sound,
    "glmRegressor": _regression,
    "glmClassifier": _logistic,
    "supportVectorClassifier": _vectors,
    "supportVectorRegressor": _vectors,
    "itemSimilarityRecommender": _recommender,
    "nonMaximumSuppression": _suppression,
}
