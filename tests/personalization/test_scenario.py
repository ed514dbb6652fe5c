import dataclasses
from typing import Any

import pytest

from coreml_updatable.errors import DataError
from coreml_updatable.personalization.scenario import Scenario

ROW = {"image": 0}
GOOD = Scenario("9", "low", (ROW,) * 5, (ROW,), (ROW, ROW), ("low", "high"), ("1", "7"), photos=(1, 5), seeds=(0,))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"photos": (3, 1)}, r"photos is \[3, 1\], expected rising numbers from 1 up, each once; sort them"),
        ({"photos": (0, 1)}, r"photos is \[0, 1\], expected rising numbers from 1 up"),
        ({"photos": ()}, r"photos is \[\], expected rising numbers"),
        ({"seeds": ()}, r"no seeds, expected at least one; give seeds such as \(0, 1, 2\)"),
        ({"photos": (1, 6)}, r"5 pictures to learn from, expected at least 6 \(the most of photos\); add pictures or"),
        ({"held_out_rows": ()}, r"no held-out pictures, expected at least one; add pictures of this kind"),
        ({"test_labels": ("low",)}, r"2 test pictures with 1 labels and 2 kinds, expected as many of each"),
        ({"test_rows": (), "test_labels": (), "test_kinds": ()}, r"0 test pictures with 0 labels and 0 kinds"),
    ],
)
def test_what_can_not_be_tried_is_one_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=f"^owner of '9': {sentence}"):
        dataclasses.replace(GOOD, **change)
