"""The probes about how neighbors vote: one for each assumption about a k-NN. They only predict.

The query is always 0, so the distance of a sample is its value.
"""

from collections.abc import Sequence

from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, Model_pb2
from coreml_updatable.updating.probes.networks import FLOAT32, SPECIFICATION
from coreml_updatable.updating.probes.probe import Probe, Reading, Row


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


QUERY: Row = {"x": [0.0]}
BOTH = Reading("probabilities", "labelProbability", ("1", "2"))
LABEL = Reading("label", "label")


def voting_probes() -> list[Probe]:
    """Return the probes in the order in which they are settled."""
    return [
        Probe(
            assumption="probabilities",
            says="Two neighbors have the label 1 and one has 2: shares are 2/3 and 1/3, votes 2 and 1.",
            model=nearest_neighbors([(1.0, "1"), (2.0, "1"), (3.0, "2")], 3, uniform=True),
            query=QUERY,
            read=BOTH,
        ),
        Probe(
            assumption="listed",
            says="Three labels, one neighbor: either all labels are listed or only the neighbor's.",
            model=nearest_neighbors([(1.0, "1"), (2.0, "2"), (3.0, "3")], 1, uniform=True),
            query=QUERY,
            read=Reading("count", "labelProbability"),
        ),
        Probe(
            assumption="inverse_of",
            says="One neighbor is twice as far as the other: it has half the vote, or a quarter.",
            model=nearest_neighbors([(1.0, "1"), (2.0, "2")], 2, uniform=False),
            query=QUERY,
            read=BOTH,
            digest="second / first",
        ),
        Probe(
            assumption="zero_distance",
            says="One sample equals the query, the other is a millionth away: either the first decides alone, or both "
            "vote.",
            model=nearest_neighbors([(0.0, "1"), (1e-6, "2")], 2, uniform=False),
            query=QUERY,
            read=BOTH,
            digest="second / first",
            given=("inverse_of",),
        ),
        Probe(
            assumption="tied_labels",
            says="Two labels with one vote each: the first sample is the one farther away.",
            model=nearest_neighbors([(2.0, "1"), (1.0, "2")], 2, uniform=True),
            query=QUERY,
            read=LABEL,
        ),
        Probe(
            assumption="tied_samples",
            says="Two samples at the same distance, one neighbor: the earlier or the later.",
            model=nearest_neighbors([(1.0, "1"), (-1.0, "2")], 1, uniform=True),
            query=QUERY,
            read=LABEL,
        ),
    ]
