import io
from dataclasses import replace

import pytest
from rich.console import Console

from coreml_updatable.publishing.report.terminal import summary
from coreml_updatable.publishing.report.values import Report


def printed(report: Report, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(summary(report))
    return out.getvalue()


def test_a_row_for_each_number_of_photos(report: Report) -> None:
    text = printed(report, 120)
    assert report.personalization is not None
    rows = [line.split("│")[1].strip() for line in text.splitlines() if line.startswith("│")]
    assert [row for row in rows if row][-6:] == ["0", "1", "2", "3", "5", "10"]
    assert "1 warning." in text
    assert "drawn by a program" in text


@pytest.mark.parametrize("width", [60, 80])
def test_it_fits_the_terminal(report: Report, width: int) -> None:
    assert max(map(len, printed(report, width).splitlines())) <= width


def test_no_name_of_a_contender_is_broken_over_lines(report: Report) -> None:
    assert report.personalization is not None
    comparison = report.personalization.comparison
    network = replace(comparison.entrants[0], name="network with its replay set")
    entrants = (network, *comparison.entrants[1:])
    personalization = replace(report.personalization, comparison=replace(comparison, entrants=entrants))
    text = printed(replace(report, personalization=personalization), 80)
    assert text.count(network.name) == len(comparison.shots)
