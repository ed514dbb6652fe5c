"""docs/models.md says what the code does."""

from pathlib import Path

import pytest

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime import load
from coreml_updatable.spec.messages import Model_pb2
from docs.pages.kinds import FILES, page

FORMAT = [field.name for field in Model_pb2.Model.DESCRIPTOR.oneofs_by_name["Type"].fields]
PAGE = Path(__file__).parents[2] / "docs" / "models.md"
ROWS = [line.split(" | ") for line in page().splitlines() if line.startswith("| ") and line[2:5] != "---"][1:]


def test_the_page_is_the_codes_own() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m docs.pages.kinds > docs/models.md"


def test_every_kind_of_the_format_has_a_line_and_every_link_a_file() -> None:
    assert [row[0].removeprefix("| ") for row in ROWS] == FORMAT
    links = [part.split(")")[0] for part in page().split("](")[1:]]
    assert len(links) == len(FILES)
    assert all((PAGE.parent / link).is_file() for link in links)


@pytest.mark.parametrize("kind", FORMAT)
def test_the_state_is_what_loading_says(kind: str) -> None:
    """An empty message of a kind that runs is refused for what is missing, of another kind for the kind."""
    model = Model_pb2.Model(specificationVersion=5)
    getattr(model, kind).SetInParent()
    state = next(row[3] for row in ROWS if row[0].removeprefix("| ") == kind)
    try:
        load(model)
        refused = False
    except ModelError as error:
        words = ("that cannot be run here", "where alone it runs", "code is in an app", "is an ML program")
        refused = any(part in str(error) for part in words)
    assert refused == (state == "refused")
