"""What a saved model of Turi Create is, told from its folder without Turi Create."""

from pathlib import Path

from coreml_updatable.errors import SourceError

NEIGHBORS_KIND = "nearest_neighbor_classifier"
KINDS = {
    "drawing_classifier": "drawing classifier",
    "image_classifier": "image classifier",
    "classifier_logistic_regression": "logistic classifier",
    NEIGHBORS_KIND: "nearest-neighbours classifier",
}
NEVER = "can not learn on a device; train a logistic, nearest-neighbours, image or drawing classifier"
REFUSED = {
    "boosted_trees_classifier": f"trees {NEVER}",
    "random_forest_classifier": f"trees {NEVER}",
    "decision_tree_classifier": f"trees {NEVER}",
    "classifier_svm": "its margins are no probabilities; train a logistic classifier",
    "activity_classifier": "its export, once updatable, is said not to compile in Xcode (turicreate issue 2048); "
    "to try it all the same, export it and mark the file",
}
ARCHIVE, OBJECTS, MAGIC = "dir_archive.ini", "objects.bin", b"TCMODEL0"
LONGEST_NAME = 200


def kind_of(folder: Path) -> str:
    """One of KINDS; a SourceError says what else it is, and what to do instead.

    ``objects.bin`` begins with TCMODEL0, the length of a name as a u64, little-endian, and the name.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: is no folder, expected one that Turi Create's model.save wrote; check the path")
    if not (folder / ARCHIVE).is_file():
        raise SourceError(f"{folder}: has no {ARCHIVE}, expected a folder that Turi Create's model.save wrote")
    try:
        with (folder / OBJECTS).open("rb") as file:
            start = file.read(len(MAGIC) + 8 + LONGEST_NAME)
    except OSError as error:
        raise SourceError(
            f"{folder / OBJECTS}: can not be read ({error.strerror}); copy the whole folder of the model"
        ) from error
    length = int.from_bytes(start[8:16], "little")
    name = start[16 : 16 + length].decode("ascii", "replace")
    if not start.startswith(MAGIC) or not 0 < length <= LONGEST_NAME or len(name) < length or not name.isidentifier():
        raise SourceError(f"{folder / OBJECTS}: holds no model of Turi Create 5 or 6; save it anew with model.save")
    if name in KINDS:
        return name
    reason = REFUSED.get(name, "only classifiers that can learn on a device are converted, which are " + _known())
    raise SourceError(f"{folder}: is a {name} of Turi Create: {reason}")


def _known() -> str:
    return ", ".join(KINDS.values())
