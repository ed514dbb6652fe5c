"""Two builds of one model at once: the second is refused, and a killed one leaves no lock behind."""

import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from coreml_updatable.errors import BuildError
from coreml_updatable.files import alone

HOLD = (
    "import sys, time; from pathlib import Path\n"
    "from coreml_updatable.errors import BuildError\n"
    "from coreml_updatable.files import alone\n"
    "with alone(Path(sys.argv[1]), 'another build', error=BuildError, option='--out'):\n"
    "    print('held', flush=True); time.sleep(60)\n"
)


def held(folder: Path) -> AbstractContextManager[None]:
    return alone(folder, "another build", error=BuildError, option="--out")


def test_a_second_build_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BuildError, match="another build is running"), held(tmp_path):
            pass
        other.send_signal(signal.SIGKILL)
    with held(tmp_path):
        assert tmp_path.is_dir()
