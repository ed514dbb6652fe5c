"""Blocks of owners on a Dask cluster, one of whose workers is killed on the way: the same comparison."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreml_updatable.errors import BuildError
from coreml_updatable.personalization.compare import run
from coreml_updatable.personalization.population import Population
from coreml_updatable.personalization.preparing import Settings, prepare
from coreml_updatable.runtime import load
from tests.personalization.conftest import CENTRES, LABEL_OF, around

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SETTINGS = Settings(owners=48, shots=(0, 1, 3), block=4, workers=1, references=False)


@pytest.fixture
def prepared(network_message: Any, tmp_path: Path) -> Any:
    for seed, kind in enumerate(CENTRES):
        folder = tmp_path / LABEL_OF[kind] / kind
        folder.mkdir(parents=True)
        np.save(folder / "points.npy", around(CENTRES[kind], 30, 80 + seed).astype(np.float32))
    return prepare([("network", load(network_message))], tmp_path, Population(), SETTINGS)


def test_a_worker_that_dies_changes_nothing(prepared: Any) -> None:
    import distributed

    cluster_of: Any = distributed
    with cluster_of.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with cluster_of.Client(cluster) as client:
            workers = list(client.run(os.getpid).values())
        killed: list[int] = []

        def on_progress(_fraction: float, _detail: str) -> None:
            if not killed:
                killed.append(workers[0])
                os.kill(workers[0], signal.SIGKILL)

        result = run(prepared, SETTINGS, on_progress, dask=cluster.scheduler_address)
    assert killed
    here = run(prepared, SETTINGS)
    assert result.entrants == here.entrants
    assert result.conclusions == here.conclusions


def test_a_scheduler_that_is_not_there_is_one_sentence(prepared: Any) -> None:
    with pytest.raises(BuildError, match=r"127\.0\.0\.1:9"):
        run(prepared, SETTINGS, dask="tcp://127.0.0.1:9")
