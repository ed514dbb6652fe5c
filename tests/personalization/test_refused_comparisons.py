"""What cannot be compared is refused in one sentence, before a row is embedded."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreml_updatable.errors import DataError, ModelError, UserError
from coreml_updatable.personalization.compare import compare
from coreml_updatable.personalization.population import Population, population_of
from coreml_updatable.personalization.preparing import Settings, prepare
from coreml_updatable.runtime import load
from tests.personalization.conftest import Counting, around


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        ({"relable": {}}, ["relable", "relabel"]),
        ({"wrong_labels": 1.5}, ["wrong_labels"]),
        ({"new_kind": {"kinds": ["rapid"]}}, ["rapid", "rapids"]),
        ({"relabel": {"labels": ["clam"]}}, ["clam", "calm"]),
        ({"kinds": {"rapids": "fast"}}, ["rapids", "calm, wild"]),
        ({"kinds": {"rapidz": "calm"}}, ["rapidz", "rapids"]),
        ({"test_share": 0.9, "reference_share": 0.2}, ["test_share"]),
        ({"same": {}, "kinds_per_owner": 9}, ["9 kinds", "shots"]),
    ],
)
def test_a_wrong_scenario_is_one_sentence(models: Any, photos: Path, content: Any, facts: list[str]) -> None:
    with pytest.raises(DataError) as error:
        prepare(models[:1], photos, population_of(content), Settings(shots=(0, 1)))
    assert all(fact in str(error.value) for fact in facts)


def test_what_cannot_be_compared_is_one_sentence(models: Any, photos: Path, network_message: Any) -> None:
    for settings, fact in (
        (Settings(owners=0), "0 owners"),
        (Settings(shots=(3, 1)), "3, 1"),
        (Settings(shots=(0, 60)), "at most"),
    ):
        with pytest.raises(DataError, match=fact):
            compare(models, photos, Population(), settings)
    fixed = type(network_message)()
    fixed.CopyFrom(network_message)
    fixed.isUpdatable = False
    setup = prepare([*models, ("fixed", load(fixed))], photos, Population(), Settings(shots=(0, 1)))
    assert any("fixed" in note for note in setup.notes)
    with pytest.raises(ModelError, match="not updatable"):
        prepare([("fixed", load(fixed))], photos, Population(), Settings(shots=(0, 1)))
    other = type(network_message)()
    other.CopyFrom(network_message)
    labels = other.neuralNetworkClassifier.stringClassLabels.vector
    labels[:] = ["x", "y"]
    with pytest.raises(DataError, match="no label in common"):
        prepare([models[0], ("other", load(other))], photos, Population(), Settings(shots=(0, 1)))


def test_a_row_that_is_not_finite_is_named(models: Any, tmp_path: Path) -> None:
    for label in ("calm", "wild"):
        (tmp_path / label).mkdir()
        points = around((0,) * 6, 12, 1).astype(np.float32)
        points[7] = np.nan
        np.save(tmp_path / label / "points.npy", points)
    with pytest.raises((DataError, ModelError)) as error:
        prepare(models[:1], tmp_path, Population(), Settings(shots=(0, 1)))
    assert "points.npy[7]" in str(error.value)


def test_what_can_be_refused_is_refused_before_a_row_is_embedded(
    models: Any, photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    counting = Counting(monkeypatch, models[0][1])
    (tmp_path / "file").write_text("")
    more: Any
    for data, population, settings, more, facts in (
        (photos, Population(), Settings(shots=(0, 60)), {}, ["60 shots"]),
        (photos, population_of({"relabel": {"kinds": ["rapid"]}}), Settings(shots=(0, 1)), {}, ["rapids"]),
        (photos / "calm", Population(), Settings(shots=(0, 1)), {}, ["calm, wild"]),
        (photos, population_of({"style": {}}), Settings(shots=(0, 1)), {}, ["style"]),
        (photos, Population(), Settings(shots=(0, 1)), {"kept": tmp_path / "file"}, ["file"]),
    ):
        with pytest.raises(UserError) as error:
            compare(models, data, population, settings, **more)
        assert all(fact in str(error.value) for fact in facts), error.value
    assert counting.rows == 0
