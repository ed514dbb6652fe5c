"""Each rule fires on the models that break it, and on nothing else."""

from collections.abc import Callable

import pytest

from coreml_updatable.checking import check
from coreml_updatable.checking.rules import RULES
from coreml_updatable.spec.messages import Model, Model_pb2
from tests.broken_models import parameters, valid
from tests.broken_models.breakers import BREAKERS, UPDATE

CASES = [pytest.param(rule, build, id=f"{rule}-{build.__name__}") for rule, row in BREAKERS.items() for build in row]


@pytest.mark.parametrize("build", valid.ALL, ids=lambda build: build.__name__)
def test_a_valid_model_has_no_problem(build: Callable[[], Model]) -> None:
    assert check(build()) == []


@pytest.mark.parametrize(("rule", "build"), CASES)
def test_exactly_the_broken_rule_is_named(rule: str, build: Callable[[], Model]) -> None:
    assert {problem.rule for problem in check(build())} == {rule}


def test_every_rule_has_a_breaker_and_every_breaker_a_rule() -> None:
    assert {rule.id for rule in RULES} == set(BREAKERS)


def test_ids_are_distinct_and_every_rule_says_itself_in_one_line() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.statement.endswith(".")
        assert "\n" not in rule.statement


def test_severity_says_whether_apple_rejects() -> None:
    assert {rule.severity for rule in RULES if rule.id.startswith("L")} == {"warning"}
    assert {rule.severity for rule in RULES if not rule.id.startswith("L")} == {"error"}


@pytest.mark.parametrize(("rule", "build"), CASES)
def test_a_problem_is_one_sentence(rule: str, build: Callable[[], Model]) -> None:
    for problem in check(build()):
        text = str(problem)
        assert text.startswith(f"{problem.where}: {problem.found}, expected {problem.expected}; {problem.remedy}")
        assert rule in text
        assert (problem.thread or rule) in text
        assert "\n" not in text


def test_all_problems_are_reported_not_only_the_first() -> None:
    broken = parameters.no_optimizer()
    broken.neuralNetworkClassifier.updateParams.ClearField("epochs")
    broken.specificationVersion = 3
    assert {problem.rule for problem in check(broken)} == {"M1.2", "N7.1", "N7.4"}


def test_rules_of_updating_are_off_when_the_model_is_not_updatable() -> None:
    for row in UPDATE.values():
        for build in row:
            broken = build()
            broken.isUpdatable = False
            assert {problem.rule for problem in check(broken)} <= {"N5.4", "L2.10"}, build.__name__


def test_problems_of_members_say_which_member() -> None:
    broken = valid.pipeline()
    broken.pipelineClassifier.pipeline.names[:] = ["extractor", "neighbors"]
    broken.pipelineClassifier.pipeline.models[1].kNearestNeighborsClassifier.ClearField("numberOfNeighbors")
    (problem,) = check(broken)
    assert (problem.rule, problem.where) == ("K9.1", "models[1] 'neighbors': numberOfNeighbors")


@pytest.mark.parametrize("kind", [field.name for field in Model_pb2.Model.DESCRIPTOR.oneofs_by_name["Type"].fields])
def test_an_empty_model_of_any_kind_is_judged_without_breaking_down(kind: str) -> None:
    empty = Model_pb2.Model(specificationVersion=4, isUpdatable=True)
    getattr(empty, kind).SetInParent()
    assert "M1.8" in {problem.rule for problem in check(empty)}


def test_pipelines_are_judged_however_deep_they_are_nested() -> None:
    model = valid.pipeline()
    model.pipelineClassifier.pipeline.models[1].kNearestNeighborsClassifier.ClearField("numberOfNeighbors")
    model.isUpdatable = model.pipelineClassifier.pipeline.models[1].isUpdatable = False
    for _ in range(40):
        outer = Model_pb2.Model(specificationVersion=4)
        outer.description.CopyFrom(model.description)
        outer.pipeline.models.add().CopyFrom(model)
        model = outer
    (problem,) = [each for each in check(model) if each.severity == "error"]
    assert (problem.rule, problem.where) == ("K9.1", "models[0]: " * 40 + "models[1]: numberOfNeighbors")
