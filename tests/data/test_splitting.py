"""What holds for every split, whatever the pictures."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreml_updatable.data.dataset import FEWEST, check_enough, split
from coreml_updatable.errors import DataError

counts = st.dictionaries(st.sampled_from(["salad", "burger", "fries", "soup"]), st.integers(1, 60), min_size=1)
shares = st.floats(0.02, 0.45)


def spelled(counts: dict[str, int]) -> tuple[list[str], list[str]]:
    pairs = [(kind, f"{kind}/{index}.jpg") for kind, count in counts.items() for index in range(count)]
    return [kind for kind, _ in pairs], [name for _, name in pairs]


@given(counts, shares, shares, st.integers(0, 5))
def test_every_picture_is_in_exactly_one_part(
    counts: dict[str, int], test_share: float, validation_share: float, seed: int
) -> None:
    kinds, names = spelled(counts)
    parts = split(kinds, names, test_share, validation_share, seed)
    assert sorted(parts.train + parts.validation + parts.test) == list(range(len(names)))
    for kind, count in counts.items():
        sizes = [sum(kinds[at] == kind for at in part) for part in (parts.train, parts.validation, parts.test)]
        assert sizes[0] >= 1
        if count >= FEWEST:
            assert min(sizes) >= 1
            assert abs(sizes[2] - count * test_share) <= 1 or sizes[0] == 1
        else:
            assert sizes == [count, 0, 0]


@given(counts, st.randoms(use_true_random=False))
def test_the_order_of_files_does_not_matter(counts: dict[str, int], rng: random.Random) -> None:
    kinds, names = spelled(counts)
    order = list(range(len(names)))
    rng.shuffle(order)
    first = split(kinds, names, 0.2, 0.1, 0)
    second = split([kinds[at] for at in order], [names[at] for at in order], 0.2, 0.1, 0)
    for one, other in ((first.train, second.train), (first.validation, second.validation), (first.test, second.test)):
        assert {names[at] for at in one} == {names[order[at]] for at in other}


def test_another_seed_splits_differently() -> None:
    kinds, names = spelled({"salad": 100})
    assert split(kinds, names, 0.2, 0.1, 0) == split(kinds, names, 0.2, 0.1, 0)
    assert split(kinds, names, 0.2, 0.1, 0).test != split(kinds, names, 0.2, 0.1, 1).test


def test_a_new_picture_moves_hardly_any_other() -> None:
    kinds, names = spelled({"salad": 100})
    before = {names[at] for at in split(kinds, names, 0.2, 0.1, 0).test}
    grown = [*names, "salad/new.jpg"]
    after = {grown[at] for at in split([*kinds, "salad"], grown, 0.2, 0.1, 0).test}
    assert len(before - after) <= 1


@given(st.lists(st.booleans(), min_size=4, max_size=40))
def test_a_collections_own_test_pictures_stay(official: list[bool]) -> None:
    kinds, names = spelled({"salad": len(official)})
    parts = split(kinds, names, 0.2, 0.1, 0, official)
    assert [index for index, kept in enumerate(official) if kept] == list(parts.test)


def test_too_few() -> None:
    kinds, names = spelled({"healthy": 9, "fast-food": 2})
    parts = split(kinds, names, 0.2, 0.1, 0)
    with pytest.raises(DataError, match="the label 'fast-food' has 2 usable pictures, expected at least 3 "):
        check_enough(("fast-food", "healthy"), kinds, parts, "photos")
    check_enough(("healthy",), kinds, parts, "photos")
