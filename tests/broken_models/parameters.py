"""Updatable networks whose optimizer, epochs or seed are broken."""

from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of
from tests.broken_models.valid import adam_classifier, classifier, plain, sgd


def no_optimizer() -> Model:
    model = classifier()
    network_of(model).updateParams.ClearField("optimizer")
    return model


def sgd_without_batch() -> Model:
    model = classifier()
    sgd(model).ClearField("miniBatchSize")
    return model


def adam_without_beta2() -> Model:
    model = adam_classifier()
    network_of(model).updateParams.optimizer.adamOptimizer.ClearField("beta2")
    return model


def no_epochs() -> Model:
    model = classifier()
    network_of(model).updateParams.ClearField("epochs")
    return model


def learning_rate_outside() -> Model:
    model = classifier()
    sgd(model).learningRate.range.minValue = 0.5
    return model


def eps_outside() -> Model:
    model = adam_classifier()
    network_of(model).updateParams.optimizer.adamOptimizer.eps.range.minValue = 0.5
    return model


def no_batch() -> Model:
    model = classifier()
    sgd(model).miniBatchSize.Clear()
    sgd(model).miniBatchSize.SetInParent()
    return model


def batch_not_in_set() -> Model:
    model = classifier()
    sgd(model).miniBatchSize.defaultValue = 7
    return model


def empty_set_of_epochs() -> Model:
    model = classifier()
    del network_of(model).updateParams.epochs.set.values[:]
    network_of(model).updateParams.epochs.set.SetInParent()
    return model


def zero_before_the_default() -> Model:
    model = classifier()
    sgd(model).miniBatchSize.set.values[:] = [0, 1]
    return model


def range_of_epochs_from_zero() -> Model:
    model = classifier()
    epochs = network_of(model).updateParams.epochs
    epochs.range.minValue, epochs.range.maxValue = 0, 10
    return model


def epochs_outside_range() -> Model:
    model = classifier()
    epochs = network_of(model).updateParams.epochs
    epochs.range.minValue, epochs.range.maxValue = 1, 2
    return model


def seed_not_in_set() -> Model:
    model = classifier()
    seed = network_of(model).updateParams.seed
    seed.defaultValue = -1
    seed.set.values.extend([0, 1])
    return model


def endless_epochs() -> Model:
    model = classifier()
    epochs = model.neuralNetworkClassifier.updateParams.epochs
    epochs.Clear()
    epochs.defaultValue = 10**9
    return model


def negative_learning_rate() -> Model:
    model = classifier()
    sgd(model).learningRate.Clear()
    sgd(model).learningRate.defaultValue = -0.1
    return model


def learning_rate_not_a_number() -> Model:
    model = classifier()
    sgd(model).learningRate.defaultValue = float("nan")
    return model


def momentum_above_one() -> Model:
    model = classifier()
    sgd(model).momentum.Clear()
    sgd(model).momentum.defaultValue = 1.5
    return model


def momentum_outside() -> Model:
    model = classifier()
    sgd(model).momentum.range.maxValue = 0.1
    return model


def zero_behind_the_default() -> Model:
    model = classifier()
    sgd(model).miniBatchSize.set.values[:] = [1, 0]
    return model


def batches_of_eight_only() -> Model:
    model = classifier()
    size = sgd(model).miniBatchSize
    size.defaultValue = 8
    size.set.values[:] = [8]
    return model


def epochs_of_ten_only() -> Model:
    model = classifier()
    epochs = network_of(model).updateParams.epochs
    epochs.defaultValue = 10
    epochs.set.values[:] = [10]
    return model


def infinite_range() -> Model:
    model = classifier()
    sgd(model).learningRate.range.maxValue = float("inf")
    return model


def rate_that_overshoots() -> Model:
    model = classifier()
    sgd(model).learningRate.Clear()
    sgd(model).learningRate.defaultValue = 2.0
    return model


def adam_rate_that_saturates() -> Model:
    model = adam_classifier()
    rate = network_of(model).updateParams.optimizer.adamOptimizer.learningRate
    rate.Clear()
    rate.defaultValue = 0.7  # 2 × 0.7 × (√144 + 1) is more than ln 2^24
    return model


def rate_that_overshoots_under_squared_error() -> Model:
    model = plain()
    sgd(model).learningRate.Clear()
    sgd(model).learningRate.defaultValue = 2.0
    return model


BREAKERS = {
    "N7.1": [no_optimizer],
    "N7.2": [sgd_without_batch],
    "N7.3": [adam_without_beta2],
    "N7.4": [no_epochs],
    "N7.6": [learning_rate_outside, eps_outside],
    "N7.9": [no_batch],
    "N7.10": [batch_not_in_set, empty_set_of_epochs],
    "N7.11": [zero_before_the_default],
    "N7.12": [range_of_epochs_from_zero, epochs_outside_range],
    "N7.14": [seed_not_in_set],
    "L7.7": [endless_epochs, negative_learning_rate, learning_rate_not_a_number, momentum_above_one, infinite_range],
    "L7.8": [momentum_outside],
    "L7.11": [zero_behind_the_default],
    "L486": [rate_that_overshoots, adam_rate_that_saturates, rate_that_overshoots_under_squared_error],
    "L7.13": [batches_of_eight_only, epochs_of_ten_only],
}
