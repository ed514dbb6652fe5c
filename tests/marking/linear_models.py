"""Linear classifiers and pipelines as Turi Create and coremltools' converter of scikit-learn write them: version 1."""

from collections.abc import Sequence
from typing import Any

from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, Model_pb2


def glm(labels: Sequence[str] | Sequence[int], weights: Any, offset: Any, *, reference: bool = True) -> Model:
    """``weights`` [K, D] and ``offset`` [K]; input ``x`` [D] of doubles, outputs ``class`` and ``classProbability``."""
    model = Model_pb2.Model(specificationVersion=1)
    result = model.glmClassifier
    for row in weights:
        result.weights.add().value.extend(row)
    result.offset.extend(offset)
    result.classEncoding = result.ReferenceClass if reference else result.OneVsRest
    if isinstance(labels[0], str):
        result.stringClassLabels.vector.extend(labels)
    else:
        result.int64ClassLabels.vector.extend(labels)
    given = model.description.input.add(name="x").type.multiArrayType
    given.shape.append(len(weights[0]))
    given.dataType = FeatureTypes_pb2.ArrayFeatureType.DOUBLE
    outputs(model, labels)
    return model


def outputs(model: Model, labels: Sequence[str] | Sequence[int]) -> None:
    answer = model.description.output.add(name="class").type
    spread = model.description.output.add(name="classProbability").type.dictionaryType
    strings = isinstance(labels[0], str)
    getattr(answer, "stringType" if strings else "int64Type").SetInParent()
    getattr(spread, "stringKeyType" if strings else "int64KeyType").SetInParent()
    model.description.predictedFeatureName = "class"
    model.description.predictedProbabilitiesName = "classProbability"


def of_words(words: Sequence[str], last: Model, labels: Sequence[str]) -> Model:
    """[dictVectorizer, featureVectorizer, ``last``]: from ``words``, a dictionary of counts, to ``class``.

    As coremltools writes scikit-learn's DictVectorizer: Core ML's own gives a sparse dictionary.
    """
    vectorizer = Model_pb2.Model(specificationVersion=1)
    vectorizer.dictVectorizer.stringToIndex.vector.extend(words)
    given = vectorizer.description.input.add(name="words").type.dictionaryType
    given.stringKeyType.SetInParent()
    vectorizer.description.output.add(name="counts").type.dictionaryType.int64KeyType.SetInParent()
    dense = Model_pb2.Model(specificationVersion=1)
    dense.featureVectorizer.inputList.add(inputColumn="counts", inputDimensions=len(words))
    dense.description.input.extend(vectorizer.description.output)
    result = dense.description.output.add(name="x").type.multiArrayType
    result.shape.append(len(words))
    result.dataType = FeatureTypes_pb2.ArrayFeatureType.DOUBLE
    return pipeline([vectorizer, dense, last], labels)


def behind_vision(last: Model, labels: Sequence[str], side: int = 299) -> Model:
    """[visionFeaturePrint, ``last``]: from the picture ``image`` over the features ``x`` [2048] to ``class``."""
    vision = Model_pb2.Model(specificationVersion=3)
    vision.visionFeaturePrint.scene.version = vision.visionFeaturePrint.scene.SCENE_VERSION_1
    given = vision.description.input.add(name="image").type.imageType
    given.width = given.height = side
    given.colorSpace = FeatureTypes_pb2.ImageFeatureType.RGB
    result = vision.description.output.add(name="x").type.multiArrayType
    result.shape.append(2048)
    result.dataType = FeatureTypes_pb2.ArrayFeatureType.DOUBLE
    return pipeline([vision, last], labels)


def behind_audio(last: Model, labels: Sequence[str]) -> Model:
    """[audioFeaturePrint, ``last``]: from the waveform ``audioSamples`` over the features ``x`` [512] to ``class``."""
    audio = Model_pb2.Model(specificationVersion=6)
    audio.audioFeaturePrint.sound.version = audio.audioFeaturePrint.sound.SOUND_VERSION_1
    for name, size, feature in (
        ("audioSamples", 15_600, audio.description.input),
        ("x", 512, audio.description.output),
    ):
        array = feature.add(name=name).type.multiArrayType
        array.shape.append(size)
        array.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    return pipeline([audio, last], labels)


def pipeline(members: Sequence[Model], labels: Sequence[str]) -> Model:
    model = Model_pb2.Model(specificationVersion=max(member.specificationVersion for member in members))
    model.pipelineClassifier.pipeline.models.extend(members)
    model.description.input.extend(members[0].description.input)
    outputs(model, labels)
    return model
