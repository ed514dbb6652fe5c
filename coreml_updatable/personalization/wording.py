"""Shares as a reader wants them. Rounding never turns "nearly all" into "all", nor "hardly any" into "none"."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """What our own sentences call one row; names and texts that people gave are never reworded."""

    photo: str = "photo"  # as its owner takes it
    picture: str = "picture"  # as a model sees it


OF_PHOTOS = Words()


def words_for(noun: str) -> Words:
    """Rows that are not pictures are called by their noun, e.g. "clip"; "" is that of pictures."""
    return Words(noun, noun) if noun else OF_PHOTOS


def percent(share: float) -> str:
    """0.9625 -> "96.2%"; 0.9999 -> "over 99.9%"; 0.0001 -> "under 0.1%"."""
    value = 100 * share
    if 0 < value < 0.05:
        return "under 0.1%"
    if 99.95 <= value < 100:
        return "over 99.9%"
    return f"{value:.1f}".removesuffix(".0") + "%"


def counted(count: float, thing: str) -> str:
    """ "1 photo", "2.5 photos"."""
    return f"{count:.12g} {thing}" if count == 1 else f"{count:.12g} {thing}s"


def listed(words: list[str]) -> str:
    """ "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
