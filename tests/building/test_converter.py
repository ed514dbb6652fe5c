"""Converters are found by their entry points."""

from importlib.metadata import EntryPoint

import pytest

from coreml_updatable.converting.registry import (
    GROUP,
    find_converter,
    load_converter,
    load_source_converter,
    version_of,
)
from coreml_updatable.errors import RecipeError


def test_the_torch_converter_is_registered() -> None:
    entry = find_converter("torch")
    assert load_converter(entry).__name__ == "convert"
    assert version_of(entry).startswith("coreml-updatable ")


def test_an_unknown_one_names_the_nearest_and_all() -> None:
    with pytest.raises(RecipeError, match=r"'toch' .*; did you mean 'torch'\?$"):
        find_converter("toch")
    with pytest.raises(RecipeError, match=r"'xyz' .*torch"):
        find_converter("xyz")
    with pytest.raises(RecipeError, match="Unknown converter 'xyz'"):
        find_converter("xyz", asked_by="--converter")


def test_a_converter_of_finished_classifiers_serves_no_recipe() -> None:
    entry = find_converter("sklearn")
    assert load_source_converter(entry).__name__ == "convert"
    with pytest.raises(RecipeError, match=r"'sklearn', .*; run: "):
        load_converter(entry)


def test_a_converter_for_recipes_takes_no_finished_classifier() -> None:
    entry = EntryPoint("mine", "coreml_updatable.building.sources:convert_source", GROUP)
    with pytest.raises(RecipeError, match=r"--converter is 'mine', .*; write a recipe"):
        load_source_converter(entry)
