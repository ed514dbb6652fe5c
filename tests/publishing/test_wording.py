import re

from hypothesis import given
from hypothesis import strategies as st

from coreml_updatable.personalization.wording import counted, listed, percent
from coreml_updatable.publishing.wording import brief, byte_count, milliseconds, tiny, typographic


@given(st.floats(0, 1))
def test_percent_is_near_and_never_claims_all_or_nothing(share: float) -> None:
    text = percent(share)
    number = re.fullmatch(r"(?:over |under )?([\d.]+)%", text)
    assert number is not None
    assert abs(float(number[1]) - 100 * share) <= 0.1 + 1e-9
    assert (text == "100%") <= (100 * share >= 100)
    assert (text == "0%") == (share == 0)


@given(st.floats(0, 1))
def test_brief_is_near_and_never_claims_all_or_nothing(share: float) -> None:
    text = brief(share)
    assert abs(float(text.strip("<>%")) - 100 * share) <= 1
    assert (text == "100%") == (share == 1)
    assert (text == "0%") == (share == 0)


def test_units() -> None:
    assert [byte_count(size) for size in (0, 540, 5400, 2_500_000)] == ["0 bytes", "540 bytes", "5.4 kB", "2.5 MB"]
    assert [milliseconds(time) for time in (0.234, 4.5, 15.2, 1500)] == ["0.23 ms", "4.5 ms", "15 ms", "1.5 s"]
    assert [tiny(value) for value in (0.0, 3.14e-8)] == ["0", "3.1e-08"]
    assert [counted(1, "photo"), counted(2.5, "photo")] == ["1 photo", "2.5 photos"]
    assert [listed(["a"]), listed(["a", "b", "c"])] == ["a", "a, b and c"]


def test_typographic_leaves_quotes_alone() -> None:
    assert typographic("the owner's k-NN said 'no'") == "the owner’s k\u2011NN said 'no'"
