"""Random layers: their distributions by SciPy's tests of fit, at fixed seeds; shapes; what a seed settles."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime import load

SHAPE = (2, 3, 5000)
PARAMETERS: dict[str, dict[str, float]] = {
    "normal": {"mean": 1.5, "stddev": 0.5},
    "uniform": {"minval": -1.0, "maxval": 3.0},
    "bernoulli": {"prob": 0.3},
}
FORMS = ("like", "static", "dynamic")


def adding(kind: str, form: str, seed: int, shape: Any = SHAPE, **changed: float) -> Any:
    """What adds the layer, and then its values to 0 x, so that the static ones, too, answer a row."""
    options = PARAMETERS[kind] | changed

    def add(builder: Any) -> None:
        method = getattr(builder, f"add_random_{kind}_{form}")
        if form == "static":
            method("random", "r", list(shape), seed=seed, **options)
        elif form == "like":
            method("random", "x", "r", seed=seed, **options)
        else:
            method("random", ["x"], "r", seed=seed, **options)
        builder.add_activation("out", "LINEAR", "r", "y", [1.0, 0.0])

    return add


def row(form: str, shape: Any = SHAPE) -> dict[str, Any]:
    return {"x": np.array(shape, np.float32) if form == "dynamic" else np.zeros(shape, np.float32)}


def fits(kind: str, values: Any) -> bool:
    match kind:
        case "normal":
            return bool(stats.kstest(values, stats.norm(1.5, 0.5).cdf).pvalue > 0.001)
        case "uniform":
            return bool(stats.kstest(values, stats.uniform(-1, 4).cdf).pvalue > 0.001)
    assert set(np.unique(values)) == {0.0, 1.0}
    return bool(stats.binomtest(int(values.sum()), len(values), 0.3).pvalue > 0.001)


@pytest.mark.parametrize("kind", PARAMETERS)
@pytest.mark.parametrize("form", FORMS)
def test_distribution_and_shape(answers: Any, kind: str, form: str) -> None:
    first, second = answers(adding(kind, form, 7), [row(form), row(form)])
    assert first["y"].shape == SHAPE
    assert fits(kind, first["y"].ravel().astype(np.float64))
    np.testing.assert_array_equal(first["y"], second["y"])  # a seed gives every row the same
    (other,) = answers(adding(kind, form, 8), [row(form)])
    assert not np.array_equal(first["y"], other["y"])


@pytest.mark.parametrize("kind", PARAMETERS)
def test_without_a_seed_every_row_differs(make_model: Any, kind: str) -> None:
    for form in FORMS:
        model = load(make_model(adding(kind, form, -1), {"x": row(form)["x"].shape}, False))
        torch.manual_seed(3)
        once = [answer["y"] for answer in model.predict([row(form)] * 2)]
        assert not np.array_equal(*once)
        torch.manual_seed(3)
        again = [answer["y"] for answer in model.predict([row(form)] * 2)]
        np.testing.assert_array_equal(once, again)


def test_rows_may_ask_for_other_shapes(make_model: Any) -> None:
    model = load(make_model(adding("normal", "dynamic", 1), {"x": (3,)}, False))
    shapes = [(1, 2, 3), (4, 1, 2)]
    assert [answer["y"].shape for answer in model.predict([row("dynamic", shape) for shape in shapes])] == shapes


def test_absurd_shapes_and_parameters(answers: Any) -> None:
    with pytest.raises(ModelError, match=r"layer 'random': needs .* of memory"):
        answers(adding("uniform", "static", 1, (2**30, 2**30)), [row("static", (1,))])
    with pytest.raises(ModelError, match=r"layer 'random': needs .* of memory"):
        answers(adding("uniform", "dynamic", 1), [row("dynamic", (2**30, 2**30))])
    with pytest.raises(ModelError, match=r"layer 'random': makes a blob of the shape \[-1\], expected sizes"):
        answers(adding("normal", "dynamic", 1), [row("dynamic", (-1,))])
    with pytest.raises(ModelError, match=r"layer 'random': prob is 1\.5, expected 0 to 1"):
        answers(adding("bernoulli", "like", 1, prob=1.5), [row("like", (3,))])


@pytest.mark.parametrize("logits", [True, False])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_categories(answers: Any, logits: bool, temperature: float) -> None:
    chances = np.array([[0.1, 0.2, 0.7], [0.0, 0.5, 0.5]])
    x = np.log(chances + 1e-10) if logits else chances
    (actual, same) = answers(
        lambda b: b.add_categorical_distribution("draw", "x", "y", 20000, logits, 1e-10, temperature, 5),
        [{"x": x.astype(np.float32)}] * 2,
    )
    np.testing.assert_array_equal(actual["y"], same["y"])
    assert actual["y"].shape == (2, 20000)
    for drawn, weights in zip(actual["y"], chances ** (1 / temperature), strict=True):
        expected = weights / weights.sum() * 20000
        seen = np.array([(drawn == index).sum() for index in range(3)])
        possible = expected > 0
        assert not seen[~possible].any()
        assert stats.chisquare(seen[possible], expected[possible]).pvalue > 0.001


def test_categories_of_a_vector_and_their_faults(answers: Any) -> None:
    (result,) = answers(
        lambda b: b.add_categorical_distribution("draw", "x", "y", 7, True, seed=1), [{"x": np.zeros(4, np.float32)}]
    )
    assert result["y"].shape == (7,)
    assert set(result["y"]) <= {0.0, 1.0, 2.0, 3.0}
    with pytest.raises(ModelError, match=r"layer 'draw': makes a blob of the shape \[0\], expected sizes"):
        answers(lambda b: b.add_categorical_distribution("draw", "x", "y", 0), [{"x": np.zeros(4, np.float32)}])
    with pytest.raises(ModelError, match=r"layer 'draw': cannot take 'x' \[2\]"):
        answers(
            lambda b: b.add_categorical_distribution("draw", "x", "y", 3, False),
            [{"x": np.array([-1.0, 2.0], np.float32)}],
        )
