"""A converted classifier is written only when it answers as its source and breaks no rule."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from coreml_updatable.checking import check
from coreml_updatable.converting.contract import ConvertedSource, Row, SourceRequest
from coreml_updatable.converting.finished import finish, probabilities
from coreml_updatable.data.inputs import Float64Array
from coreml_updatable.errors import BuildError, ModelError, SourceError
from coreml_updatable.runtime import load
from tests.broken_models import valid
from tests.marking.networks import LABELS, converted

Convert = Callable[[SourceRequest], ConvertedSource]


def source(**changes: object) -> Convert:
    """A torch network whose converter knows what it answers."""
    model = converted("pooled linear, logits", image=True)

    def convert(_: SourceRequest) -> ConvertedSource:
        result = ConvertedSource(model, LABELS, None, "its source", 1e-5)
        return replace(result, **changes)  # type: ignore[arg-type]

    return convert


def test_a_network_is_marked_and_compared_with_itself_where_the_converter_has_no_answers() -> None:
    result = finish(source(), SourceRequest("a source"))
    assert result.model.isUpdatable
    assert result.updatable == ("fc",)
    assert result.agreement.difference < 1e-6
    assert not [problem for problem in check(result.model) if problem.severity == "error"]


def test_labels_of_the_request_come_first() -> None:
    result = finish(source(), SourceRequest("a source", labels=("x", "y", "z")))
    assert list(result.model.neuralNetworkClassifier.stringClassLabels.vector) == ["x", "y", "z"]


@pytest.mark.parametrize(("mean", "std"), [((0.5,), ()), ((), (0.5,)), ((0.0,), (1.0,))])
def test_the_scaling_of_a_picture_that_is_none_is_refused(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    request = SourceRequest("a source", mean=mean, std=std)
    with pytest.raises(SourceError, match=r"--pixels, --mean and --std apply to pictures, but the source takes none"):
        finish(source(model=converted("pooled linear, logits")), request)
    assert finish(source(), request).agreement.difference < 1e-6


def test_answers_are_compared_on_rows_that_fit() -> None:
    model = load(finish(source(), SourceRequest("a source")).model)
    result = finish(source(answers=lambda rows: probabilities(model, rows, LABELS)), SourceRequest("a source"))
    assert result.agreement.difference < 1e-6
    assert result.agreement.rows == 8


@pytest.mark.parametrize("wrong", [0.3, np.nan])
def test_other_answers_are_refused(wrong: float) -> None:
    with pytest.raises(BuildError, match=r"(0\.\d+|nan), expected at most"):
        finish(source(answers=lambda rows: np.full((len(rows), 3), wrong)), SourceRequest("a source"))


def test_a_model_that_learns_already_is_left_as_it_is() -> None:
    for model in (valid.filled_nearest_neighbors(), valid.pipeline(), valid.classifier()):
        result = finish(source(model=model, labels=()), SourceRequest("a source"))
        assert result.agreement.difference == 0
        assert result.model == model


def test_a_model_that_breaks_a_rule() -> None:
    model = valid.filled_nearest_neighbors()
    model.kNearestNeighborsClassifier.numberOfNeighbors.defaultValue = 0
    with pytest.raises(ModelError, match=r"converted model: numberOfNeighbors: .*\(error "):
        finish(source(model=model), SourceRequest("a source"))


@pytest.mark.parametrize(("error", "proved"), [(5e-5, True), (2e-4, False)])
def test_a_source_that_rounds_is_judged_by_its_answer_in_64_bits(error: float, proved: bool) -> None:
    """32-bit answers that are off by 2e-4, and 64-bit ones from which the model lies ``error`` away."""
    model = load(finish(source(), SourceRequest("a source")).model)

    def off(by: float) -> Callable[[Sequence[Row]], Float64Array]:
        return lambda rows: probabilities(model, rows, LABELS) + by * np.array([1, -1, 0])

    if proved:
        result = finish(source(answers=off(2e-4), precise=off(error), tolerance=1e-4), SourceRequest("a source"))
        assert result.agreement.difference == pytest.approx(error, abs=1e-6)
        assert any("64 bits" in note for note in result.notes)
    else:
        with pytest.raises(BuildError, match="differ from those of its source"):
            finish(source(answers=off(2e-4), precise=off(error), tolerance=1e-4), SourceRequest("a source"))
    with pytest.raises(BuildError, match="differ from those of its source"):
        finish(source(answers=off(2e-4), precise=lambda _: None, tolerance=1e-4), SourceRequest("a source"))


@pytest.mark.parametrize(
    ("away", "rounding", "logit", "proved"),
    [
        (2e-4, 1.5e-4, 0.0, True),  # the source rounds as much
        (2e-4, 0.5e-4, 0.0, False),  # the source rounds less than half of it
        (2e-4, 1.5e-4, 1e-2, False),  # a logit is another one
        (2e-3, 5e-3, 0.0, False),  # the source rounds so much that nothing can be proved
    ],
)
def test_a_model_may_be_as_far_from_64_bits_as_its_source_in_32(
    away: float, rounding: float, logit: float, proved: bool
) -> None:
    model = load(finish(source(), SourceRequest("a source")).model)

    def off(by: float) -> Callable[[Sequence[Row]], Float64Array]:
        return lambda rows: probabilities(model, rows, LABELS) + by * np.array([1, -1, 0])

    def scores(rows: Sequence[Row]) -> Float64Array:
        return np.log(probabilities(model, rows, LABELS)) + logit * np.array([1, 0, 0])

    def rounds(rows: Sequence[Row]) -> Float64Array:
        return np.full(len(rows), rounding)

    rounded = source(answers=off(away), precise=off(away), rounding=rounds, scores=scores, tolerance=1e-4)
    if proved:
        result = finish(rounded, SourceRequest("a source"))
        assert result.agreement.difference == pytest.approx(away, abs=1e-6)
        assert result.agreement.rounding == rounding
        assert any("32 bits" in note for note in result.notes)
    else:
        with pytest.raises(BuildError, match="differ from those of its source"):
            finish(rounded, SourceRequest("a source"))


def test_only_rows_on_which_the_source_rounds_may_differ() -> None:
    model = load(finish(source(), SourceRequest("a source")).model)

    def off(rows: Sequence[Row]) -> Float64Array:
        return probabilities(model, rows, LABELS) + 2e-4 * np.array([1, -1, 0])

    def rounds(rows: Sequence[Row]) -> Float64Array:
        return np.array([0.0, *[2e-4] * (len(rows) - 1)])

    def scores(rows: Sequence[Row]) -> Float64Array:
        return np.log(probabilities(model, rows, LABELS))

    rounded = source(answers=off, precise=off, rounding=rounds, scores=scores, tolerance=1e-4)
    with pytest.raises(BuildError, match="differ from those of its source"):
        finish(rounded, SourceRequest("a source"))
