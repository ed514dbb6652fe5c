import dataclasses
from typing import Any

import pytest

from coreml_updatable.errors import DataError
from coreml_updatable.personalization.scenario import Scenario

ROW = {"image": 0}
GOOD = Scenario(
    {"9": "low"}, (ROW,) * 5, ("9",) * 5, (ROW,), ("9",), (ROW, ROW), ("low", "high"), ("1", "7"), (1, 5), (0,)
)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"shots": (3, 1)}, r"shots is \[3, 1\], expected increasing numbers of 1 or more; sort them"),
        ({"shots": (0, 1)}, r"shots is \[0, 1\], expected increasing numbers of 1 or more"),
        ({"shots": ()}, r"shots is \[\], expected increasing numbers"),
        ({"seeds": ()}, r"found no seeds; give at least one, such as \(0, 1, 2\)"),
        ({"shots": (1, 6)}, r"5 rows to learn from of '9', expected at least 6; add rows or lower shots"),
        ({"held_out_rows": (), "held_out_kinds": ()}, r"0 held-out rows of '9', expected at least 1; add rows"),
        ({"held_out_kinds": ("8",)}, r"1 held-out rows with 1 kinds, expected one of \['9'\] for each"),
        ({"owner_kinds": ("9",)}, r"5 rows to learn from with 1 kinds, expected one of \['9'\] for each"),
        ({"test_labels": ("low",)}, r"2 test rows with 1 labels and 2 kinds, expected as many of each"),
        ({"test_rows": (), "test_labels": (), "test_kinds": ()}, r"0 test rows with 0 labels and 0 kinds"),
    ],
)
def test_what_cannot_be_tried_is_one_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=f"^owner of 9: {sentence}"):
        dataclasses.replace(GOOD, **change)
