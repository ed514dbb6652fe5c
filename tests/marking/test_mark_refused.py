"""What cannot be marked, and parameters that cannot be: each refused in a sentence."""

from copy import deepcopy

import pytest

from coreml_updatable.errors import ModelError
from coreml_updatable.marking import mark
from coreml_updatable.marking.settings import SGD, Adam, DoubleParameter, Int64Parameter, UpdateSettings
from coreml_updatable.spec.network import network_of
from tests.broken_models import valid
from tests.marking.networks import converted
from tests.marking.test_mark import SETTINGS


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"last": 0}, "last: found 0, expected 1 or more"),
        ({"layers": []}, "layers: found no name"),
        ({"layers": ["nowhere"]}, "the network has no layer 'nowhere'; expected names from fc1, fc2"),
        ({"layers": ["relu"]}, "is an activation, expected a convolution or innerProduct"),
        ({"labels": ["a", "b"]}, "labels: found 2 for a network with 3 outputs"),
        ({"labels": ["a"]}, "expected at least two"),
        ({"labels": ["a", "b", "a"]}, "'a' is given twice"),
        ({"labels": ["a", "b", 3]}, "found strings and integers"),
    ],
)
def test_wrong_wishes_are_refused_in_a_sentence(arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        mark(converted("two layers"), SETTINGS, **arguments)  # type: ignore[arg-type]


def test_more_layers_than_there_are_is_refused() -> None:
    with pytest.raises(
        ModelError, match=r"only 2 can be \('conv', 'fc'\): there is no other convolution or innerProduct"
    ):
        mark(valid.classifier(), SETTINGS, last=3)


def test_a_network_without_a_layer_to_train_is_refused() -> None:
    model = valid.classifier()
    layers = network_of(model).layers
    kinds = [layer.WhichOneof("layer") for layer in layers]
    stopped = deepcopy(model)
    for kind in ("innerProduct", "convolution"):
        network_of(stopped).layers[kinds.index(kind)].activation.ReLU.SetInParent()
    with pytest.raises(ModelError) as error:
        mark(stopped, SETTINGS)
    said = str(error.value)
    assert said.startswith("network: no layer can be trained")
    assert "there is no convolution or innerProduct before its output" in said


def test_a_layer_that_no_gradient_reaches_is_refused() -> None:
    model = converted("hard swish")
    with pytest.raises(
        ModelError, match=r"the gradient does not reach it, because layers\[3\] '.*' \(multiply\) blocks it"
    ):
        mark(model, SETTINGS, layers=["fc1"])
    reason = r"only 1 can be \('fc2'\): layers\[3\] 'input' \(multiply\) blocks the gradient"
    with pytest.raises(ModelError, match=reason):
        mark(model, SETTINGS, last=2)
    for layer in network_of(model).layers:
        layer.name = ""
    with pytest.raises(ModelError, match=r"only 1 can be .*: layers\[3\] '.*' \(multiply\) blocks"):
        mark(model, SETTINGS, last=2)


@pytest.mark.parametrize(
    ("parameter", "sentence"),
    [
        (Int64Parameter(5, allowed=(1, 2)), r"epochs: the default 5 is not in the set \[1, 2\]"),
        (Int64Parameter(5, range=(1, 2)), "epochs: the default 5 is outside its range 1 to 2"),
        (Int64Parameter(0), "epochs: allows 0"),
        (Int64Parameter(1, allowed=(0, 1)), "epochs: allows 0"),
        (Int64Parameter(1, range=(1, 2), allowed=(1,)), "epochs: has a range and a set"),
    ],
)
def test_wrong_parameters_are_refused_in_a_sentence(parameter: Int64Parameter, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        mark(converted("two layers"), UpdateSettings(SETTINGS.optimizer, parameter))


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_numbers_of_more_than_64_bits_are_refused(value: int) -> None:
    with pytest.raises(ModelError, match=f"seed: {value} needs more than the format's 64 bits"):
        mark(converted("two layers"), UpdateSettings(SETTINGS.optimizer, Int64Parameter(1), seed=value))
    with pytest.raises(ModelError, match=f"epochs: {value} needs more than the format's 64 bits"):
        mark(converted("two layers"), UpdateSettings(SETTINGS.optimizer, Int64Parameter(1, (value, value + 1))))


def test_a_learning_rate_that_is_no_number_is_refused() -> None:
    sgd = SGD(DoubleParameter(float("nan")), Int64Parameter(1), DoubleParameter(0.0))
    with pytest.raises(ModelError, match="learningRate: is not a finite number"):
        mark(converted("two layers"), UpdateSettings(sgd, Int64Parameter(1)))


@pytest.mark.parametrize(
    ("rate", "momentum", "sentence"),
    [
        (
            DoubleParameter(-1),
            DoubleParameter(0),
            "learningRate: the default is -1, expected more than 0; 0.01 is usual",
        ),
        (DoubleParameter(0), DoubleParameter(0), "learningRate: the default is 0, expected more than 0"),
        (DoubleParameter(1, (-1, 1)), DoubleParameter(0), "learningRate: allows -1, expected 0 or more; change the"),
        (
            DoubleParameter(1),
            DoubleParameter(2),
            "momentum: allows 2, expected 0 to 1; change the default or the range",
        ),
        (DoubleParameter(1), DoubleParameter(0.5, (0, 3)), "momentum: allows 3, expected 0 to 1"),
    ],
)
def test_numbers_with_which_nothing_is_learned_are_refused(
    rate: DoubleParameter, momentum: DoubleParameter, sentence: str
) -> None:
    with pytest.raises(ModelError, match=sentence):
        mark(converted("two layers"), UpdateSettings(SGD(rate, Int64Parameter(1), momentum), Int64Parameter(1)))
    if "momentum" not in sentence:
        adam = Adam(rate, Int64Parameter(1), DoubleParameter(0.9), DoubleParameter(0.99), DoubleParameter(1e-8))
        with pytest.raises(ModelError, match=sentence):
            mark(converted("two layers"), UpdateSettings(adam, Int64Parameter(1)))


def test_decays_of_adam_above_1_are_refused() -> None:
    rate, decay = DoubleParameter(0.1), DoubleParameter(1.5)
    for name, pair in (("beta1", (decay, rate)), ("beta2", (rate, decay))):
        adam = Adam(rate, Int64Parameter(1), *pair, DoubleParameter(1e-8))
        with pytest.raises(ModelError, match=f"{name}: allows 1.5, expected 0 to 1"):
            mark(converted("two layers"), UpdateSettings(adam, Int64Parameter(1)))


def test_decays_of_adam_that_begin_at_1_are_refused() -> None:
    one, usual = DoubleParameter(1.0), DoubleParameter(0.9)
    for name, pair in (("beta1", (one, usual)), ("beta2", (usual, one))):
        adam = Adam(DoubleParameter(0.1), Int64Parameter(1), *pair, DoubleParameter(1e-8))
        with pytest.raises(ModelError, match=f"{name}: the default is 1, expected less; 0.9 and 0.999 are usual"):
            mark(converted("two layers"), UpdateSettings(adam, Int64Parameter(1)))


def test_a_model_that_is_no_network_is_refused() -> None:
    with pytest.raises(ModelError, match="expected a neural network"):
        mark(valid.nearest_neighbors(), SETTINGS)
