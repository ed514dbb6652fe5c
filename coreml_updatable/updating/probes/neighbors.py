"""k-nearest-neighbours classifiers with a handful of samples inside."""

from collections.abc import Sequence

from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, Model_pb2
from coreml_updatable.updating.probes.networks import FLOAT32, SPECIFICATION


def nearest_neighbors(samples: Sequence[tuple[float, str]], neighbors: int, *, uniform: bool) -> Model:
    """x [1] -> label, labelProbability; a linear index of the samples (value, label) in this order."""
    model = Model_pb2.Model(specificationVersion=SPECIFICATION, isUpdatable=True)
    description = model.description
    for features in (description.input, description.trainingInput):
        array = features.add(name="x").type.multiArrayType
        array.shape.append(1)
        array.dataType = FLOAT32
    description.trainingInput.add(name="label").type.stringType.SetInParent()
    description.output.add(name="label").type.stringType.SetInParent()
    probability: FeatureTypes_pb2.FeatureType = description.output.add(name="labelProbability").type
    probability.dictionaryType.stringKeyType.SetInParent()
    description.predictedFeatureName, description.predictedProbabilitiesName = "label", "labelProbability"
    classifier = model.kNearestNeighborsClassifier
    classifier.numberOfNeighbors.defaultValue = neighbors
    classifier.numberOfNeighbors.set.values.append(neighbors)
    index = classifier.nearestNeighborsIndex
    index.numberOfDimensions = 1
    index.linearIndex.SetInParent()
    index.squaredEuclideanDistance.SetInParent()
    for value, label in samples:
        index.floatSamples.add().vector.append(value)
        classifier.stringClassLabels.vector.append(label)
    classifier.defaultStringLabel = "0"
    (classifier.uniformWeighting if uniform else classifier.inverseDistanceWeighting).SetInParent()
    return model
