"""Features in memory and on disk: the same values, the same updates, and nothing left behind."""

import errno
import gc
import io
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime import FrozenRow, load
from coreml_updatable.updating import UpdateContext, UpdateTask
from coreml_updatable.updating.fixed_features import KeptFeatures


@given(rows=st.integers(1, 40), memory=st.integers(0, 2000), expected=st.integers(0, 50), seed=st.integers(0, 99))
def test_what_was_added_comes_back(rows: int, memory: int, expected: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(rows, 3, 2)).astype(np.float32), random.normal(size=(rows, 5))
    with KeptFeatures(["x", "y"], memory, expected) as kept:
        for index in range(rows):
            kept.add(FrozenRow({"x": x[index], "y": y[index], "z": 0}, {"label": index}))
        actual = kept.arrays()
        assert bool(kept._files) == (rows * (3 * 2 * 4 + 5 * 8) > memory)
        assert [other["label"] for other in kept.others] == list(range(rows))
        for name, values in (("x", x), ("y", y)):
            assert actual[name].dtype == values.dtype
            np.testing.assert_array_equal(actual[name], values)


def test_blobs_without_values() -> None:
    with KeptFeatures(["x", "y"], 10) as kept:
        for _ in range(3):
            kept.add(FrozenRow({"x": np.zeros((2, 0)), "y": np.ones(2)}))
        assert kept.arrays()["x"].shape == (3, 2, 0)
        assert kept.arrays()["y"].shape == (3, 2)


def test_rows_of_other_shapes_are_refused() -> None:
    with KeptFeatures(["x"]) as kept:
        kept.add(FrozenRow({"x": np.zeros(3)}))
        with pytest.raises(ModelError, match="have different shapes before the trainable layers"):
            kept.add(FrozenRow({"x": np.zeros(4)}))


@pytest.mark.parametrize("hidden", [0, 4])
@pytest.mark.parametrize("source", ["list", "generator"])
def test_updates_from_memory_and_from_disk_are_equal(
    make_updatable: Any, rows: Any, tmp_path: Path, monkeypatch: Any, hidden: int, source: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spec = make_updatable(frozen=True, hidden=hidden)
    given = rows if source == "list" else (row for row in rows)
    result = UpdateTask(spec, given, memory=50).resume()
    assert result.model.message == UpdateTask(spec, rows).resume().model.message
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_says_so() -> None:
    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def flush(self) -> None: ...

    with KeptFeatures(["x"], 0) as kept:
        kept.add(FrozenRow({"x": np.zeros(3)}))
        kept._files["x"].close()
        kept._files["x"] = Full()
        with pytest.raises(
            DataError, match=r"features of 1 rows cannot be stored in .* .No space left on device.; free some space"
        ):
            kept.add(FrozenRow({"x": np.zeros(3)}))


def test_contexts_do_not_hold_the_features(make_updatable: Any, rows: Any) -> None:
    """A list of contexts, as an app may keep it, holds weights only."""
    contexts: list[UpdateContext] = []
    held: list[Any] = []

    def look(context: UpdateContext) -> None:
        contexts.append(context)
        if not held:
            held.append(weakref.ref(next(item for item in gc.get_objects() if isinstance(item, KeptFeatures))))

    final = UpdateTask(make_updatable(), rows, on_event=look).resume()
    gc.collect()
    assert held[0]() is None
    assert contexts[-1].model.predict({"x": rows[0]["x"]}) == final.model.predict({"x": rows[0]["x"]})


def test_the_frozen_part_runs_once_a_row(make_updatable: Any, rows: Any, monkeypatch: Any) -> None:
    from coreml_updatable.runtime.engine.batched import Batched

    model: Any = load(make_updatable(frozen=True))
    ran: list[int] = []
    whole = Batched.__call__

    def counted(self: Batched, blobs: Any, count: int, coming: int = 0) -> Any:
        if self is model._frozen:
            ran.append(count)
        return whole(self, blobs, count, coming)

    monkeypatch.setattr(Batched, "__call__", counted)
    learned = UpdateTask(model, rows, {"epochs": 3}).resume().model
    assert sum(ran) == len(rows)
    frozen = model.frozen(rows)
    learned.predict(frozen)
    UpdateTask(learned, frozen).resume()
    assert sum(ran) == 2 * len(rows)
