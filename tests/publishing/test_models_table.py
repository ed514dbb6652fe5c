"""The table of samples: its numbers are those of the reports, and nothing around it moves."""

import dataclasses
import json
import tomllib
from pathlib import Path

import pytest

from coreml_updatable.errors import BuildError, CatalogueError
from coreml_updatable.publishing.report.json import report_object
from coreml_updatable.publishing.report.values import Report
from docs.pages.samples import BEGIN, END, TableReport, fixed_line, models_table, read_report, with_table


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def as_read(report: Report) -> TableReport:
    """What is read of the report that a build wrote."""
    return TableReport.model_validate(json.loads(json.dumps({**report_object(report), "files": {}})))


def test_a_row_for_a_report_of_each_kind(report: Report, stickers: Report) -> None:
    network = dataclasses.replace(report.models[0], weights=1000, trainable=194)
    owned = dataclasses.replace(report, models=(network, report.models[1]))
    plain = dataclasses.replace(owned, sample="plain", personalization=None)
    reports = [as_read(item) for item in (owned, dataclasses.replace(stickers, models=owned.models), plain)]
    head, rule, *rows = models_table(reports).splitlines()
    assert len(cells(head)) == len(cells(rule)) == len(cells(rows[0])) == 9
    assert cells(rows[0])[:4] == ["`healthy_luncher`", "`image`, 128 x 128 rgb", "254.3 kB / 254.3 kB", "19.4%"]
    assert report.personalization is not None
    compared = report.personalization.comparison
    last = [entrant.last(10).measures["personal_accuracy"].mean for entrant in compared.entrants]
    assert [float(share.rstrip("%")) for share in cells(rows[0])[5].split(" of ")[0].split(" / ")] == pytest.approx(
        [100 * share for share in last], abs=0.06
    )
    assert cells(rows[1])[4:8] == ["100% / 100%", "30% / 95% of 7, 8 after 10", "99.7% / 99.1%", "over 10 / 10"]
    assert cells(rows[2])[4:8] == ["–"] * 4
    assert cells(rows[0])[8] == "35 s"
    assert "measured on: 2 cores, x86-64, Linux." in models_table(reports)


def test_samples_that_are_not_updatable_stand_below_the_table() -> None:
    root = Path(__file__).parents[2]
    paths = root.glob("sample_models/*/recipe.toml")
    recipes = {path.parent.name: tomllib.loads(path.read_text("utf-8")) for path in paths}
    fixed = sorted(name for name, recipe in recipes.items() if recipe.get("updatable") is False)
    line = fixed_line(fixed)
    assert "[`style_filter`](sample_models/style_filter/README.md)" in line
    assert line in models_table([], fixed)
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert line in readme.partition(BEGIN)[2].partition(END)[0]


def test_what_stands_around_the_table_stays() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = with_table(text, "new\n", "README.md")
    assert once == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert with_table(once, "new\n", "README.md") == once


@pytest.mark.parametrize("text", ["nothing", BEGIN, END + BEGIN])
def test_a_text_without_the_marks(text: str) -> None:
    with pytest.raises(BuildError, match=r"^README.md: contains no table of samples, expected the lines"):
        with_table(text, "new\n", "README.md")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"has no report.json, expected what a build wrote; run `coreml-updatable build` first$"),
        (b"[]", r"report.json: is not the report of a build; build the model again$"),
        (b"{", r"report.json: is not the report of a build; build the model again$"),
        (b"\xff", r"report.json: is not the report of a build; build the model again$"),
        (b'{"schema": 0}', r"report.json: has the schema 0, expected 4; build the model again$"),
    ],
)
def test_a_report_that_is_none(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(CatalogueError, match=said):
        read_report(tmp_path)


@pytest.mark.parametrize("place", ["machine", "seconds", "sample", "models.0.weights", "models.1.trainable"])
def test_a_report_without_what_a_row_needs(tmp_path: Path, report: Report, place: str) -> None:
    table = json.loads(json.dumps({**report_object(report), "files": {}}))
    held, *rest = place.split(".")
    del (table["models"][int(rest[0])] if rest else table)[rest[1] if rest else held]
    (tmp_path / "report.json").write_text(json.dumps(table))
    with pytest.raises(CatalogueError, match=rf"report.json: {place}: Field required; build the model again$"):
        read_report(tmp_path)
