"""Nearest neighbors and pipelines that are broken."""

from coreml_updatable.spec.messages import FeatureTypes_pb2, Model
from coreml_updatable.spec.network import pipeline_of
from tests.broken_models.valid import filled_nearest_neighbors, nearest_neighbors, pipeline


def no_neighbors() -> Model:
    model = nearest_neighbors()
    model.kNearestNeighborsClassifier.ClearField("numberOfNeighbors")
    return model


def neighbors_outside_range() -> Model:
    model = nearest_neighbors()
    model.kNearestNeighborsClassifier.numberOfNeighbors.range.maxValue = 2
    return model


def neighbors_not_in_set() -> Model:
    model = nearest_neighbors()
    model.kNearestNeighborsClassifier.numberOfNeighbors.set.values.extend([1, 5])
    return model


def no_weighting() -> Model:
    model = nearest_neighbors()
    model.kNearestNeighborsClassifier.ClearField("inverseDistanceWeighting")
    return model


def no_index() -> Model:
    model = nearest_neighbors()
    model.kNearestNeighborsClassifier.nearestNeighborsIndex.ClearField("linearIndex")
    return model


def empty_leaves() -> Model:
    model = nearest_neighbors()
    model.kNearestNeighborsClassifier.nearestNeighborsIndex.singleKdTreeIndex.leafSize = 0
    return model


def no_distance() -> Model:
    model = nearest_neighbors()
    model.kNearestNeighborsClassifier.nearestNeighborsIndex.ClearField("squaredEuclideanDistance")
    return model


def default_label_of_another_kind() -> Model:
    model = filled_nearest_neighbors()
    model.kNearestNeighborsClassifier.defaultInt64Label = 0
    return model


def no_default_label() -> Model:
    model = nearest_neighbors()
    model.kNearestNeighborsClassifier.ClearField("defaultStringLabel")
    return model


def one_label_too_few() -> Model:
    model = filled_nearest_neighbors()
    del model.kNearestNeighborsClassifier.stringClassLabels.vector[-1]
    return model


def short_sample() -> Model:
    model = filled_nearest_neighbors()
    del model.kNearestNeighborsClassifier.nearestNeighborsIndex.floatSamples[0].vector[-1]
    return model


def label_is_a_whole_number() -> Model:
    model = nearest_neighbors()
    for feature in (model.description.output[0], model.description.trainingInput[1]):
        feature.type.int64Type.SetInParent()
    return model


def shares_of_no_output() -> Model:
    model = nearest_neighbors()
    model.description.predictedProbabilitiesName = "shares"
    return model


def shares_are_a_string() -> Model:
    model = nearest_neighbors()
    model.description.output[1].type.stringType.SetInParent()
    return model


def no_default_label_beside_samples() -> Model:
    model = filled_nearest_neighbors()
    model.kNearestNeighborsClassifier.ClearField("defaultStringLabel")
    return model


def sample_not_a_number() -> Model:
    model = filled_nearest_neighbors()
    model.kNearestNeighborsClassifier.nearestNeighborsIndex.floatSamples[1].vector[0] = float("nan")
    return model


def other_dimensions() -> Model:
    model = nearest_neighbors()
    model.kNearestNeighborsClassifier.nearestNeighborsIndex.numberOfDimensions = 5
    return model


def no_dimensions() -> Model:
    model = nearest_neighbors()
    model.kNearestNeighborsClassifier.nearestNeighborsIndex.numberOfDimensions = 0
    return model


def rank_4_embedding() -> Model:
    model = nearest_neighbors()
    for feature in (model.description.input[0], model.description.trainingInput[0]):
        feature.type.multiArrayType.shape[:] = [1, 4, 1, 1]
    return model


def neighbors_without_training_inputs() -> Model:
    model = nearest_neighbors()
    del model.description.trainingInput[:]
    return model


def no_members() -> Model:
    model = pipeline()
    del pipeline_of(model).models[:]
    del pipeline_of(model).names[:]
    return model


def member_input_from_nowhere() -> Model:
    model = pipeline()
    pipeline_of(model).models[1].description.input[0].name = "elsewhere"
    pipeline_of(model).models[1].description.trainingInput[0].name = "elsewhere"
    return model


def member_input_of_another_type() -> Model:
    model = pipeline()
    features = pipeline_of(model).models[0].description.output
    features[0].type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.DOUBLE
    return model


def output_from_nowhere() -> Model:
    model = pipeline()
    model.description.output.add(name="nowhere").type.stringType.SetInParent()
    return model


def last_not_updatable() -> Model:
    model = pipeline()
    pipeline_of(model).models[1].isUpdatable = False
    return model


def first_updatable_too() -> Model:
    model = pipeline()
    first = nearest_neighbors()
    first.description.input[0].name = first.description.trainingInput[0].name = "embedding"
    for feature in first.description.output:
        feature.name = f"first_{feature.name}"
    first.description.trainingInput[1].name = "first_label"
    first.description.predictedFeatureName = "first_label"
    first.description.predictedProbabilitiesName = "first_labelProbs"
    members = pipeline_of(model).models
    last = _copy(members[1])
    members[1].CopyFrom(first)
    members.append(last)
    del pipeline_of(model).names[:]
    return model


def member_of_a_fixed_pipeline() -> Model:
    model = pipeline()
    model.isUpdatable = False
    return model


def members_of_one_name() -> Model:
    model = pipeline()
    pipeline_of(model).names[:] = ["same", "same"]
    return model


def one_name_missing() -> Model:
    model = pipeline()
    pipeline_of(model).names[:] = ["alone"]
    return model


def pipeline_without_training_inputs() -> Model:
    model = pipeline()
    del model.description.trainingInput[:]
    return model


def pipeline_without_label() -> Model:
    model = pipeline()
    model.description.predictedFeatureName = ""
    return model


def member_trained_with_more() -> Model:
    model = pipeline()
    last = pipeline_of(model).models[1]
    last.description.trainingInput.add(name="weight").type.doubleType.SetInParent()
    return model


def _copy(model: Model) -> Model:
    return type(model).FromString(model.SerializeToString())


BREAKERS = {
    "K9.1": [no_neighbors, neighbors_outside_range, neighbors_not_in_set],
    "K9.3": [no_weighting],
    "K9.4": [no_index],
    "K9.5": [empty_leaves],
    "K9.6": [no_distance],
    "K9.7": [default_label_of_another_kind],
    "K9.8": [no_default_label],
    "K9.9": [one_label_too_few],
    "K9.10": [short_sample],
    "K9.12": [label_is_a_whole_number],
    "K9.16": [shares_of_no_output, shares_are_a_string],
    "L9.8": [no_default_label_beside_samples],
    "L9.10": [sample_not_a_number],
    "L9.11": [other_dimensions, no_dimensions],
    "L9.13": [rank_4_embedding],
    "L9.14": [neighbors_without_training_inputs],
    "P10.1": [no_members],
    "P10.2": [member_input_from_nowhere, member_input_of_another_type],
    "P10.4": [output_from_nowhere],
    "P10.5": [last_not_updatable],
    "P10.6": [first_updatable_too],
    "P10.7": [member_of_a_fixed_pipeline],
    "P10.9": [members_of_one_name, one_name_missing],
    "L10.11": [pipeline_without_training_inputs],
    "L10.13": [member_trained_with_more],
    "L10.12": [pipeline_without_label],
}
