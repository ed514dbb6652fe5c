import io

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
    assert rows[-6:] == ["0", "1", "2", "3", "5", "10"]
    assert "1 warning." in text
    assert "drawn by a program" in text


@pytest.mark.parametrize("width", [60, 80])
def test_it_fits_the_terminal(report: Report, width: int) -> None:
    assert max(map(len, printed(report, width).splitlines())) <= width
