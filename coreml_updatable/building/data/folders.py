"""A folder of class folders: ``photos/salad/*.jpg``, ``photos/burger/*.jpg``.

A class folder is called as one of the recipe's kinds, as a label itself, or as the owner's kind. Pictures may lie in
it at any depth. Hidden files are left out; a symbolic link that leads out of the folder is not followed: a file is
skipped and named, a class folder is refused.
"""

from difflib import get_close_matches
from pathlib import Path

from coreml_updatable.building.data.listing import Listing, Photo, class_folders, files_below, stays_inside
from coreml_updatable.building.data.wanted import Wanted
from coreml_updatable.errors import DataError


def list_folder(folder: Path, wanted: Wanted) -> Listing:
    """The files of every class folder, sorted; a DataError if a folder's name or content can not be right."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder, expected one folder a class inside it; check the path")
    classes = class_folders(folder)
    if not classes:
        raise DataError(f"{folder}: holds no folders, expected one a class, named as any of {_names(wanted)}; add them")
    photos: list[Photo] = []
    skipped = [f"{path.name}: lies in no class folder" for path in _loose_files(folder)]
    for place in classes:
        kind = _kind_of(place, wanted)
        if not stays_inside(place, folder):
            raise DataError(f"{place}: a link that leads out of {folder}; put the pictures themselves there")
        before = len(photos)
        for path in files_below(place):
            name = path.relative_to(folder).as_posix()
            if stays_inside(path, folder):
                photos.append(Photo(kind, path, name))
            else:
                skipped.append(f"{name}: a link that leads out of the folder")
        if len(photos) == before:
            raise DataError(f"{place}: holds no pictures; add some or remove the folder")
    check_classes({photo.kind for photo in photos}, folder, wanted)
    return Listing(tuple(photos), tuple(skipped))


def check_classes(kinds: set[str], folder: Path, wanted: Wanted) -> None:
    """A DataError unless ``kinds`` cover every label, and the owner's kind."""
    found = {label for kind in kinds if (label := wanted.label_of(kind)) is not None}
    for label in wanted.labels:
        if label not in found:
            names = sorted({label, *(kind for kind, its_label in wanted.kinds.items() if its_label == label)})
            raise DataError(
                f"{folder}: holds no pictures for the label {label!r}, expected a folder named {_any_of(names)}; add it"
            )
    for owner in wanted.owners():
        if owner.kind not in kinds:
            table = "[slots]" if owner in wanted.taught else "[personalization]"
            raise DataError(
                f"{folder}: holds no folder {owner.kind!r}, which the owner's pictures come from; "
                f"add it, or drop {table} from the recipe"
            )


def _kind_of(place: Path, wanted: Wanted) -> str:
    known = wanted.known()
    if place.name in known:
        return place.name
    by_lower = {name.lower().replace("-", "_"): name for name in known}
    near = get_close_matches(place.name.lower().replace("-", "_").replace(" ", "_"), by_lower, n=1, cutoff=0.5)
    hint = f"did you mean {by_lower[near[0]]!r}?" if near else f"the names here are {_names(wanted)}"
    raise DataError(f"{place}: a folder that the recipe does not know; {hint}")


def _loose_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _names(wanted: Wanted) -> str:
    return ", ".join(wanted.known())


def _any_of(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
