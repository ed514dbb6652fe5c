"""`publish` at the command line: usage, and what it says."""

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_usage(run: Run, tmp_path: Path) -> None:
    assert "--to is required" in run("publish", tmp_path).err
    assert "BUILDS is required" in run("publish", "--to", tmp_path / "site").err
    assert "omit BUILDS" in run("publish", tmp_path, "--check", tmp_path).err
    assert run("publish", "--to", tmp_path / "site", "--keep", "0").status == 2
    assert not (tmp_path / "site").exists()


def test_an_empty_catalogue_is_published_and_checked(run: Run, tmp_path: Path) -> None:
    site = tmp_path / "site"
    ran = run("publish", "--to", site, "--base-url", "https://example.org/m")
    assert (ran.status, ran.out) == (0, f"{site}: 0 models, serial 1\n")
    ran = run("publish", "--check", site)
    assert (ran.status, ran.out) == (0, f"{site}: 0 files, 0 bytes, all checksums and links are correct\n")
    (site / "latest.json").unlink()
    ran = run("publish", "--check", site, "--json")
    assert ran.status == 1
    assert "is not a regular file" in json.loads(ran.out)["faults"][0]


def test_a_problem_is_one_sentence(run: Run, tmp_path: Path) -> None:
    ran = run("publish", tmp_path, "--to", tmp_path / "site")
    assert ran.status == 1
    assert ran.err == (
        f"coreml-updatable: {tmp_path}: has no report.json, expected what a build wrote; "
        "run `coreml-updatable build` first\n"
    )
