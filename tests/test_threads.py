"""Usable processors, in folders as the kernel writes them (cgroup v2: cpu.max; v1: cpu.cfs_quota_us)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coreml_updatable.threads import WAITING, set_threads, usable

HERE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def group(root: Path, own: str, files: dict[str, str]) -> tuple[Path, Path]:
    for name, content in files.items():
        path = root / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (root / "own").write_text(own)
    return root / "groups", root / "own"


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, HERE),
        ("0::/\n", {"cpu.max": "100000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/a/b\n", {"a/cpu.max": "100000 100000\n", "a/b/cpu.max": "max 100000\n"}, 1),
        ("0::/a/b\n", {"a/cpu.max": "6400000 100000\n"}, HERE),
        ("3:cpu,cpuacct:/c\n", {"cpu/c/cpu.cfs_quota_us": "100000\n", "cpu/c/cpu.cfs_period_us": "100000\n"}, 1),
        ("3:cpu,cpuacct:/c\n", {"cpu/c/cpu.cfs_quota_us": "-1\n", "cpu/c/cpu.cfs_period_us": "100000\n"}, HERE),
        ("0::/../../host\n", {"cpu.max": "100000 100000\n"}, 1),
        ("", {"cpu.max": "nonsense"}, HERE),
    ],
)
def test_a_quota_bounds_what_is_usable(tmp_path: Path, own: str, files: dict[str, str], expected: int) -> None:
    assert usable(*group(tmp_path, own, files)) == expected


def test_without_control_groups_the_affinity_decides(tmp_path: Path) -> None:
    assert usable(tmp_path / "none", tmp_path / "none") == HERE


def test_torch_computes_with_as_many_as_are_said() -> None:
    program = (
        "from coreml_updatable.threads import set_threads; set_threads(1); import torch; print(torch.get_num_threads())"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "1"


def test_what_the_environment_says_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    set_threads()
    assert os.environ["OMP_NUM_THREADS"] == "7"
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", *WAITING):
        monkeypatch.setenv(name, "1")
