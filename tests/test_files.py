"""A reader never sees half a file, and a failed write leaves the old one whole."""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from coreml_updatable.files import write_all_atomically, write_atomically


def test_writes_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "file.bin"
    write_atomically(target, b"one")
    write_atomically(target, b"two")
    assert target.read_bytes() == b"two"
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]
    assert target.stat().st_mode & 0o777 == 0o644


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """The kernel's own limit on a file's size stands for the full disk: the write really fails half way."""
    target = tmp_path / "file.bin"
    target.write_bytes(b"old")
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from coreml_updatable.files import write_atomically\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_atomically(Path(sys.argv[1]), b'x' * 100_000)\n"
        "except OSError as error: sys.exit(error.errno)\n"
    )
    result = subprocess.run([sys.executable, "-c", program, str(target)], check=False)
    assert result.returncode == errno.EFBIG
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.bin"]  # noqa: PTH208
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000  # the limit stayed in the other process


def test_a_folder_in_the_way_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "file.bin"
    target.mkdir()
    with pytest.raises(OSError):
        write_atomically(target, b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


def test_several_files_are_renamed_together_or_not_at_all(tmp_path: Path) -> None:
    """The second file is too large for the limit; the first, which is whole by then, must not take its place either."""
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"old")
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from coreml_updatable.files import write_all_atomically\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "folder = Path(sys.argv[1])\n"
        "try: write_all_atomically({folder / 'one': b'new', folder / 'two': b'x' * 100_000})\n"
        "except OSError as error: sys.exit(f'{error.errno} {error.filename}')\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stderr == f"{errno.EFBIG} {tmp_path / 'two'}\n"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"one": b"old", "two": b"old"}
    write_all_atomically({tmp_path / "one": b"new", tmp_path / "three": b"new"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "one": b"new",
        "two": b"old",
        "three": b"new",
    }


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError) as caught:
        write_atomically(tmp_path / "file" / "inner", b"x")
    assert caught.value.filename == str(tmp_path / "file" / "inner")
