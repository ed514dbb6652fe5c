"""The answer to a request for a file: its headers, and which bytes of it. Values in, values out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from coreml_updatable.publishing.serving.content import Content
from coreml_updatable.publishing.serving.ranges import range_of

FOR_EVER, SHORT = "public, max-age=31536000, immutable", "public, max-age=60"
ALWAYS = {"x-content-type-options": "nosniff", "cross-origin-resource-policy": "same-origin"}


@dataclass(frozen=True)
class Answer:
    """``first`` and ``last``: the bytes to send; ``packed``: of the compressed file."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    first: int = 0
    last: int = -1
    packed: bool = False


def caching_of(place: str) -> str:
    """Releases and signatures never change; everything else may at any time. ``place``: relative to the catalogue."""
    parts = place.split("/")
    release = parts[0] == "models" and len(parts) > 3
    return FOR_EVER if release or parts[0] == "signatures" else SHORT


def answer_of(content: Content, place: str, asked: Mapping[str, str]) -> Answer:
    """``asked``: the request's headers, their names in lower case."""
    packs = content.packed is not None and _accepts_gzip(asked.get("accept-encoding", "")) and "range" not in asked
    tag = f'"{content.tag}-gzip"' if packs else f'"{content.tag}"'
    headers = {**ALWAYS, "etag": tag, "cache-control": caching_of(place), "accept-ranges": "bytes"}
    if content.packed is not None:
        headers["vary"] = "accept-encoding"
    if _names(asked.get("if-none-match", ""), tag):
        return Answer(304, headers)
    headers["content-type"] = content.kind
    if content.packed is not None and packs:
        size = len(content.packed)
        return Answer(200, {**headers, "content-encoding": "gzip", "content-length": str(size)}, 0, size - 1, True)
    wanted = range_of(asked.get("range", ""), content.length)
    if asked.get("if-range", tag) != tag:
        wanted = None  # the file is another one by now: all of it
    if isinstance(wanted, str):
        return Answer(416, {**headers, "content-range": wanted, "content-length": "0"})
    if wanted is None:
        return Answer(200, {**headers, "content-length": str(content.length)}, 0, content.length - 1)
    first, last = wanted
    span = {"content-range": f"bytes {first}-{last}/{content.length}", "content-length": str(last - first + 1)}
    return Answer(206, {**headers, **span}, first, last)


def _accepts_gzip(header: str) -> bool:
    for part in header.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _names(header: str, tag: str) -> bool:
    """Whether If-None-Match names ``tag``; a weak tag compares as a strong one here (RFC 9110, section 13.1.2)."""
    given = [part.strip().removeprefix("W/") for part in header.split(",")]
    return "*" in given or tag in given
