"""Which pictures count as the same: copies of scikit-learn's photographs, made by Pillow."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sklearn
from PIL import Image, ImageEnhance, ImageOps

from coreml_updatable.data.duplicates import groups_of
from coreml_updatable.data.folds import check_folds, folds_of
from coreml_updatable.errors import DataError

FOLDER = Path(sklearn.__file__).parent / "datasets" / "images"


def photos() -> list[Image.Image]:
    """Six photographs that share nothing: parts of two."""
    result = [Image.open(FOLDER / name).convert("RGB") for name in ("china.jpg", "flower.jpg")]
    return [item.crop((left, 0, left + 210, 427)).resize((128, 128)) for item in result for left in (0, 215, 430)]


def compressed(picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=40)
    return Image.open(buffer).convert("RGB")


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "compressed": compressed,
    "brighter": lambda item: ImageEnhance.Brightness(item).enhance(1.2),
    "mirrored": ImageOps.mirror,
    "smaller": lambda item: item.resize((40, 40)).resize((128, 128)),
    "cropped": lambda item: item.crop((1, 1, 127, 127)).resize((128, 128)),
}


@pytest.mark.parametrize("change", sorted(COPIES))
def test_a_copy_is_in_the_group_of_its_original(change: str) -> None:
    originals = photos()
    pictures = [*originals, *(COPIES[change](original) for original in originals)]
    groups = groups_of(np.stack([np.asarray(picture) for picture in pictures]))
    assert groups.tolist() == [*range(6), *range(6)]


def test_pictures_of_one_color_are_nobodys_copies() -> None:
    assert groups_of(np.full((3, 32, 32, 3), 255, np.uint8)).tolist() == [0, 1, 2]
    assert groups_of(np.zeros((0, 32, 32, 3), np.uint8)).tolist() == []


def test_groups_stay_in_one_fold_and_labels_are_in_all() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 203)
    groups = np.where(random.random(203) < 0.3, labels + 1000, np.arange(203))
    folds = folds_of(labels, groups, 5, seed=1)
    for group in np.unique(groups):
        assert len(np.unique(folds[groups == group])) == 1
    alone = folds_of(labels, np.arange(203), 5, seed=1)
    counts = np.array([[((alone == fold) & (labels == label)).sum() for label in range(4)] for fold in range(5)])
    assert (counts.max(axis=0) - counts.min(axis=0)).max() <= 1
    assert np.array_equal(folds, folds_of(labels, groups, 5, seed=1))


def test_a_label_whose_pictures_are_all_nearly_the_same_is_refused() -> None:
    kinds = ["cat"] * 5 + ["dog"] * 2
    with pytest.raises(DataError, match="photos: the label 'cat' has 1 usable picture apart from near-duplicates"):
        check_folds(["cat", "dog"], kinds, np.array([0, 0, 0, 0, 0, 1, 2]), "photos")
    check_folds(["cat", "dog"], kinds, np.array([0, 0, 3, 0, 0, 1, 2]), "photos")
