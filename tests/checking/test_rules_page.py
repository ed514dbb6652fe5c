"""docs/rules.md says what the code does."""

from pathlib import Path

from coreml_updatable.checking.rules import RULES
from docs.pages.rules import GROUPS, page

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


def test_the_page_is_the_codes_own() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m docs.pages.rules > docs/rules.md"


def test_every_rule_stands_in_one_group() -> None:
    assert [rule.id for _, group in GROUPS for rule in group] == [rule.id for rule in RULES]


def test_every_rule_has_one_line_with_its_severity() -> None:
    rows = [line.split(" | ") for line in page().splitlines() if line.startswith("| ")]
    result = {row[0].removeprefix("| "): (row[1], row[3]) for row in rows if row[1] in ("error", "warning")}
    assert result == {rule.id: (rule.severity, rule.remedy) for rule in RULES}


def test_threads_are_links() -> None:
    assert "| [#1705](https://github.com/apple/coremltools/issues/1705) |" in page()
    assert "| [apple/turicreate#2258](https://github.com/apple/turicreate/issues/2258) |" in page()
