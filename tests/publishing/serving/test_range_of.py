"""Byte ranges against a slice of the bytes, with every pair of ends of files of a few bytes (RFC 9110, section 14)."""

import pytest

from coreml_updatable.publishing.serving.ranges import range_of


@pytest.mark.parametrize("length", [0, 1, 2, 3, 5])
def test_every_range_of_a_short_file(length: int) -> None:
    whole = bytes(range(length))
    for first in range(length + 2):
        for last in (None, *range(length + 2)):
            found = range_of(f"bytes={first}-{'' if last is None else last}", length)
            if last is not None and last < first:
                assert found is None
            elif first >= length:
                assert found == f"bytes */{length}"
            else:
                assert isinstance(found, tuple)
                assert whole[found[0] : found[1] + 1] == whole[first : None if last is None else last + 1]
                assert found[1] < length
    for count in range(length + 2):
        found = range_of(f"bytes=-{count}", length)
        if count == 0 or length == 0:
            assert found == f"bytes */{length}"
        else:
            assert isinstance(found, tuple)
            assert whole[found[0] : found[1] + 1] == whole[-count:]
            assert found[0] >= 0


@pytest.mark.parametrize("asked", ["", "bytes=-", "bytes=1", "bytes=0-1,3-4", "lines=0-1", "bytes=٣-٤", "bytes=-1-"])
def test_what_is_no_range(asked: str) -> None:
    assert range_of(asked, 10) is None
