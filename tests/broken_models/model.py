"""Models that break the rules of every model."""

from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, NeuralNetwork_pb2
from tests.broken_models.other_models import other_model
from tests.broken_models.valid import classifier, exact, nearest_neighbors, plain


def unknown_version() -> Model:
    model = exact()
    model.specificationVersion = 11
    return model


def old_version() -> Model:
    model = classifier()
    model.specificationVersion = 3
    return model


def updatable_of_another_kind() -> Model:
    model = exact()
    model.identity.SetInParent()
    model.isUpdatable = True
    return model


def input_without_data_type() -> Model:
    model = exact()
    model.description.input[0].type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.INVALID_ARRAY_DATA_TYPE
    return model


def input_without_shape() -> Model:
    model = exact()
    del model.description.input[0].type.multiArrayType.shape[:]
    return model


def early_float16_input() -> Model:
    model = exact()
    model.description.input[0].type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT16
    return model


def output_without_name() -> Model:
    model = nearest_neighbors()
    model.description.output.add().type.stringType.SetInParent()
    return model


def image_without_color() -> Model:
    model = exact()
    image = model.description.input[0].type.imageType
    image.width = image.height = 8
    return model


def image_without_size() -> Model:
    model = exact()
    model.description.input[0].type.imageType.colorSpace = FeatureTypes_pb2.ImageFeatureType.RGB
    return model


def no_output() -> Model:
    model = exact()
    del model.description.output[:]
    return model


def only_optional_inputs() -> Model:
    model = plain()
    for feature in (model.description.input[0], model.description.trainingInput[0]):
        feature.type.isOptional = True
    return model


def optional_neighbors_input() -> Model:
    model = nearest_neighbors()
    model.description.input[0].type.isOptional = True
    return model


def output_without_data_type() -> Model:
    model = exact()
    model.description.output[0].type.multiArrayType.ClearField("dataType")
    return model


def negative_length() -> Model:
    model = exact()
    model.description.output[0].type.multiArrayType.shape[1] = -2
    return model


def shape_not_among_those_listed() -> Model:
    model = exact()
    model.description.input[0].type.multiArrayType.enumeratedShapes.shapes.add(shape=[1, 3, 9, 9])
    return model


def no_shapes_listed() -> Model:
    model = exact()
    model.description.input[0].type.multiArrayType.enumeratedShapes.SetInParent()
    return model


def _ranges(*limits: tuple[int, int]) -> Model:
    model = exact()
    ranges = model.description.input[0].type.multiArrayType.shapeRange.sizeRanges
    for low, high in limits:
        ranges.add(lowerBound=low, upperBound=high)
    return model


def shape_outside_its_ranges() -> Model:
    return _ranges((1, 1), (3, 3), (9, 16), (8, -1))


def empty_range() -> Model:
    model = _ranges((1, 1), (3, 3), (8, 8), (8, -1))
    model.description.input[0].type.multiArrayType.shape[:] = []
    model.description.output[0].type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=3, upperBound=2)
    model.description.output[0].type.multiArrayType.shape[:] = []
    model.description.input[0].type.multiArrayType.shape[:] = [1, 3, 8, 8]
    return model


def default_of_another_type() -> Model:
    model = exact()
    model.description.input[0].type.multiArrayType.intDefaultValue = 1
    return model


def dictionary_without_keys() -> Model:
    model = nearest_neighbors()
    model.description.output[1].type.dictionaryType.ClearField("KeyType")
    return model


def _picture(width: int, height: int) -> Model:
    """The exact model with a picture as input, RGB, whose size may vary."""
    model = exact()
    image = model.description.input[0].type.imageType
    image.colorSpace = FeatureTypes_pb2.ImageFeatureType.RGB
    image.width, image.height = width, height
    model.neuralNetwork.imageInputShapeMapping = NeuralNetwork_pb2.RANK4_IMAGE_MAPPING
    return model


def flexible_image_of_no_size() -> Model:
    model = _picture(0, 0)
    model.description.input[0].type.imageType.imageSizeRange.SetInParent()
    return model


def image_size_not_listed() -> Model:
    model = _picture(8, 8)
    model.description.input[0].type.imageType.enumeratedSizes.sizes.add(width=16, height=16)
    return model


def image_size_outside_its_range() -> Model:
    model = _picture(8, 8)
    limits = model.description.input[0].type.imageType.imageSizeRange
    limits.widthRange.lowerBound, limits.widthRange.upperBound = 9, 16
    limits.heightRange.lowerBound, limits.heightRange.upperBound = 8, -1
    return model


def early_grey_16() -> Model:
    model = _picture(8, 8)
    model.description.input[0].type.imageType.colorSpace = FeatureTypes_pb2.ImageFeatureType.GRAYSCALE_FLOAT16
    convolution = model.neuralNetwork.layers[0].convolution
    convolution.kernelChannels = 1
    convolution.weights.floatValue[:] = [0.5] * 36
    return model


def sequence_of_no_kind() -> Model:
    model = nearest_neighbors()
    model.description.output.add(name="more").type.sequenceType.SetInParent()
    return model


def empty_range_of_a_sequence() -> Model:
    model = nearest_neighbors()
    sequence = model.description.output.add(name="more").type.sequenceType
    sequence.stringType.SetInParent()
    sequence.sizeRange.lowerBound, sequence.sizeRange.upperBound = 3, 2
    return model


def early_sequence() -> Model:
    model = empty_range_of_a_sequence()
    model.description.output[2].type.sequenceType.sizeRange.Clear()
    model.specificationVersion = 2
    model.isUpdatable = False
    return model


def state_as_output() -> Model:
    model = nearest_neighbors()
    model.description.output.add(name="more").type.stateType.SetInParent()
    return model


def optional_output() -> Model:
    model = exact()
    model.description.output[0].type.isOptional = True
    return model


def of_no_kind() -> Model:
    model = exact()
    model.ClearField("neuralNetwork")
    return model


def ml_program() -> Model:
    model = exact()
    model.mlProgram.version = 1
    return model


def extractor_of_a_print_from_numbers() -> Model:
    model = other_model("visionFeaturePrint")
    model.description.input[0].type.doubleType.SetInParent()
    return model


def recommender_without_outputs() -> Model:
    model = other_model("itemSimilarityRecommender")
    model.itemSimilarityRecommender.ClearField("recommendedItemListOutputFeatureName")
    model.itemSimilarityRecommender.ClearField("recommendedItemScoreOutputFeatureName")
    return model


def mapping_of_nothing() -> Model:
    model = other_model("categoricalMapping")
    model.categoricalMapping.ClearField("stringToInt64Map")
    return model


def tree_of_two_roots() -> Model:
    model = other_model("treeEnsembleRegressor")
    del model.treeEnsembleRegressor.treeEnsemble.nodes[0]
    return model


def default_function() -> Model:
    model = exact()
    model.description.defaultFunctionName = "main"
    return model


def default_of_a_missing_value() -> Model:
    model = nearest_neighbors()
    model.description.input[0].type.isOptional = True
    model.description.input[0].type.multiArrayType.floatDefaultValue = 1
    model.description.trainingInput[0].CopyFrom(model.description.input[0])
    return model


def described_state_that_is_none() -> Model:
    model = exact()
    model.description.state.add(name="memory").type.doubleType.SetInParent()
    return model


def absurd_size() -> Model:
    model = exact()
    model.description.input[0].type.multiArrayType.ClearField("shape")
    model.description.input[0].type.multiArrayType.shape.extend([1, 3, 2**20, 2**20])
    return model


BREAKERS = {
    "M1.1": [unknown_version],
    "M1.2": [old_version],
    "M1.3": [updatable_of_another_kind],
    "M1.6": [
        input_without_data_type,
        input_without_shape,
        early_float16_input,
        output_without_name,
        image_without_color,
        image_without_size,
        output_without_data_type,
        negative_length,
        shape_not_among_those_listed,
        no_shapes_listed,
        shape_outside_its_ranges,
        empty_range,
        default_of_another_type,
        dictionary_without_keys,
        flexible_image_of_no_size,
        image_size_not_listed,
        image_size_outside_its_range,
        early_grey_16,
        sequence_of_no_kind,
        empty_range_of_a_sequence,
        early_sequence,
        state_as_output,
        described_state_that_is_none,
    ],
    "M1.8": [no_output],
    "M1.9": [only_optional_inputs, optional_neighbors_input, optional_output, default_of_a_missing_value],
    "M12.1": [extractor_of_a_print_from_numbers, recommender_without_outputs],
    "M12.2": [mapping_of_nothing, tree_of_two_roots],
    "L1.4": [ml_program],
    "L1.13": [absurd_size],
    "M1.10": [of_no_kind],
    "M1.11": [default_function],
}
