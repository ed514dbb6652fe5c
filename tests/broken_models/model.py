"""Models that break the rules of every model."""

from coreml_updatable.spec.messages import FeatureTypes_pb2, Model
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
    ],
    "M1.8": [no_output],
    "M1.9": [only_optional_inputs, optional_neighbors_input],
}
