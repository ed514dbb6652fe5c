"""The package's own names: lazy, complete, and quick to import."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import coreml_updatable
import coreml_updatable as cu
from coreml_updatable.marking import mark
from coreml_updatable.marking.settings import UpdateSettings
from coreml_updatable.spec.messages import Model
from tests.broken_models.valid import classifier


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = "import sys, coreml_updatable; print(*{'torch', 'numpy', 'coremltools', 'pydantic'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert result.strip() == ""


def test_every_name_is_there() -> None:
    assert {name: getattr(coreml_updatable, name) for name in dir(coreml_updatable)}.keys() == set(
        coreml_updatable.__all__
    )
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        coreml_updatable.nothing  # noqa: B018


def rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    return [{"image": random.normal(size=(3, 8, 8)).astype(np.float32)} for _ in range(count)]


@pytest.fixture
def plain() -> Model:
    model = classifier()
    model.isUpdatable = False
    return model


@pytest.fixture
def marked(plain: Model) -> cu.RunnableModel:
    return cu.mark(plain, optimizer=cu.SGD(learning_rate=0.1, mini_batch_size=2), epochs=3, last=1)


def forms(model: cu.RunnableModel, folder: Path) -> tuple[Any, ...]:
    """The same model as a loaded one, a message, a path and a text."""
    path = folder / "form.mlmodel"
    cu.save(model, path)
    return model, model.message, path, str(path)


def test_the_walk_of_the_design(marked: cu.RunnableModel, tmp_path: Path) -> None:
    """mark, check, save, load, predict, update, write: as docs/design.md shows it."""
    assert not [problem for problem in cu.check(marked) if problem.severity == "error"]
    path = tmp_path / "marked.mlmodel"
    cu.save(marked, path)
    assert len(cu.load(path).predict(rows(4))) == 4
    name = marked.message.description.predictedFeatureName
    labelled = [{**row, name: "abca"[index]} for index, row in enumerate(rows(4))]
    events: list[str] = []
    task = cu.UpdateTask(path, labelled, parameters={"epochs": 2}, on_event=lambda event: events.append(event.event))
    context = task.resume()
    assert events[0] == "trainingBegin"
    assert np.isfinite(context.metrics["lossValue"])
    context.write(tmp_path / "new.mlmodel")
    assert cu.load(tmp_path / "new.mlmodel").predict(rows(1)[0]) == context.model.predict(rows(1)[0])
    assert not cu.diff(path, tmp_path / "new.mlmodel").same
    marked.message.description.predictedFeatureName = "nothing"
    assert any(isinstance(problem, cu.Problem) for problem in cu.check(marked))
    marked.message.neuralNetworkClassifier.layers[0].input[0] = "nothing"
    with pytest.raises(cu.ModelError):
        cu.load(marked.message)


def test_what_a_loaded_model_says_of_itself_is_what_inspect_reads(marked: cu.RunnableModel) -> None:
    summary = cu.inspect(marked)
    assert marked.inputs == summary.inputs
    assert marked.outputs == summary.outputs
    assert marked.labels == summary.labels == tuple("abc")
    assert marked.is_updatable
    assert summary.update is not None
    assert tuple(marked.parameters.values()) == summary.update.parameters
    assert marked.parameters["learningRate"].default == pytest.approx(0.1)
    assert marked.parameters["epochs"].default == 3
    for fact in ("image", "3 labels", "updatable"):
        assert fact in repr(marked)


def test_a_model_is_taken_in_every_form(marked: cu.RunnableModel, tmp_path: Path) -> None:
    result = [
        (
            cu.load(form).predict(rows(1)),
            cu.inspect(form),
            cu.check(form),
            cu.diff(form, marked).same,
            cu.mark(form, epochs=5).parameters["epochs"].default,
            cu.knn(form, k=1).is_updatable,
            [part.is_updatable for part in cu.layout(form, "split")],
            cu.UpdateTask(form, []).state,
        )
        for form in forms(marked, tmp_path)
    ]
    assert all(item == result[0] for item in result)
    assert result[0][3:] == (True, 5, True, [False, True], "suspended")


def test_a_k_nn_finds_its_samples(plain: Model) -> None:
    samples = [
        {**row, plain.description.predictedFeatureName: label} for row, label in zip(rows(3), "abc", strict=True)
    ]
    model = cu.knn(plain, samples, k=1)
    assert [answer[plain.description.predictedFeatureName] for answer in model.predict(rows(3))] == ["a", "b", "c"]
    assert model.labels == ("a", "b", "c")
    assert model.parameters["numberOfNeighbors"].default == 1
    with pytest.raises(cu.DataError, match="row 0"):
        cu.knn(plain, rows(1))


@pytest.mark.parametrize("wrong", [{"lable": "x"}, {"lyers": ["fc"]}, {"epoch": 3}])
def test_a_misspelled_parameter_is_a_type_error(plain: Model, wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(wrong))):
        cu.mark(plain, **wrong)
    with pytest.raises(TypeError, match=next(iter(wrong))):
        mark(plain, UpdateSettings(), **wrong)
    with pytest.raises(TypeError):
        cu.SGD(lr=0.1)  # type: ignore[call-arg]


@pytest.mark.parametrize("rate", [1e-6, 0.01, 5.0])
@pytest.mark.parametrize("batch", [1, 3, 64])
def test_a_bare_number_lies_within_the_range_that_it_gets(plain: Model, rate: float, batch: int) -> None:
    for optimizer in (cu.SGD(rate, batch), cu.Adam(rate, batch)):
        model = cu.mark(plain, optimizer=optimizer, epochs=200)
        assert [problem for problem in cu.check(model) if problem.severity == "error"] == []
        assert model.parameters["learningRate"].default == pytest.approx(rate)
        assert model.parameters["miniBatchSize"].default == batch


def test_looking_at_a_model_needs_no_torch(marked: cu.RunnableModel, tmp_path: Path) -> None:
    path = forms(marked, tmp_path)[3]
    program = (
        f"import sys, coreml_updatable as cu; cu.check({path!r}); cu.inspect({path!r}); cu.diff({path!r}, {path!r}); "
        "print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert result.strip() == "False"
