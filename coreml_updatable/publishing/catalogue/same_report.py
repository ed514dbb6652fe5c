"""Whether two reports say the same of a model, apart from when, where and how quickly it was built."""

import json
from collections.abc import Set
from typing import Any

# What differs from run to run although nothing was changed: times, the machine, and the sums of what tells of them.
# Only where a report has them: a label or a kind may be called so too.
OF_A_RUN = frozenset({"seconds", "machine", "versions", "key", "files"})
MEASURED_TIMES = {
    "comparison": frozenset({"update_ms", "extractor_ms"}),
    "slots": frozenset({"update_ms"}),
}
NAMED_BY_PEOPLE = frozenset(
    {"held_out_answers", "test_accuracy_by_kind", "right_by_kind", "test_kinds", "kinds"}
)  # whose keys are labels or kinds


def says_the_same(one: bytes, other: bytes) -> bool:
    """``one`` and ``other``: report.json, both read before."""
    return one == other or _lasting(json.loads(one)) == _lasting(json.loads(other))


def _lasting(report: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without(held, MEASURED_TIMES.get(name, frozenset()))
        for name, held in report.items()
        if name not in OF_A_RUN
    }


def _without(value: Any, times: Set[str]) -> Any:
    if isinstance(value, dict):
        return {
            name: held if name in NAMED_BY_PEOPLE else _without(held, times)
            for name, held in value.items()
            if name not in times
        }
    return [_without(held, times) for held in value] if isinstance(value, list) else value
