"""Updatable networks that are handed the wrong things for an update."""

from collections.abc import Callable

from coreml_updatable.spec.messages import Model, NeuralNetwork_pb2
from coreml_updatable.spec.network import network_of
from tests.broken_models.valid import classifier, insert_layer, layer, loss, plain, regressor


def one_training_input() -> Model:
    model = classifier()
    del model.description.trainingInput[1]
    return model


def training_image_of_another_type() -> Model:
    model = classifier()
    model.description.trainingInput[0].type.multiArrayType.shape[0] = 4
    return model


def training_input_of_no_shapes() -> Model:
    model = classifier()
    more = model.description.trainingInput.add()
    more.CopyFrom(model.description.trainingInput[0])
    more.type.multiArrayType.enumeratedShapes.SetInParent()
    return model


def no_target_listed() -> Model:
    model = classifier()
    model.description.trainingInput[1].CopyFrom(model.description.trainingInput[0])
    return model


def another_target_listed(start: Callable[[], Model]) -> Callable[[], Model]:
    def build() -> Model:
        model = start()
        model.description.trainingInput[1].name = "something"
        return model

    build.__name__ = f"another_target_listed_in_{start.__name__}"
    return build


def whole_number_as_label() -> Model:
    model = classifier()
    model.description.trainingInput[1].type.int64Type.SetInParent()
    return model


def training_input_without_type() -> Model:
    model = classifier()
    model.description.trainingInput.add(name="more")
    return model


def target_is_an_array() -> Model:
    model = classifier()
    loss(model).categoricalCrossEntropyLossLayer.target = "truth"
    model.description.trainingInput[1].name = "truth"
    return model


def second_input_not_listed() -> Model:
    model = classifier()
    second = model.description.input.add()
    second.CopyFrom(model.description.input[0])
    second.name = "second"
    added = NeuralNetwork_pb2.NeuralNetworkLayer(name="add", input=["image", "second"], output=["sum"])
    added.add.SetInParent()
    insert_layer(network_of(model), 0, added)
    layer(model, "conv").input[0] = "sum"
    return model


BREAKERS = {
    "N8.1": [one_training_input],
    "N8.2": [training_image_of_another_type, training_input_of_no_shapes],
    "N8.3": [no_target_listed],
    "N8.4": [another_target_listed(plain), another_target_listed(regressor)],
    "N8.5": [another_target_listed(classifier)],
    "N8.6": [whole_number_as_label],
    "L1.7": [training_input_without_type],
    "L8.7": [target_is_an_array],
    "L8.9": [second_input_not_listed],
}
