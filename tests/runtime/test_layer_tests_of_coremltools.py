"""coremltools' own tests of networks pass with our runtime in Core ML's place, on the fast engine as on the reference.

All of them that need neither macOS' compiler nor TensorFlow; `tests.instead_of_a_mac` says how.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from coreml_updatable.runtime.engine import fast
from tests.instead_of_a_mac import ENOUGH

PARTS = ("numpy_nn_layers", "model", "nn_builder", "simple_nn_inference", "custom_neural_nets", "quantization")
NOT_OURS = {
    "test_topk_cpu": "equal numbers may come in any order, and these come in numpy's",
    "test_topk_gpu": "the same",
    "test_rename_feature_mlprogram": "an ML program, which is no network and never updatable",
    "test_rename_feature_classifier_mlprogram": "the same",
}
PASSING, ON_ENGINE = 285, 1000  # at least so many tests, and models on the engine


@pytest.mark.slow
def test_all_pass_but_those_that_are_not_ours(tmp_path: Path) -> None:
    tests = [f"coremltools.test.neural_network.test_{part}" for part in PARTS]
    report, settings = tmp_path / "report.xml", tmp_path / "pytest.ini"
    settings.write_text("[pytest]\n")  # not ours: they warn
    options = ["-c", str(settings), "-p", "tests.instead_of_a_mac", f"--junitxml={report}"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, "--pyargs", *tests],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    passed, failed = set(), {}
    for case in ElementTree.parse(report).iter("testcase"):
        name, fault, skipped = case.attrib["name"], case.find("failure"), case.find("skipped")
        fault = case.find("error") if fault is None else fault
        if fault is not None:
            failed[name] = fault.attrib["message"]
        elif skipped is None or ENOUGH in skipped.attrib["message"]:
            passed.add(name)
    assert {name: fault for name, fault in failed.items() if name not in NOT_OURS} == {}
    assert failed.keys() == NOT_OURS.keys(), ran.stdout[-2000:] + ran.stderr[-2000:]
    assert len(passed) >= PASSING, ran.stdout[-2000:]
    if fast.installed():
        on_engine = re.search(r"models on the engine: (\d+)", ran.stdout)
        assert on_engine is not None
        assert int(on_engine[1]) >= ON_ENGINE
