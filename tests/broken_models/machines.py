"""Support vector machines and suppressions that are broken."""

from coreml_updatable.spec.messages import FeatureTypes_pb2, Model
from tests.broken_models.valid import support_vector_classifier, support_vector_regressor, suppression


def text_input() -> Model:
    model = support_vector_classifier()
    model.description.input.add(name="word").type.stringType.SetInParent()
    return model


def picture_input_of_a_regressor() -> Model:
    model = support_vector_regressor()
    picture = model.description.input[0].type.imageType
    picture.width = picture.height = 8
    picture.colorSpace = FeatureTypes_pb2.ImageFeatureType.RGB
    return model


def no_kernel() -> Model:
    model = support_vector_classifier()
    model.supportVectorClassifier.ClearField("kernel")
    return model


def negative_gamma() -> Model:
    model = support_vector_regressor()
    model.supportVectorRegressor.kernel.sigmoidKernel.gamma = -0.1
    return model


def negative_degree() -> Model:
    model = support_vector_classifier()
    model.supportVectorClassifier.kernel.polyKernel.degree = -1
    return model


def no_vectors() -> Model:
    model = support_vector_classifier()
    model.supportVectorClassifier.ClearField("sparseSupportVectors")
    return model


def no_vectors_of_a_regressor() -> Model:
    model = support_vector_regressor()
    model.supportVectorRegressor.ClearField("denseSupportVectors")
    return model


def a_row_of_coefficients_less() -> Model:
    model = support_vector_classifier()
    del model.supportVectorClassifier.coefficients[1]
    return model


def a_coefficient_more() -> Model:
    model = support_vector_classifier()
    model.supportVectorClassifier.coefficients[1].alpha.append(0.5)
    return model


def a_coefficient_less() -> Model:
    model = support_vector_regressor()
    del model.supportVectorRegressor.coefficients.alpha[0]
    return model


def whole_numbers_as_label() -> Model:
    model = support_vector_classifier()
    model.description.output[0].type.int64Type.SetInParent()
    return model


def no_label_output() -> Model:
    model = support_vector_classifier()
    model.description.predictedFeatureName = ""
    return model


def no_probabilities_output() -> Model:
    model = support_vector_classifier()
    model.description.predictedProbabilitiesName = "nothing"
    return model


def a_class_not_counted() -> Model:
    model = support_vector_classifier()
    del model.supportVectorClassifier.numberOfSupportVectorsPerClass[2]
    return model


def a_vector_not_counted() -> Model:
    model = support_vector_classifier()
    model.supportVectorClassifier.numberOfSupportVectorsPerClass[0] = 1
    return model


def a_slope_less() -> Model:
    model = support_vector_classifier()
    del model.supportVectorClassifier.probA[0]
    return model


def no_offsets_of_probabilities() -> Model:
    model = support_vector_classifier()
    model.description.predictedProbabilitiesName = ""
    del model.supportVectorClassifier.probB[:]
    return model


def a_label_of_a_regressor() -> Model:
    model = support_vector_regressor()
    model.description.output[0].type.stringType.SetInParent()
    return model


def an_index_of_0() -> Model:
    model = support_vector_classifier()
    model.supportVectorClassifier.sparseSupportVectors.vectors[0].nodes[0].index = 0
    return model


def an_index_twice() -> Model:
    model = support_vector_classifier()
    model.supportVectorClassifier.sparseSupportVectors.vectors[0].nodes.add(index=1, value=2.0)
    return model


def uneven_vectors() -> Model:
    model = support_vector_regressor()
    model.supportVectorRegressor.denseSupportVectors.vectors[0].values.append(1.0)
    return model


def a_count_below_0() -> Model:
    model = support_vector_classifier()
    model.supportVectorClassifier.numberOfSupportVectorsPerClass[:] = [5, -1, 0]
    return model


def a_rho_less() -> Model:
    model = support_vector_classifier()
    del model.supportVectorClassifier.rho[0]
    return model


def nothing_for_probabilities() -> Model:
    model = support_vector_classifier()
    del model.supportVectorClassifier.probA[:]
    del model.supportVectorClassifier.probB[:]
    return model


def an_input_for_nothing() -> Model:
    model = suppression()
    model.description.input.add(name="more").type.doubleType.SetInParent()
    return model


def an_output_of_nothing() -> Model:
    model = suppression()
    model.description.output.add().CopyFrom(model.description.output[0])
    model.description.output[-1].name = "more"
    return model


def no_coordinates() -> Model:
    model = suppression()
    model.description.input.remove(model.description.input[1])
    return model


def confidence_as_a_number() -> Model:
    model = suppression()
    model.description.input[0].type.doubleType.SetInParent()
    return model


def an_array_as_threshold() -> Model:
    model = suppression()
    model.description.input[2].type.CopyFrom(model.description.input[1].type)
    return model


def too_much_overlap() -> Model:
    model = suppression()
    model.nonMaximumSuppression.iouThreshold = 1.01
    return model


def no_number_as_threshold() -> Model:
    model = suppression()
    model.nonMaximumSuppression.confidenceThreshold = float("nan")
    return model


def less_than_no_confidence() -> Model:
    model = suppression()
    model.nonMaximumSuppression.confidenceThreshold = -0.01
    return model


def two_types() -> Model:
    model = suppression()
    model.description.output[1].type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    return model


def whole_numbers() -> Model:
    model = suppression()
    for features in (list(model.description.input)[:2], model.description.output):
        for feature in features:
            feature.type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.INT32
    return model


def floats_too_early() -> Model:
    model = suppression()
    model.specificationVersion = 4
    for features in (list(model.description.input)[:2], model.description.output):
        for feature in features:
            feature.type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    return model


def a_shape_of_three_axes() -> Model:
    model = suppression()
    model.description.output[0].type.multiArrayType.shape.extend([1, 10, 2])
    return model


def other_numbers_of_boxes() -> Model:
    model = suppression()
    model.description.output[0].type.multiArrayType.shape.extend([10, 2])
    model.description.output[1].type.multiArrayType.shape.extend([9, 4])
    return model


def listed_shapes() -> Model:
    model = suppression()
    for feature, columns in zip(model.description.output, (2, 4), strict=True):
        feature.type.multiArrayType.enumeratedShapes.shapes.add().shape.extend([10, columns])
    return model


def a_label_more_than_columns() -> Model:
    model = suppression()
    model.description.output[0].type.multiArrayType.shape.extend([10, 3])
    model.description.output[1].type.multiArrayType.shape.extend([10, 4])
    return model


def labels_outside_the_range() -> Model:
    return _ranges((0, 10), (0, 10), columns=(3, 9))


def no_method() -> Model:
    model = suppression()
    model.nonMaximumSuppression.ClearField("pickTop")
    return model


def other_ranges() -> Model:
    return _ranges((0, 10), (0, 9), columns=(1, -1))


def a_coefficient_that_is_not_a_number() -> Model:
    model = support_vector_classifier()
    model.supportVectorClassifier.coefficients[0].alpha[0] = float("nan")
    return model


def _ranges(scores: tuple[int, int], boxes: tuple[int, int], columns: tuple[int, int]) -> Model:
    model = suppression()
    for feature, axes in zip(model.description.output, ((scores, columns), (boxes, (4, 4))), strict=True):
        for lower, upper in axes:
            feature.type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=lower, upperBound=upper)
    return model


BREAKERS = {
    "L12.3": [an_index_of_0, an_index_twice, uneven_vectors, a_count_below_0],
    "L12.4": [a_rho_less],
    "L12.5": [nothing_for_probabilities],
    "L12.6": [no_method],
    "L12.7": [other_ranges],
    "L12.8": [a_coefficient_that_is_not_a_number],
}
# What Apple's validator rejects of these kinds.
FEATURES = [
    text_input,
    picture_input_of_a_regressor,
    whole_numbers_as_label,
    no_label_output,
    no_probabilities_output,
    a_label_of_a_regressor,
    an_input_for_nothing,
    an_output_of_nothing,
    no_coordinates,
    confidence_as_a_number,
    an_array_as_threshold,
    two_types,
    whole_numbers,
    floats_too_early,
    a_shape_of_three_axes,
    other_numbers_of_boxes,
    listed_shapes,
    a_label_more_than_columns,
    labels_outside_the_range,
]
PARAMETERS = [
    no_kernel,
    negative_gamma,
    negative_degree,
    no_vectors,
    no_vectors_of_a_regressor,
    a_row_of_coefficients_less,
    a_coefficient_more,
    a_coefficient_less,
    a_class_not_counted,
    a_vector_not_counted,
    a_slope_less,
    no_offsets_of_probabilities,
    too_much_overlap,
    no_number_as_threshold,
    less_than_no_confidence,
]
