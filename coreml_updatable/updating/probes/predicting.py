"""The probes about predictions of networks and support vector classifiers. They train nothing."""

from coreml_updatable.spec.messages import Model, Model_pb2
from coreml_updatable.updating.probes.networks import FLOAT32, SPECIFICATION, softmax_alone
from coreml_updatable.updating.probes.probe import Probe, Reading


def predicting_probes() -> list[Probe]:
    return [
        Probe(
            assumption="softmax_at_rank_3",
            says="Four scores of shape [2, 1, 2]: the last axis pairs the first with the second, axis -3 with the "
            "third.",
            model=softmax_alone([2, 1, 2]),
            query={"x": [0.0, 1.0, 3.0, 6.0]},
            read=Reading("output", "probabilities"),
        ),
        Probe(
            assumption="support_vector_label",
            says="Of three classes, 1 wins both of its pairs, but 2 is the most likely; 3 would mean a score with the "
            "wrong sign.",
            model=contradictory_machine(),
            query={"x": [1.0]},
            read=Reading("label", "label"),
        ),
    ]


def contradictory_machine() -> Model:
    """x [1] -> label, labelProbability: the earlier class of each pair wins, and the second one is the most likely.

    Every score is 1, because every coefficient is 0 and every rho -1. A pair's probability is 1 / (1 + e^(0.1 + B)), so
    that the second class has 0.87 against the first, and 0.88 against the third.
    """
    model = Model_pb2.Model(specificationVersion=SPECIFICATION)
    description = model.description
    array = description.input.add(name="x").type.multiArrayType
    array.shape.append(1)
    array.dataType = FLOAT32
    description.output.add(name="label").type.stringType.SetInParent()
    description.output.add(name="labelProbability").type.dictionaryType.stringKeyType.SetInParent()
    description.predictedFeatureName, description.predictedProbabilitiesName = "label", "labelProbability"
    machine = model.supportVectorClassifier
    machine.kernel.linearKernel.SetInParent()
    machine.stringClassLabels.vector.extend(["1", "2", "3"])
    machine.numberOfSupportVectorsPerClass.extend([1, 1, 1])
    for _ in range(3):
        machine.denseSupportVectors.vectors.add().values.append(1.0)
    for _ in range(2):
        machine.coefficients.add().alpha.extend([0.0, 0.0, 0.0])
    machine.rho.extend([-1.0, -1.0, -1.0])  # of 1 against 2, 1 against 3, 2 against 3
    machine.probA.extend([0.1, 0.1, 0.1])
    machine.probB.extend([1.8, 0.0, -2.1])
    return model
