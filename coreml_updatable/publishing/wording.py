"""Numbers as a reader wants them; shares are worded where the experiment is."""

import re

from coreml_updatable.personalization.results import Interval
from coreml_updatable.personalization.statistics import MeasuredAccuracy
from coreml_updatable.personalization.wording import percent


def brief(share: float) -> str:
    """Whole percents for where there is little room: "96%", ">99%", "<1%"; all and nothing only where they are."""
    value = round(100 * share)
    if share > 0 and value == 0:
        return "<1%"
    return ">99%" if share < 1 and value == 100 else f"{value}%"


def milliseconds(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.2g} ms"


def byte_count(value: float) -> str:
    """Bytes, kB of 1,000 or MB of 1,000,000."""
    for unit, name in ((1_000_000, "MB"), (1_000, "kB")):
        if abs(value) >= unit:
            return f"{value / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{value:,.0f} bytes"


def tiny(value: float) -> str:
    """A difference: "0", "3e-08", "0.0021"."""
    return "0" if value == 0 else f"{value:.2g}"


def typographic(text: str) -> str:
    """Apostrophes as a printer sets them, and no line break in k-NN; for prose, not for code or for messages quoted."""
    return re.sub(r"(?<=\w)'(?=\w)|(?<=s)'(?= )", "’", text).replace("k-NN", "k\u2011NN")


def mean_with_interval(interval: Interval, rows: int) -> str:
    """The same of a mean over owners."""
    return with_interval(MeasuredAccuracy(interval.mean, rows, interval.low, interval.high))


def with_interval(accuracy: MeasuredAccuracy) -> str:
    """ "94% (89 to 97%, n = 168)": the share, its 95% interval and the number of rows."""
    between = f"{100 * accuracy.low:.0f} to {100 * accuracy.high:.0f}%"
    return f"{percent(accuracy.share)} ({between}, n\u00a0=\u00a0{accuracy.rows:,})"
