"""Inputs and outputs of models that are not networks, k-NNs or pipelines (the members of pipelines)."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from coreml_updatable.checking.interface import LABEL_TYPES, predicted_feature, probabilities_output, regressor_output
from coreml_updatable.checking.problem import Finding
from coreml_updatable.errors import with_article
from coreml_updatable.spec.features import feature_named
from coreml_updatable.spec.messages import FeatureDescription, FeatureTypes_pb2, Model

_Rule: TypeAlias = Callable[[Model], Iterator[Finding]]
_ARRAY = FeatureTypes_pb2.ArrayFeatureType
_FRAMES = [1, 96, 64]  # of the sounds' spectrograms
_SAMPLES = [15600]  # 0.975 s of sound at 16 kHz
_NUMBERS = ("doubleType", "int64Type", "multiArrayType")
_ANY = ("int64Type", "doubleType", "multiArrayType", "stringType", "dictionaryType")
_MANY = 0
# kind -> most inputs (0: any number) and their types, most outputs and theirs; None: not looked at
_TYPES: dict[str, tuple[tuple[int, Sequence[str]] | None, tuple[int, Sequence[str]] | None]] = {
    "arrayFeatureExtractor": ((1, ("multiArrayType",)), (1, _NUMBERS)),
    "dictVectorizer": ((1, ("dictionaryType",)), (1, ("dictionaryType",))),
    "featureVectorizer": ((_MANY, (*_NUMBERS, "dictionaryType")), (1, ("multiArrayType",))),
    "gazetteer": ((1, ("stringType",)), (1, ("stringType",))),
    "textClassifier": ((1, ("stringType",)), (1, ("stringType",))),
    "wordEmbedding": ((1, ("stringType",)), (1, ("multiArrayType",))),
    "wordTagger": ((1, ("stringType",)), (_MANY, ("sequenceType",))),
    "imputer": ((1, _ANY), (1, _ANY)),
    "normalizer": ((1, ("multiArrayType",)), (1, ("multiArrayType",))),
    "scaler": ((1, _NUMBERS), (1, _NUMBERS)),
    "soundAnalysisPreprocessing": ((1, ("multiArrayType",)), (1, ("multiArrayType",))),
    "visionFeaturePrint": ((1, ("imageType",)), None),
    "audioFeaturePrint": ((1, ("multiArrayType",)), None),
    "glmRegressor": ((_MANY, _NUMBERS), (_MANY, ("doubleType",))),
    "glmClassifier": ((_MANY, _NUMBERS), None),
    "supportVectorClassifier": ((_MANY, _NUMBERS), None),
    "supportVectorRegressor": ((_MANY, _NUMBERS), None),
}


def other_features(model: Model) -> Iterator[Finding]:
    """A model of another type has the number and types of inputs and outputs that its type requires."""
    kind = str(model.WhichOneof("Type"))
    described = model.description
    inputs, outputs = _TYPES.get(kind, (None, None))
    yield from _typed("input", described.input, inputs, kind)
    yield from _typed("output", described.output, outputs, kind)
    if kind in _MORE and described.input and described.output:
        yield from _MORE[kind](model)


def _typed(
    side: str, features: Sequence[FeatureDescription], allowed: tuple[int, Sequence[str]] | None, kind: str
) -> Iterator[Finding]:
    if allowed is None:
        return
    most, types = allowed
    if most and len(features) > most:
        yield Finding(f"{side}s", f"found {len(features)} for {with_article(kind)}", f"{most}", f"remove an {side}")
    for feature in features:
        yield from _of_types(side, feature, types)


def _of_types(side: str, feature: FeatureDescription, types: Sequence[str]) -> Iterator[Finding]:
    result = feature.type.WhichOneof("Type")
    if result is not None and result not in types:
        yield Finding(f"{side} '{feature.name}'", f"is a {result}", f"a {' or '.join(types)}", "change its type")


def _named(side: str, features: Sequence[FeatureDescription], name: str, *types: str) -> Iterator[Finding]:
    """The feature ``name`` exists and has one of the types."""
    feature = feature_named(features, name)
    if feature is None:
        yield Finding(f"{side} '{name}'", "is missing", f"an {side} with that name", f"describe the {side}")
    else:
        yield from _of_types(side, feature, types)


def _extracted(model: Model) -> Iterator[Finding]:
    count, (answer, *_) = len(model.arrayFeatureExtractor.extractIndex), model.description.output
    if answer.type.WhichOneof("Type") == "doubleType" and count != 1:
        yield Finding("arrayFeatureExtractor", f"extracts {count} numbers into a double", "one")


def _mapped(model: Model) -> Iterator[Finding]:
    """``categoricalMapping``: a category, or a sequence of them."""
    mapping = model.categoricalMapping.WhichOneof("MappingType")
    if mapping is None:
        return  # of this another rule speaks
    pair = ("stringType", "int64Type")
    types = pair if mapping == "stringToInt64Map" else pair[::-1]
    sides = (("input", model.description.input), ("output", model.description.output))
    for (side, features), one in zip(sides, types, strict=True):
        yield from _typed(side, features, (1, (one, "sequenceType")), "categoricalMapping")
    given, answer = model.description.input[0], model.description.output[0]
    if given.type.WhichOneof("Type") != "sequenceType":
        return
    for feature, one in ((given, types[0]), (answer, types[1])):
        result = feature.type.WhichOneof("Type"), feature.type.sequenceType.WhichOneof("Type")
        if result != ("sequenceType", one):
            yield Finding(f"feature '{feature.name}'", "is not such a sequence", f"a sequence of {one}")


def _encoded(model: Model) -> Iterator[Finding]:
    """``oneHotEncoder``: a dictionary if it is sparse, else an array."""
    yield from _typed("input", model.description.input, (1, ("int64Type", "stringType")), "oneHotEncoder")
    answer = "dictionaryType" if model.oneHotEncoder.outputSparse else "multiArrayType"
    yield from _typed("output", model.description.output, (1, (answer,)), "oneHotEncoder")


def _kept(model: Model) -> Iterator[Finding]:
    """``imputer`` and ``scaler`` keep type and shape of a number or a vector."""
    given, answer = model.description.input[0], model.description.output[0]
    output, result = given.type.WhichOneof("Type"), answer.type.WhichOneof("Type")
    widened = model.WhichOneof("Type") == "scaler" and (output, result) == ("int64Type", "doubleType")
    where = f"output '{answer.name}'"
    if output != result and not widened:
        yield Finding(where, f"is a {result}", f"a {output}, like the input", "change its type")
    elif output == "multiArrayType":
        shape, kept = list(given.type.multiArrayType.shape), list(answer.type.multiArrayType.shape)
        if len(shape) != 1 or shape != kept:
            yield Finding(where, f"has shape {kept[:9]} for {shape[:9]}", "the same, of one length", "state one length")


def _listened(model: Model) -> Iterator[Finding]:
    """VGGish preprocessing turns 15600 samples into 96 frames of 64 bands."""
    if model.soundAnalysisPreprocessing.WhichOneof("SoundAnalysisPreprocessingType") != "vggish":
        return
    features = ((model.description.input[0], _SAMPLES), (model.description.output[0], _FRAMES))
    for feature, shape in features:
        array = feature.type.multiArrayType
        if list(array.shape) != shape or array.dataType != _ARRAY.FLOAT32:
            yield Finding(f"feature '{feature.name}'", "is a different array", f"Float32 {shape}", "change its type")


def _seen(model: Model) -> Iterator[Finding]:
    """``visionFeaturePrint``: one array for scenes, two named arrays for objects."""
    params, outputs = model.visionFeaturePrint, model.description.output
    kind = params.WhichOneof("VisionFeaturePrintType")
    if kind is None:
        return
    most = 1 if kind == "scene" else 2
    yield from _typed("output", outputs, (most, ("multiArrayType",)), f"visionFeaturePrint of {kind}")
    if kind == "objects":
        listed = [str(name) for name in params.objects.output]
        for feature in outputs:
            if feature.name not in listed:
                yield Finding(f"output '{feature.name}'", "is not among the print's outputs", f"{listed[:9]}")


def _heard(model: Model) -> Iterator[Finding]:
    if model.audioFeaturePrint.sound.version == 1:
        yield from _typed("output", model.description.output, (1, ("multiArrayType",)), "audioFeaturePrint")


def _probit(model: Model) -> Iterator[Finding]:
    for feature in model.description.input:
        array = feature.type.multiArrayType
        kind = feature.type.WhichOneof("Type")
        if kind != "multiArrayType" or array.dataType != _ARRAY.INT32 or not 1 <= len(array.shape) <= 2:
            yield Finding(f"input '{feature.name}'", f"is {with_article(kind)}", "an Int32 array of rank 1 or 2")


def _classified(model: Model) -> Iterator[Finding]:
    """The outputs of a classifier, as for a network classifier."""
    classifier = getattr(model, model.WhichOneof("Type"))
    labels = classifier.WhichOneof("ClassLabels")
    if labels is None or not getattr(classifier, labels).vector:
        yield Finding("classLabels", "are missing", "a label for every class")
    yield from predicted_feature(model, LABEL_TYPES.get(labels or ""))
    yield from probabilities_output(model)


def _recommended(model: Model) -> Iterator[Finding]:
    params, described = model.itemSimilarityRecommender, model.description
    name = str(params.itemInputFeatureName)
    if not name and len(described.input) == 1:
        name = str(described.input[0].name)
    if not name:
        yield Finding("itemInputFeatureName", "is missing", "the input that holds the items", "name it")
    else:
        yield from _named("input", described.input, name, "dictionaryType", "sequenceType", "multiArrayType")
    if params.numRecommendationsInputFeatureName:
        yield from _named("input", described.input, str(params.numRecommendationsInputFeatureName), "int64Type")
    for other in (params.itemExclusionInputFeatureName, params.itemRestrictionInputFeatureName):
        if other:
            yield from _named("input", described.input, str(other), "sequenceType", "multiArrayType")
    scores, items = str(params.recommendedItemScoreOutputFeatureName), str(params.recommendedItemListOutputFeatureName)
    if scores:
        yield from _named("output", described.output, scores, "dictionaryType")
    if items:
        yield from _named("output", described.output, items, "sequenceType")
    if not scores and not items:
        yield Finding("itemSimilarityRecommender", "names no output", "one of its two outputs", "name it")


def _tagged(model: Model) -> Iterator[Finding]:
    """``wordTagger``: one sequence for each output that it names, including the tags."""
    params, outputs = model.wordTagger, model.description.output
    types = {
        str(params.tokenTagsOutputFeatureName): "stringType",
        str(params.tokensOutputFeatureName): "stringType",
        str(params.tokenLocationsOutputFeatureName): "int64Type",
        str(params.tokenLengthsOutputFeatureName): "int64Type",
    }
    names = (
        params.tokenTagsOutputFeatureName,
        params.tokensOutputFeatureName,
        params.tokenLocationsOutputFeatureName,
        params.tokenLengthsOutputFeatureName,
    )
    if len(outputs) != sum(map(bool, names)):
        yield Finding("outputs", f"are {len(outputs)}", "one for each output that the tagger names")
    if feature_named(outputs, str(params.tokenTagsOutputFeatureName)) is None:
        yield Finding("tokenTagsOutputFeatureName", "is not an output", "the output that holds the tags", "name it")
    for feature in outputs:
        wanted, result = types.get(str(feature.name)), feature.type.sequenceType.WhichOneof("Type")
        if wanted is None or result != wanted:
            where = f"output '{feature.name}'"
            yield Finding(where, f"is a sequence of {result}", f"{wanted or 'an output that the tagger names'}")


def _suppressed(model: Model) -> Iterator[Finding]:
    """``nonMaximumSuppression``: confidence and coordinates, arrays of one data type, and two thresholds."""
    params, described = model.nonMaximumSuppression, model.description
    thresholds = {str(params.iouThresholdInputFeatureName), str(params.confidenceThresholdInputFeatureName)}
    inputs = (str(params.confidenceInputFeatureName), str(params.coordinatesInputFeatureName))
    outputs = (str(params.confidenceOutputFeatureName), str(params.coordinatesOutputFeatureName))
    used = (("input", described.input, {*inputs, *thresholds}), ("output", described.output, set(outputs)))
    for side, features, names in used:
        for feature in features:
            if feature.name not in names:
                yield Finding(
                    f"{side} '{feature.name}'", "is not named by the model", "an output that it names", "remove it"
                )
    for name in inputs:
        yield from _named("input", described.input, name, "multiArrayType")
    for name in outputs:
        yield from _named("output", described.output, name, "multiArrayType")
    for feature in described.input:
        if feature.name in thresholds:
            yield from _of_types("input", feature, ("doubleType",))
    arrays = [feature_named(described.input, name) for name in inputs]
    arrays += [feature_named(described.output, name) for name in outputs]
    types = {feature.type.multiArrayType.dataType for feature in arrays if feature is not None}
    allowed = {_ARRAY.DOUBLE} if model.specificationVersion < 5 else {_ARRAY.DOUBLE, _ARRAY.FLOAT32}
    if len(types) > 1 or not types <= allowed:
        result = "are arrays of different or unsupported data types"
        yield Finding("confidence and coordinates", result, "Double, or Float32 from version 5 on", "change the types")
    if None not in arrays:
        yield from _suppressed_shapes(model, arrays[2], arrays[3])


def _suppressed_shapes(
    model: Model, confidence: FeatureDescription, coordinates: FeatureDescription
) -> Iterator[Finding]:
    """Check rows and classes of the confidence, and rows of the coordinates."""
    array, where = confidence.type.multiArrayType, f"output '{confidence.name}'"
    flexible = array.WhichOneof("ShapeFlexibility")
    stated, ranges = list(array.shape), array.shapeRange.sizeRanges
    listed = array.enumeratedShapes.shapes
    rank = len(listed[0].shape) if flexible == "enumeratedShapes" and listed else len(ranges)
    if (len(stated), rank) not in ((0, 0), (2, 0), (0, 2)):
        yield Finding(
            where, f"has {len(stated)} lengths and {rank} flexible ones", "two fixed or two flexible lengths, or none"
        )
        return
    params = model.nonMaximumSuppression
    labels = params.WhichOneof("ClassLabels")
    count = len(getattr(params, labels).vector) if labels else 0
    if stated:
        rows = list(coordinates.type.multiArrayType.shape[:1])
        if rows != stated[:1]:
            yield Finding(f"output '{coordinates.name}'", f"has {rows} rows", f"{stated[:1]}, like the confidence")
        if count and stated[1] != count:
            yield Finding(where, f"is described for {stated[1]} classes", f"{count}, the number of labels")
    elif rank and flexible != "shapeRange":
        yield Finding(where, "lists its shapes", "ranges of lengths")
    elif rank and coordinates.type.multiArrayType.WhichOneof("ShapeFlexibility") != "shapeRange":
        yield Finding(f"output '{coordinates.name}'", "has no ranges of lengths", "ranges, like the confidence")
    elif rank and count:
        low, high = int(ranges[1].lowerBound), int(ranges[1].upperBound)
        if count < low or 0 <= high < count:
            yield Finding(where, f"allows {low} to {high} classes", f"{count}, the number of labels")


_MORE: dict[str, _Rule] = {
    "arrayFeatureExtractor": _extracted,
    "categoricalMapping": _mapped,
    "oneHotEncoder": _encoded,
    "imputer": _kept,
    "scaler": _kept,
    "soundAnalysisPreprocessing": _listened,
    "visionFeaturePrint": _seen,
    "audioFeaturePrint": _heard,
    "bayesianProbitRegressor": _probit,
    "glmClassifier": _classified,
    "supportVectorClassifier": _classified,
    "glmRegressor": regressor_output,
    "supportVectorRegressor": regressor_output,
    "itemSimilarityRecommender": _recommended,
    "wordTagger": _tagged,
    "nonMaximumSuppression": _suppressed,
}
