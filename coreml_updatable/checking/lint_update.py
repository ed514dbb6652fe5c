"""Warnings about update parameters and training inputs that Apple's compiler accepts."""

from collections.abc import Iterator
from math import isfinite

from coreml_updatable.checking.parameters import integer_parameters, out_of_range, real_parameters
from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.features import feature_named
from coreml_updatable.spec.graph import loss_blobs, needed_layers
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.parameters import MAX_EPOCHS


def values_sensible(model: Model) -> Iterator[Finding]:
    """Real parameters and their bounds are finite; learning rate and eps are positive, others 0 to 1; few epochs."""
    for name, parameter in real_parameters(model):
        limits = parameter.range
        if not (isfinite(limits.minValue) and isfinite(limits.maxValue)):
            yield Finding(
                name, f"the range is {limits.minValue:g} to {limits.maxValue:g}", "finite bounds", "set its range"
            )
        value = parameter.defaultValue
        if not isfinite(value):
            yield Finding(name, f"the default is {value}", "a finite number")
        elif name in ("learningRate", "eps"):
            if value <= 0:
                yield Finding(name, f"the default is {value:g}", "a number above 0")
        elif not 0 <= value <= 1:
            yield Finding(name, f"the default is {value:g}", "a number from 0 to 1")
    for name, parameter in integer_parameters(model):
        if name == "epochs" and parameter.defaultValue > MAX_EPOCHS:
            yield Finding(name, f"the default is {parameter.defaultValue}", f"at most {MAX_EPOCHS}")


def momentum_in_range(model: Model) -> Iterator[Finding]:
    """The default of the momentum is in its range; Apple's compiler does not check this."""
    for name, parameter in real_parameters(model):
        if name == "momentum" and parameter.HasField("range") and out_of_range(parameter):
            limits = parameter.range
            expected = f"{limits.minValue:g} to {limits.maxValue:g}"
            yield Finding(name, f"the default {parameter.defaultValue:g} is outside its range", expected)


def integer_sets_positive(model: Model) -> Iterator[Finding]:
    """A set of mini-batch sizes or epochs contains nothing below 1, not even after the default."""
    for name, parameter in integer_parameters(model):
        values = list(parameter.set.values) if parameter.HasField("set") else []
        behind = values[values.index(parameter.defaultValue) :] if parameter.defaultValue in values else []
        for value in behind:
            if value < 1 <= parameter.defaultValue:
                yield Finding(name, f"the set allows {value}", "integers of 1 or more")


def one_photo_enough(model: Model) -> Iterator[Finding]:
    """A mini-batch size of 1 and a single epoch are allowed, so that an app can make a small update with one photo."""
    for name, parameter in integer_parameters(model):
        if name not in ("miniBatchSize", "epochs"):
            continue
        in_set = not parameter.HasField("set") or 1 in parameter.set.values or not parameter.set.values
        in_range = not parameter.HasField("range") or parameter.range.minValue <= 1
        if not (in_set and in_range):
            yield Finding(name, "does not allow 1", "1 to be allowed")


def label_is_target(model: Model) -> Iterator[Finding]:
    """A classifier is trained with its label, which an app knows, and not with an array of class indices."""
    name = str(model.description.predictedFeatureName)
    given, loss = model.description.trainingInput, loss_blobs(network_of(model))
    by_array = loss is not None and feature_named(given, loss[1]) is not None
    if model.WhichOneof("Type") == "neuralNetworkClassifier" and by_array and feature_named(given, name) is None:
        yield Finding("trainingInput", f"lacks the label '{name}'", "it")


def target_is_no_picture(model: Model) -> Iterator[Finding]:
    """The target of a loss is an array or a label; with an image the update fails (coremltools #557)."""
    loss = loss_blobs(network_of(model))
    target = feature_named(model.description.trainingInput, loss[1]) if loss is not None else None
    if target is not None and target.type.WhichOneof("Type") == "imageType":
        yield Finding(f"trainingInput '{target.name}'", "is the target of the loss, but a picture", "an array")


def inputs_listed(model: Model) -> Iterator[Finding]:
    """All inputs that the loss depends on are training inputs."""
    network = network_of(model)
    loss = loss_blobs(network)
    if loss is None:
        return
    read = {str(b) for n in needed_layers(network.layers, [loss[0]]) for b in network.layers[n].input}
    given = {str(feature.name) for feature in model.description.trainingInput}
    for feature in model.description.input:
        if feature.name in read and feature.name not in given:
            yield Finding("trainingInput", f"lacks the input '{feature.name}'", "it")


def training_inputs_typed(model: Model) -> Iterator[Finding]:
    """Every training input has a name and a type."""
    for index, feature in enumerate(model.description.trainingInput):
        if not feature.name or feature.type.WhichOneof("Type") is None:
            missing = "type" if feature.name else "name"
            yield Finding(f"trainingInput[{index}] '{feature.name}'", f"has no {missing}", "one")
