"""What docs/design.md says of the public surface is what the code has: commands, names, rooms."""

import re
from pathlib import Path

import coreml_updatable as cu
from coreml_updatable.cli.app import COMMANDS
from tests.test_imports import MAY_IMPORT

ROOT = Path(__file__).parents[1]
DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return DESIGN.partition(f"## {title}")[2].partition("\n## ")[0]


def test_the_commands_are_those_of_the_command_line() -> None:
    listed = re.search(r"Command line `coreml-updatable`: `([a-z ]+)`", section("Public surface"))
    assert listed is not None
    assert tuple(listed[1].split()) == COMMANDS


def test_the_names_are_those_of_the_package() -> None:
    named = set(re.findall(r"\bcu\.(\w+)", section("Public surface"))) | {
        name for name in ("Problem",) if name in section("Public surface")
    }
    assert named == set(cu.__all__)


def test_the_rooms_are_those_that_the_imports_know() -> None:
    tree = section("Rooms")
    listed = set(re.findall(r"^  ([a-z]+)/ ", tree, re.MULTILINE))
    folders = {path.parent.name for path in (ROOT / "coreml_updatable").glob("*/__init__.py")}
    assert listed == folders == set(MAY_IMPORT) - {"converters"}
