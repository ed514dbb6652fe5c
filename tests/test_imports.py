"""Who may know whom: the rooms' imports point down, never up (docs/design.md)."""

import ast
import configparser
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOOR = {"bounds", "environments", "errors", "files", "installing", "machine", "text", "typed", "threads", "trust"}
MAY_IMPORT = {
    "spec": set(),
    "data": {"spec"},
    "checking": {"spec"},
    "runtime": {"spec"},
    "marking": {"checking", "runtime", "spec"},
    "updating": {"runtime", "spec"},
    "personalization": {"updating", "runtime", "data", "spec"},
    "recipes": {"data", "spec"},
    "converting": {"updating", "marking", "checking", "runtime", "data", "spec"},
    "siblings": {"converting", "updating", "runtime", "spec"},
    "publishing": {"personalization", "updating", "checking", "runtime", "data", "spec"},
    "building": {
        "siblings",
        "publishing",
        "converting",
        "recipes",
        "personalization",
        "updating",
        "marking",
        "checking",
        "runtime",
        "data",
        "spec",
    },
    "cli": {
        "building",
        "siblings",
        "publishing",
        "converting",
        "recipes",
        "personalization",
        "updating",
        "marking",
        "checking",
        "runtime",
        "data",
        "spec",
    },
    "converters": {"converting", "data", "spec"},
}


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported(path: Path) -> set[str]:
    parts = (name.split(".") for name in imported_modules(path))
    return {names[1] for names in parts if names[0] == "coreml_updatable" and len(names) > 1}


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_imports_point_down(room: str) -> None:
    folder = ROOT / "converters" if room == "converters" else ROOT / "coreml_updatable" / room
    files = sorted(folder.rglob("*.py"))
    assert files
    for path in files:
        surplus = (rooms_imported(path) & set(MAY_IMPORT)) - MAY_IMPORT[room] - {room}
        assert not surplus, f"{path.relative_to(ROOT)} imports {sorted(surplus)}"


def test_the_floor_imports_no_room_but_the_messages() -> None:
    for name in FLOOR:
        above = rooms_imported(ROOT / "coreml_updatable" / f"{name}.py") & set(MAY_IMPORT)
        assert above <= {"spec"}, name


def test_the_library_never_imports_a_converter() -> None:
    for path in (ROOT / "coreml_updatable").rglob("*.py"):
        assert "converters" not in rooms_imported(path), path


def test_siblings_in_converters_import_each_other_relatively() -> None:
    for path in (ROOT / "converters").rglob("*.py"):
        assert not [name for name in imported_modules(path) if name.split(".")[0] == "converters"], path


def test_every_package_is_listed() -> None:
    """setup.cfg names the packages one by one, since one of them is installed from elsewhere."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    result = {
        ".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "coreml_updatable").rglob("__init__.py")
    }
    converters = {
        ".".join(("coreml_updatable", *path.parent.relative_to(ROOT).parts))
        for path in (ROOT / "converters").rglob("__init__.py")
    }
    assert listed == result | converters


@pytest.mark.parametrize(
    "statement", ["import coreml_updatable", "import coreml_updatable.cli", "import coreml_updatable.spec.summary"]
)
def test_looking_at_a_model_imports_nothing_heavy(statement: str) -> None:
    program = f"{statement}; import sys; print(*sorted(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert not loaded & {"torch", "coremltools", "matplotlib", "sklearn", "pydantic", "scipy"}
