"""Where the pages of a catalogue point to."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ATTRIBUTES = frozenset({"href", "src", "data", "action", "poster"})


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        for name, value in attrs:
            if name in ATTRIBUTES and value:
                self.targets.append(value)
            elif name == "id" and value:
                self.anchors.add(value)


def broken_links(site: Path, page: Path) -> list[str]:
    """The links of ``page`` that lead to no file beneath ``site`` or to no place on the page; other hosts are left."""
    found = _Links()
    found.feed(page.read_text(encoding="utf-8"))
    return [target for target in dict.fromkeys(found.targets) if not _leads_somewhere(site, page, target, found)]


def _leads_somewhere(site: Path, page: Path, target: str, found: _Links) -> bool:
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return True
    if not parts.path:
        return not parts.fragment or unquote(parts.fragment) in found.anchors
    path = (page.parent / unquote(parts.path)).resolve()
    return path.is_relative_to(site.resolve()) and path.is_file()
