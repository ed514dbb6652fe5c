"""Siblings trained by their own engines beside UpdateTask: the same rows in the same order, mini-batches and steps."""

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import pytest

import coreml_updatable as cu
from coreml_updatable.siblings.making import FILE, Sibling
from coreml_updatable.spec.messages import Model
from tests.siblings import models

pytestmark = pytest.mark.siblings
ARTIFACTS = {"training_model.onnx", "eval_model.onnx", "optimizer_model.onnx", "checkpoint"}
BY_ONNXRUNTIME = (models.pictures, models.pictures_with_adam, models.squared_error, models.sequence)
BY_EXECUTORCH = (models.dense_layers, models.with_momentum, models.squared_error, models.sequence)
TRAINS_OTHERWISE = models.pictures  # ExecuTorch 1.5.1, where a convolution is trained


def rows() -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    return [
        {"image": random.integers(0, 256, (12, 10, 3), np.uint8), "label": models.LABELS[index % 3]}
        for index in range(7)
    ]


@pytest.fixture(scope="module")
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], "Future[list[Sibling]]"]:
    """Every sibling, made by two processes at a time: an engine takes longer to start than to train."""
    asked = " ".join(item.name for item in request.session.items)
    every = [("onnxruntime", make) for make in BY_ONNXRUNTIME]
    every += [("executorch", make) for make in (*BY_EXECUTORCH, TRAINS_OTHERWISE)]
    wanted = [(engine, make) for engine, make in every if engine in asked and make.__name__ in asked]
    with ThreadPoolExecutor(2) as pool:
        return {
            (engine, make.__name__): pool.submit(
                cu.make_siblings,
                make(),
                tmp_path_factory.mktemp(engine),
                [engine],
                rows() if make is models.pictures else None,
            )
            for engine, make in wanted
        }


def described(sibling: Sibling) -> Any:
    return json.loads((sibling.folder / FILE).read_text(encoding="utf-8"))


@pytest.mark.parametrize("make", BY_ONNXRUNTIME)
def test_onnxruntime_trains_as_the_update_does(
    made: dict[tuple[str, str], "Future[list[Sibling]]"], make: Callable[[], Model]
) -> None:
    (sibling,) = made["onnxruntime", make.__name__].result()
    assert set(sibling.files) == ARTIFACTS | {FILE} == {path.name for path in sibling.folder.iterdir()}
    result = described(sibling)
    assert result["agreement"]["weights"] <= (1e-4 if result["optimizer"] == "Adam" else 1e-5)
    assert result["agreement"]["answers"] <= 1e-4
    assert result["agreement"]["steps"] >= 2


@pytest.mark.parametrize("engine", ["onnxruntime-pictures_with_adam"])
def test_adam_is_written_as_adamw_without_decay(
    made: dict[tuple[str, str], "Future[list[Sibling]]"], engine: str
) -> None:
    (sibling,) = made["onnxruntime", engine.partition("-")[2]].result()
    optimizer = onnx.load(sibling.folder / "optimizer_model.onnx")
    (node,) = (node for node in optimizer.graph.node if node.op_type == "AdamWOptimizer")
    held = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    expected = {"alpha": 0.8, "beta": 0.99, "epsilon": 1e-6, "weight_decay": 0.0, "correct_bias": 1, "adam_mode": 0}
    assert held == pytest.approx(expected)


@pytest.mark.parametrize("make", BY_EXECUTORCH)
def test_executorch_trains_as_the_update_does(
    made: dict[tuple[str, str], "Future[list[Sibling]]"], make: Callable[[], Model]
) -> None:
    (sibling,) = made["executorch", make.__name__].result()
    assert set(sibling.files) == {"training.pte", FILE}
    result = described(sibling)
    assert result["agreement"]["weights"] <= 1e-5
    assert result["agreement"]["answers"] <= 1e-4


@pytest.mark.parametrize("make", [TRAINS_OTHERWISE], ids=["executorch-pictures"])
def test_a_sibling_that_trains_otherwise_is_not_written(
    made: dict[tuple[str, str], "Future[list[Sibling]]"], make: Callable[[], Model]
) -> None:
    with pytest.raises(cu.BuildError, match="not written"):
        made["executorch", make.__name__].result()


@pytest.mark.parametrize("engine", ["onnxruntime"], ids=["onnxruntime-pictures"])
def test_given_rows_are_those_that_it_is_proved_on(
    made: dict[tuple[str, str], "Future[list[Sibling]]"], engine: str
) -> None:
    (sibling,) = made[engine, "pictures"].result()
    epochs = described(sibling)["parameters"]["epochs"]["default"]
    assert (sibling.agreement.rows, sibling.agreement.steps) == (7, epochs * 2)  # a mini-batch of 4 and one of 3
