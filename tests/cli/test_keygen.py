"""`keygen` at the command line, and `publish --sign` with what it made."""

from pathlib import Path

from tests.cli.conftest import Run


def test_sign_and_check(run: Run, tmp_path: Path) -> None:
    key, site = tmp_path / "keys" / "mine", tmp_path / "site"
    result = run("keygen", key)
    assert result.status == 0
    assert Path(f"{key}.pub").read_text().strip() in result.out
    secret = key.read_text().splitlines()[1]
    signed = run("publish", "--to", site, "--sign", key)
    assert signed.status == 0
    checked = run("publish", "--check", site, "--public-key", f"{key}.pub")
    assert checked.status == 0
    again = run("keygen", key)
    assert (again.status, again.err.count("\n")) == (1, 1)
    assert not [ran for ran in (result, signed, checked, again) if secret in ran.out + ran.err]


def test_usage(run: Run, tmp_path: Path) -> None:
    ran = run("publish", "--to", tmp_path / "site", "--public-key", tmp_path / "key")
    assert ran.status == 2
    assert "--public-key has no effect without --check" in ran.err
    assert run("publish", "--to", tmp_path / "site", "--sign", tmp_path / "none").err.startswith(
        f"coreml-updatable: {tmp_path}/none: is not a small file"
    )
