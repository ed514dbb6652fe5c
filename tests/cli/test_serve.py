"""`serve` as a shell runs it: the address, an answer, Ctrl-C."""

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from coreml_updatable.publishing.catalogue.publish import publish


def test_it_tells_its_address_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    publish([], tmp_path / "site", base_url="https://example.org/")
    command = [sys.executable, "-c", "from coreml_updatable.cli import main; main()"]
    command += ["serve", str(tmp_path / "site"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with urllib.request.urlopen(f"{address}index.json", timeout=30) as response:
            assert response.status == 200
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=30)
    assert "Traceback" not in complaint
