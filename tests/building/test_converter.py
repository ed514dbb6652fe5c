"""Converters are found by their entry points."""

import pytest

from coreml_updatable.building.converter import find_converter, load_converter, version_of
from coreml_updatable.errors import RecipeError


def test_the_torch_converter_is_registered() -> None:
    entry = find_converter("torch")
    assert load_converter(entry).__name__ == "convert"
    assert version_of(entry).startswith("coreml-updatable ")


def test_an_unknown_one_names_the_nearest_and_all() -> None:
    with pytest.raises(RecipeError, match=r"'toch', which no installed package registers; did you mean 'torch'\? inst"):
        find_converter("toch")
    with pytest.raises(RecipeError, match=r"'xyz', which no installed package registers; installed: .*torch"):
        find_converter("xyz")
