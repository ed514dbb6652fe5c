"""docs/converters.md says of each converter what its code says."""

import re
from importlib.metadata import entry_points, metadata
from pathlib import Path

import pytest

from coreml_updatable.converting.registry import GROUP
from coreml_updatable.converting.source_kind import CONVERTERS

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("| \n").split(" | ")]
    for line in (ROOT / "docs" / "converters.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ")
]
ENTRIES = {
    entry_point.name: entry_point
    for entry_point in entry_points(group=GROUP)
    if entry_point.dist and entry_point.dist.name == "coreml-updatable"
}
ROWS = [row for row in ROWS if len(row) == 6 and row[2] in ENTRIES]


def test_it_tells_of_every_converter_and_every_ending() -> None:
    assert {row[2] for row in ROWS} == set(ENTRIES)
    for name in ENTRIES:
        result = {ending for row in ROWS if row[2] == name for ending in re.findall(r"(?<!\w)\.[a-z0-9]+\b", row[1])}
        wanted = {ending for ending, converter in CONVERTERS.items() if converter == name}
        assert wanted <= result, name
        assert result & set(CONVERTERS) <= wanted, name


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_says_what_the_code_says(row: list[str]) -> None:
    entry = ENTRIES[row[2]]
    within = re.search(r"within\s+(1e-\d)", entry.load().__doc__)
    assert within is not None
    assert row[5] == within[1]
    extras = [] if row[3] == "none" else [row[3]]
    by_name = row[2] == "torch" and extras == ["vision"]  # the libraries that know the name
    assert by_name or list(entry.extras) == extras


def test_the_extras_are_those_that_are_promised() -> None:
    assert {"vision", "hf", "keras", "onnx", "sklearn"} <= set(
        metadata("coreml-updatable").get_all("Provides-Extra") or ()
    )
