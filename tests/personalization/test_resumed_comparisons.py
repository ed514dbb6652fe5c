"""A comparison that was interrupted continues, and embeddings are read from the cache."""

import errno
import multiprocessing
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreml_updatable import files
from coreml_updatable.errors import BuildError
from coreml_updatable.personalization import block_store, gathering
from coreml_updatable.personalization.compare import run
from coreml_updatable.personalization.population import Population
from coreml_updatable.personalization.preparing import Prepared, Settings, prepare
from tests.personalization.conftest import SHOTS, Counting


def test_a_second_comparison_reads_embeddings_from_the_cache(
    models: Any, photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = Path(shutil.copytree(photos, tmp_path / "data"))
    settings = Settings(shots=(0, 2), owners=4, workers=1)
    counting = Counting(monkeypatch, models[0][1])
    first = prepare(models[:1], data, Population(), settings)
    whole, counting.rows = counting.rows, 0
    again = prepare(models[:1], data, Population(), settings)
    assert counting.rows < whole / 2  # the first owner's rows, for the trial against UpdateTask
    assert np.array_equal(again.lab.embeddings[0], first.lab.embeddings[0])
    assert again.names == first.names
    (place,) = (tmp_path / "cache" / "coreml_updatable" / "embeddings").iterdir()
    assert place.parent.stat().st_mode & 0o077 == 0
    moved = next(data.rglob("points.npy"))
    np.save(moved, np.load(moved)[:-1] + np.float32(0.25))
    changed = prepare(models[:1], data, Population(), settings)
    alone = prepare(models[:1], Path(shutil.copytree(data, tmp_path / "other")), Population(), settings)
    assert np.array_equal(changed.lab.embeddings[0], alone.lab.embeddings[0])
    assert len(changed.names) == len(first.names) - 1
    place.write_bytes(place.read_bytes()[:-50])
    assert np.array_equal(
        prepare(models[:1], photos, Population(), settings).lab.embeddings[0], first.lab.embeddings[0]
    )


def test_a_disk_that_fills_is_one_sentence_and_what_is_there_is_gone_on_with(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(owners=20, shots=SHOTS, workers=1, block=4)
    whole = run(prepared, settings)
    written = list[Path]()

    def full(path: Path, content: bytes) -> None:
        if len(written) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        written.append(path)
        files.write_atomically(path, content)

    monkeypatch.setattr(block_store, "write_atomically", full)
    with pytest.raises(BuildError, match=r"owners-.*--resume"):
        run(prepared, settings, kept=tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(gathering, "SPILL", 0)  # every array lies in a file
    ran = []
    result = run(prepared, settings, lambda share, _: ran.append(share), kept=tmp_path, resume=True)
    assert len(ran) == 3  # two blocks, and the end
    assert replace(result, seconds={}) == replace(whole, seconds={})

    def no_room(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    with pytest.raises(BuildError, match="TMPDIR"):
        run(prepared, settings)


@pytest.mark.slow
def test_a_local_worker_that_is_killed_is_one_sentence_and_what_is_there_is_gone_on_with(
    prepared: Prepared, tmp_path: Path
) -> None:
    settings = Settings(owners=64, shots=SHOTS, workers=2, block=2)

    def on_progress(_share: float, _detail: str) -> None:
        for process in multiprocessing.active_children():
            process.kill()

    with pytest.raises(BuildError, match="--resume"):
        run(prepared, settings, on_progress, kept=tmp_path)
    assert list(tmp_path.glob("owners-*.npz"))
    result = run(prepared, settings, kept=tmp_path, resume=True)
    assert replace(result, seconds={}) == replace(run(prepared, replace(settings, workers=1)), seconds={})
