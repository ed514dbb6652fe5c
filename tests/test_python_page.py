"""docs/python.md runs as it stands, and shows every public function."""

import doctest
from pathlib import Path

import coreml_updatable as cu

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


def test_every_example_runs() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert tried > 20
    assert failed == 0


def test_every_public_function_is_shown() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in cu.__all__ if name.islower() and f"cu.{name}(" not in text and "__" not in name] == []
