import dataclasses
import json

import pytest

from coreml_updatable.errors import DataError
from coreml_updatable.personalization.results import read_comparison
from coreml_updatable.publishing.report.json import report_object
from coreml_updatable.publishing.report.values import Report
from coreml_updatable.text import json_text


def test_round_trip(report: Report) -> None:
    read = json.loads(json_text(report_object(report)))
    assert report.personalization is not None
    assert read_comparison(read["comparison"]) == report.personalization.comparison
    assert read["schema"] == 4
    assert read_comparison(read["new_label"]["comparison"]) == report.personalization.new_label.comparison  # type: ignore[union-attr,unused-ignore]
    assert [model["sha256"] for model in read["models"]] == [model.sha256 for model in report.models]
    assert read["pictures"]["test"] == list(report.personalization.test.names)
    assert read["models"] == json.loads(json.dumps([dataclasses.asdict(model) for model in report.models]))


def test_no_owner_is_null(report: Report) -> None:
    read = json.loads(json_text(report_object(dataclasses.replace(report, personalization=None))))
    assert read["comparison"] is None
    assert read["pictures"] is None


def test_nan_is_not_json(report: Report) -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_text(report_object(dataclasses.replace(report, seconds={"train": float("nan")})))


def test_a_damaged_comparison_is_one_sentence(report: Report) -> None:
    assert report.personalization is not None
    value = report.personalization.comparison.as_json()
    del value["entrants"][1]["reached"]
    with pytest.raises(DataError, match=r"^comparison: entrants\.1\.reached: .*; run the comparison again$"):
        read_comparison(value)


@pytest.mark.parametrize(("schema", "remedy"), [(2, "run the comparison again"), (99, "newer")])
def test_a_comparison_of_another_schema_is_one_sentence(report: Report, schema: int, remedy: str) -> None:
    assert report.personalization is not None
    with pytest.raises(DataError, match=rf"schema {schema}, expected 3; .*{remedy}"):
        read_comparison({**report.personalization.comparison.as_json(), "schema": schema})
