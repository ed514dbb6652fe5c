"""docs/recipes.md and the schema say the same."""

from pathlib import Path

from coreml_updatable.recipes.recipe import Recipe
from docs.pages.recipes import page

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"


def test_the_page_is_what_the_schema_says() -> None:
    text = page()
    assert PAGE.read_text(encoding="utf-8") == text, "run: python -m docs.pages.recipes > docs/recipes.md"
    for field in Recipe.model_fields:
        assert f"| `{field}` |" in text
