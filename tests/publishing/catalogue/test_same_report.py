"""Two reports of one build differ in times and sums only; a label or a kind that is called so counts."""

import copy
import json
from typing import Any

import pytest

from coreml_updatable.publishing.catalogue.publish import says_the_same
from coreml_updatable.publishing.report.json import report_object
from coreml_updatable.publishing.report.values import Report

NAMES = ("seconds", "machine", "versions", "key", "files", "update_ms", "embedding_ms")


@pytest.fixture(scope="module")
def table(report: Report) -> dict[str, Any]:
    """A report with every part, as a build writes it."""
    whole = report_object(report)
    result: dict[str, Any] = json.loads(json.dumps({**whole, "key": "0", "files": {"A.mlmodel": {"sha256": "0"}}}))
    return result


def same(one: Any, other: Any) -> bool:
    return says_the_same(json.dumps(one).encode(), json.dumps(other).encode())


def times_moved(value: Any) -> Any:
    """Every time of a measurement is another: those that a dataclass names, not those that people named."""
    if isinstance(value, dict):
        return {name: 7 if name in ("update_ms", "embedding_ms") else times_moved(item) for name, item in value.items()}
    return [times_moved(item) for item in value] if isinstance(value, list) else value


def test_what_a_run_measured_is_noise(table: dict[str, Any]) -> None:
    other = times_moved(table) | {"seconds": {}, "machine": "mine", "versions": {}, "key": "1", "files": {}}
    assert other != table
    assert same(table, other)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", ["train", "source", "history", "labels", "refused"])
def test_a_name_that_people_gave_is_none(table: dict[str, Any], name: str, place: str) -> None:
    one, other = copy.deepcopy(table), copy.deepcopy(table)
    for changed, value in ((one, 1), (other, 2)):
        {
            "train": changed["data"]["train"],
            "source": changed["source"],
            "history": changed["history"][0],
            "labels": changed["comparison"]["entrants"][0]["kinds"][0]["before"]["labels"],
            "refused": changed["new_label"]["refused"],
        }[place][name] = value
    assert not same(one, other)
