"""Peak memory of a comparison: what a report needs of each owner, and one block, whatever the number of owners."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreml_updatable.personalization.laboratory import Lab
from coreml_updatable.personalization.measures import MEASURES
from coreml_updatable.personalization.population import population_of
from coreml_updatable.personalization.preparing import Settings, prepare
from coreml_updatable.runtime import load
from tests.personalization.conftest import CENTRES, LABEL_OF, around

FEW, MANY = 512, 10_000
SHOTS = (0, 1)
MEASURED = """
import pickle, sys
from pathlib import Path
from coreml_updatable.personalization.compare import run
from coreml_updatable.personalization.preparing import Settings
with open(sys.argv[1], "rb") as file:
    prepared = pickle.load(file)
run(prepared, Settings(owners=int(sys.argv[2]), shots=tuple(map(int, sys.argv[3].split(","))), workers=1))
status = Path("/proc/self/status").read_text()  # getrusage tells the peak of the process that started this one
print(1024 * int(status.split("VmHWM:")[1].split()[0]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_more_owners_take_the_memory_of_their_measures_alone(
    network_message: Any, knn_message: Any, tmp_path: Path
) -> None:
    for seed, (kind, centre) in enumerate(CENTRES.items(), start=40):
        (tmp_path / "photos" / LABEL_OF[kind] / kind).mkdir(parents=True)
        np.save(tmp_path / "photos" / LABEL_OF[kind] / kind / "points.npy", around(centre, 40, seed).astype(np.float32))
    models = [("network", load(network_message)), ("k-NN", load(knn_message))]
    prepared = prepare(models, tmp_path / "photos", population_of({"relabel": {}}), Settings(shots=SHOTS))
    (tmp_path / "prepared").write_bytes(pickle.dumps(prepared))
    few, many = (_peak(tmp_path / "prepared", owners) for owners in (FEW, MANY))
    assert many - few < _kept(prepared.lab, MANY - FEW) + SPARE
    assert many < 2 << 30


SPARE = 6 << 20  # what an allocator keeps, and copies of one measure at a time


def _kept(lab: Lab, owners: int) -> int:
    """Bytes: every measure at every point in single precision, and the numbers of the shots."""
    measures = len(lab.entrants) * len(lab.points) * len(MEASURES)
    return 4 * owners * (measures + lab.world.shots * lab.world.population.kinds_per_owner)


def _peak(prepared: Path, owners: int) -> int:
    """Bytes of a process of its own."""
    asked = [sys.executable, "-c", MEASURED, str(prepared), str(owners), ",".join(map(str, SHOTS))]
    return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
