"""Where `make test-swift` finds Swift: a compiler on the path needs no root; an old or broken one does not count."""

from pathlib import Path

import pytest

from swift.toolchain import toolchain


@pytest.mark.parametrize("user", [0, 1000])
@pytest.mark.parametrize(
    ("compiler", "is_found"),
    [
        ("echo 'Swift version 6.0.3 (swift-6.0.3-RELEASE)'", True),
        ("echo 'swift-driver version: 1.120.5 Apple Swift version 6.1 (swiftlang-6.1)'", True),
        ("echo 'Swift version 5.10.1 (swift-5.10.1-RELEASE)'", False),
        ("exit 3", False),
        (None, False),
    ],
)
def test_a_compiler_on_the_path(
    compiler: str | None,
    is_found: bool,
    user: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # without debootstrap
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("os.geteuid", lambda: user)
    if compiler is not None:
        program = tmp_path / "swiftc"
        program.write_text(f"#!/bin/sh\n{compiler}\n")
        program.chmod(0o755)
    if is_found:
        assert toolchain(tmp_path).root is None
        return
    with pytest.raises(SystemExit) as stopped:
        toolchain(tmp_path)
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "swiftlang" in said
    assert "debootstrap" in said
    assert not (tmp_path / "cache").exists()
