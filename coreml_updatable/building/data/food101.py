"""An extracted Food-101 (Bossard, Guillaumin and Van Gool, ECCV 2014): ``images/CLASS/NUMBER.jpg`` and, in ``meta``,
which pictures are for training and which for testing. That split is kept; classes the recipe does not name are left
out."""

import json
import re
from pathlib import Path

from coreml_updatable.building.data.folders import check_classes
from coreml_updatable.building.data.listing import Listing, Photo, class_folders, some_of
from coreml_updatable.building.data.wanted import Wanted
from coreml_updatable.errors import DataError

ENTRY = re.compile(r"[A-Za-z0-9_-]{1,100}/[A-Za-z0-9_-]{1,100}")
MAXIMUM_BYTES = 50_000_000


def find_food101(folder: Path) -> Path | None:
    """``folder`` or the ``food-101`` in it, if that looks like Food-101."""
    for place in (folder, folder / "food-101"):
        if (place / "images").is_dir() and {path.name for path in class_folders(place)} <= {"images", "meta"}:
            return place
    return None


def list_food101(folder: Path, wanted: Wanted) -> Listing:
    """The pictures of the classes that ``wanted`` names, at most ``maximum_per_kind`` of each and split."""
    photos: list[Photo] = []
    skipped: list[str] = []
    for split in ("train", "test"):
        listed: list[Photo] = []
        for entry in _entries(folder / "meta", split):
            kind = entry.split("/")[0]
            if kind not in wanted.kinds and all(kind != owner.kind for owner in wanted.owners()):
                continue
            listed.append(Photo(kind, folder / "images" / f"{entry}.jpg", f"{entry}.jpg", split == "test"))
        share = wanted.test_share if split == "test" else 1 - wanted.test_share
        most = None if wanted.maximum_per_kind is None else max(1, round(wanted.maximum_per_kind * share))
        for photo in some_of(listed, most):
            if photo.path.is_file() and not photo.path.is_symlink():
                photos.append(photo)
            else:
                skipped.append(f"{photo.name}: named in meta/{split} but not there")
    check_classes({photo.kind for photo in photos}, folder, wanted)
    return Listing(tuple(photos), tuple(skipped))


def _entries(meta: Path, split: str) -> list[str]:
    """The ``class/number`` entries of a split, sorted."""
    lines, plain = meta / f"{split}.txt", meta / f"{split}.json"
    path = lines if lines.is_file() else plain
    if not path.is_file():
        raise DataError(f"{meta}: holds neither {split}.txt nor {split}.json; extract the whole of Food-101")
    if path.stat().st_size > MAXIMUM_BYTES:
        raise DataError(f"{path}: larger than {MAXIMUM_BYTES:,} bytes; extract Food-101 again")
    try:
        text = path.read_text(encoding="utf-8")
        entries = text.split() if path is lines else [entry for group in json.loads(text).values() for entry in group]
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise DataError(f"{path}: not a list of pictures; extract Food-101 again") from error
    for entry in entries:
        if not isinstance(entry, str) or not ENTRY.fullmatch(entry):
            raise DataError(
                f"{path}: holds {str(entry)[:60]!r}, expected lines such as pancakes/1001; extract it again"
            )
    return sorted(set(entries))
