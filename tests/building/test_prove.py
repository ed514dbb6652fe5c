"""The proof stands for real models, and each thing it looks for is found when it is there."""

from pathlib import Path

import numpy as np
import pytest

from coreml_updatable.building.prove import agree, loss_of, rewritten, update_works
from coreml_updatable.data.inputs import Float64Array
from coreml_updatable.errors import BuildError
from coreml_updatable.runtime import RunnableModel, load
from coreml_updatable.spec.io import write_model
from coreml_updatable.updating import UpdateTask
from tests.broken_models import valid

LABELS = ("a", "b", "c")
Rows = list[dict[str, object]]


@pytest.fixture
def model() -> RunnableModel:
    return load(valid.classifier())


@pytest.fixture
def rows(model: RunnableModel) -> Rows:
    feature = model.message.description.input[0]
    shape = tuple(feature.type.multiArrayType.shape)
    random = np.random.default_rng(0)
    return [{str(feature.name): random.normal(scale=0.01, size=shape)} for _ in range(6)]


def answers(model: RunnableModel, rows: Rows) -> Float64Array:
    name = str(model.message.description.predictedProbabilitiesName)
    return np.array([[answer[name][label] for label in LABELS] for answer in model.predict(rows)])


def labelled(model: RunnableModel, rows: Rows) -> Rows:
    target = str(model.message.description.predictedFeatureName)
    return [{**row, target: "b"} for row in rows]


def test_a_model_agrees_with_itself(model: RunnableModel, rows: Rows) -> None:
    agreement = agree(model, rows, answers(model, rows), LABELS)
    assert (agreement.rows, agreement.difference) == (6, 0.0)


def test_another_source_is_found_out(model: RunnableModel, rows: Rows) -> None:
    source = answers(model, rows)
    with pytest.raises(BuildError, match=r"in 0 of 6 labels, expected at most 0\.0001 .*; use another network"):
        agree(model, rows, source + np.where(source == source.max(axis=1, keepdims=True), 2e-4, -1e-4), LABELS)
    with pytest.raises(BuildError, match="in 6 of 6 labels"):
        agree(model, rows, -source, LABELS)


@pytest.mark.parametrize("rows_changed", [1, 3, 6])
def test_a_label_that_turns_within_the_allowed_difference(
    model: RunnableModel, rows: Rows, rows_changed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two labels nearly equal: the probabilities agree within 1e-4, the label is another one all the same."""
    said = np.tile([0.49998, 0.50002, 0.0], (len(rows), 1))
    monkeypatch.setattr("coreml_updatable.building.prove.probabilities", lambda *_: said)
    source = said.copy()
    source[:rows_changed] = [0.50001, 0.49999, 0.0]
    with pytest.raises(BuildError, match=f"in {rows_changed} of 6 labels"):
        agree(model, rows, source, LABELS)
    assert agree(model, rows, said + 9e-5, LABELS).difference == pytest.approx(9e-5)
    with pytest.raises(BuildError, match="in 0 of 6 labels"):
        agree(model, rows, said + 1.1e-4, LABELS)


def test_the_loss_is_torchs(model: RunnableModel, rows: Rows) -> None:
    import torch

    logarithms = torch.from_numpy(answers(model, rows)).log()
    expected = float(torch.nn.functional.nll_loss(logarithms, torch.ones(6, dtype=torch.long)))
    assert loss_of(model, labelled(model, rows), LABELS) == pytest.approx(expected, rel=1e-6)


def test_an_update_lowers_the_loss(model: RunnableModel, rows: Rows) -> None:
    proof = update_works(model, labelled(model, rows), rows, LABELS)
    assert proof.changed_layers == ("fc",)
    assert proof.loss_after < proof.loss_before
    assert proof.rewritten_difference <= 1e-6


def test_a_file_that_answers_otherwise_is_found_out(model: RunnableModel, rows: Rows) -> None:
    personal = UpdateTask(model, labelled(model, rows)).resume().model

    def write_the_base(path: Path) -> None:
        write_model(model.message, path)

    with pytest.raises(BuildError, match=r"personal model: .*simulator by .*; this is a bug in"):
        rewritten(personal, write_the_base, rows, LABELS)
