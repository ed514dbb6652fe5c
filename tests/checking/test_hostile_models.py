"""Damaged and absurd models: check gives problems or our own error, soon, and never breaks down."""

import signal
from collections.abc import Callable, Iterator
from random import Random
from types import FrameType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coreml_updatable.checking import Problem, check
from coreml_updatable.errors import UserError
from coreml_updatable.spec.io import parse_model
from coreml_updatable.spec.messages import Model, Model_pb2
from coreml_updatable.spec.network import network_of
from tests.broken_models import valid
from tests.broken_models.other_models import KINDS as OTHER_KINDS
from tests.broken_models.other_models import other_model
from tests.checking.old_networks import old_network
from tests.runtime.mutations import any_layer, damaged_bytes, damaged_fields, layer_kinds
from tests.runtime.sound_models import sound_models

SECONDS = 5  # a case takes milliseconds
SOUND = [*sound_models(), *(build() for build in valid.ALL), *map(other_model, OTHER_KINDS)]
KINDS = layer_kinds()


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    """A case that hangs fails."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"a hostile model took more than {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def judged(model: Model) -> list[Problem]:
    """What check says, if it is what it should be: problems of one line each."""
    signal.alarm(SECONDS)
    problems = check(model)
    for problem in problems:
        assert problem.severity in ("error", "warning")
        assert all((problem.rule, problem.where, problem.found, problem.expected, problem.remedy))
    return problems


def damaged_message(seed: int) -> Model:
    random = Random(seed)
    return damaged_fields(random.choice(SOUND), random)


def damaged_file(seed: int) -> Model:
    random = Random(seed)
    one, other = (random.choice(SOUND).SerializeToString() for _ in range(2))
    return parse_model(damaged_bytes(one, other, random), "a file")


def layer_of_any_kind(seed: int) -> Model:
    return any_layer(KINDS[seed % len(KINDS)], Random(seed))


def damaged_old_network(seed: int) -> Model:
    return damaged_fields(old_network(seed), Random(seed))


MAKERS = [damaged_message, damaged_file, layer_of_any_kind, damaged_old_network]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_only_problems_or_our_own_errors_come_out(make: Callable[[int], Model]) -> None:
    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32))
    def run(seed: int) -> None:
        try:
            model = make(seed)
        except UserError:
            return
        judged(model)

    run()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(-(2**31), 2**31 - 1) | st.integers(-2, 13), st.integers(0, 2**32), st.booleans())
def test_a_file_of_any_version_is_answered_with_problems(
    tmp_path_factory: pytest.TempPathFactory, version: int, seed: int, damaged: bool
) -> None:
    """Never an exception: the version is a broken rule like others."""
    model = (
        damaged_message(seed) if damaged else Model_pb2.Model.FromString(SOUND[seed % len(SOUND)].SerializeToString())
    )
    model.specificationVersion = version
    path = tmp_path_factory.getbasetemp() / "any.mlmodel"
    path.write_bytes(model.SerializeToString())
    if version == 0 and model.WhichOneof("Type") is None:
        return  # such a file holds no model
    signal.alarm(SECONDS)
    rules = {problem.rule for problem in check(path) if problem.severity == "error" and ": " not in problem.where}
    assert ("M1.1" in rules) == (not 1 <= version <= 10)


@pytest.mark.parametrize("number", range(len(SOUND)))
def test_nested_in_a_pipeline_the_same_problems_are_found_in_it(number: int) -> None:
    alone = judged(SOUND[number])
    outer = Model_pb2.Model(specificationVersion=4)
    outer.pipeline.models.add().CopyFrom(SOUND[number])
    nested = [problem for problem in judged(outer) if problem.where.startswith("models[0]: ")]
    result = {(problem.rule, problem.where.removeprefix("models[0]: ")) for problem in nested}
    assert {(problem.rule, problem.where) for problem in alone} <= result


def circular() -> Model:
    """fc reads the squeeze, which reads the fc."""
    model = valid.exact()
    valid.layer(model, "squeeze").input[0] = "y"
    return model


def circular_and_updatable() -> Model:
    """A ring of two layers, both on the way from the loss."""
    model = valid.classifier()
    valid.layer(model, "conv").input[0] = "relu"
    return model


def absurd_sizes() -> Model:
    """Counts whose product no machine could hold, declared only."""
    model = valid.classifier()
    product = valid.layer(model, "fc").innerProduct
    product.inputChannels, product.outputChannels = 2**62, 2**62
    model.description.input[0].type.multiArrayType.shape[:] = [2**62, 2**62, 2**62]
    return model


def long_chain() -> Model:
    """Three thousand layers between the updatable layer and the loss: no rule may look at each beside each."""
    model = valid.plain()
    network = network_of(model)
    for index in range(3000):
        layer = network.layers.add(name=f"a{index}", input=[f"b{index}"], output=[f"b{index + 1}"])
        layer.activation.ReLU.SetInParent()
    network.layers[4].input[0], network.layers[-1].output[0] = "tanh", "y"
    valid.layer(model, "tanh").output[0] = "tanh"
    return model


def many_convolutions() -> Model:
    """A thousand updatable convolutions one behind the other."""
    model = valid.classifier()
    network = network_of(model)
    for index in range(1000):
        layer = network.layers.add(name=f"a{index}", input=[f"b{index}"], output=[f"b{index + 1}"], isUpdatable=True)
        layer.convolution.SetInParent()
    return model


def deep_branches() -> Model:
    """Branches inside branches, as deep as the wire format can be read."""
    model = valid.exact()
    network = network_of(model)
    for _ in range(25):
        layer = network.layers.add(name="branch", input=["x"])
        network = layer.branch.ifBranch
    return model


@pytest.mark.parametrize(
    ("build", "rule"),
    [
        (circular, "N2.1"),
        (circular_and_updatable, "N2.1"),
        (absurd_sizes, "N2.4"),
        (long_chain, None),
        (many_convolutions, "L490"),
        (deep_branches, "N2.17"),
    ],
)
def test_what_only_an_enemy_would_write(build: Callable[[], Model], rule: str | None) -> None:
    rules = {problem.rule for problem in judged(build())}
    assert rules == (set() if rule is None else rules | {rule})
