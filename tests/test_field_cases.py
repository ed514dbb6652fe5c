"""docs/field-cases.md is read from the tests."""

from pathlib import Path

import pytest

from tests.field_cases import STATES, FieldCase, field_cases, page

PAGE = Path(__file__).parents[1] / "docs" / "field-cases.md"


def test_the_page_is_read_from_the_tests() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(field_cases()), (
        "run: python tests/field_cases.py > docs/field-cases.md"
    )


def test_a_thread_is_one_row_with_a_link() -> None:
    cases = [
        FieldCase("apple/coremltools", 7, "a case", "works", "test_b.py"),
        FieldCase("apple/coremltools", 7, "a case", "works", "test_a.py"),
    ]
    (row,) = [line for line in page(cases).splitlines() if line.startswith("| [")]
    assert "https://github.com/apple/coremltools/issues/7" in row
    assert "test_a.py" in row
    assert "test_b.py" in row


@pytest.mark.parametrize(
    "arguments",
    [
        '"apple/coremltools", "no number", "works"',
        '"apple/coremltools#7", "a case", "unheard of"',
        '"a/b#7", name, "works"',
    ],
)
def test_a_marker_that_cannot_be_read_is_named_by_its_line(tmp_path: Path, arguments: str) -> None:
    (tmp_path / "test_x.py").write_text(f"import pytest\n\n@pytest.mark.field_case({arguments})\ndef test_x(): ...\n")
    with pytest.raises(ValueError, match=r"test_x\.py:3"):
        field_cases(tmp_path)


def test_every_state_is_explained_and_counted() -> None:
    lines = page(
        [FieldCase("a/b", 1, "one", "works", "t.py"), FieldCase("a/b", 1, "two", "works", "t.py")]
    ).splitlines()
    assert all(any(line.startswith(f"| *{state}* | ") for line in lines) for state in STATES)
    assert any(line.startswith("| *works* | 2 |") for line in lines)


def test_a_table_for_each_repository_that_with_most_threads_first() -> None:
    cases = [FieldCase("a/b", 1, "one", "works", "t.py")]
    cases += [FieldCase("c/d", number, "one", "works", "t.py") for number in (2, 30)]
    lines = page(cases).splitlines()
    assert [line for line in lines if line.startswith("## ")] == ["## c/d", "## a/b"]
    assert [line.split("]")[0] for line in lines if line.startswith("| [")] == ["| [#2", "| [#30", "| [#1"]
    assert "3 threads of 2 repositories" in " ".join(lines)
