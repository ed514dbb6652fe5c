"""Byte ranges of RFC 9110, section 14: a broken download goes on where it broke."""

import re

ONE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def range_of(header: str, length: int) -> tuple[int, int] | str | None:
    """(first, last) of the one range in ``header``; None: send everything; a text: no such bytes (416).

    Several ranges, and what is no range of bytes, are answered with everything, as the standard allows.
    """
    found = ONE.fullmatch(header.strip())
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if first == "":
        count = min(int(last), length)
        return (length - count, length - 1) if count else f"bytes */{length}"
    if last and int(last) < int(first):
        return None
    if int(first) >= length:
        return f"bytes */{length}"
    return int(first), min(int(last), length - 1) if last else length - 1
