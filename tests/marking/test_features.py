"""Renamed and described features, in networks, nearest neighbors and pipelines."""

import numpy as np
import pytest

from coreml_updatable.checking import check
from coreml_updatable.errors import ModelError
from coreml_updatable.marking import describe, rename_features
from coreml_updatable.runtime import load
from coreml_updatable.spec.features import feature_named
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model
from tests.broken_models import valid

ROW = np.random.default_rng(0).normal(size=(3, 8, 8))


def names(model: Model) -> list[list[str]]:
    description = model.description
    return [
        [str(f.name) for f in group] for group in (description.input, description.output, description.trainingInput)
    ]


def test_a_renamed_network_answers_the_same_under_new_names() -> None:
    before = valid.classifier()
    after = rename_features(before, {"image": "picture", "label": "meal", "probabilities": "chances"})
    assert names(after) == [["picture"], ["chances", "meal"], ["picture", "meal"]]
    assert check(after) == []
    old, new = load(before).predict({"image": ROW}), load(after).predict({"picture": ROW})
    assert (new["meal"], new["chances"]) == (old["label"], old["probabilities"])


def test_names_can_be_swapped_and_given_back() -> None:
    before = valid.classifier()
    there = rename_features(before, {"label": "probabilities", "probabilities": "label"})
    assert check(there) == []
    back = rename_features(there, {"label": "probabilities", "probabilities": "label"})
    assert model_bytes(back) == model_bytes(before)


def test_an_inner_blob_makes_room() -> None:
    before = valid.classifier()
    after = rename_features(before, {"image": "fc"})
    assert check(after) == []
    assert load(after).predict({"fc": ROW}) == load(before).predict({"image": ROW})


def test_a_renamed_pipeline_fits_together() -> None:
    after = rename_features(valid.pipeline(), {"x": "image", "label": "meal"})
    assert check(after) == []
    assert load(after).predict({"image": np.ones(3)})["meal"] == "unknown"


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"nowhere": "x"}, "features: the model has no 'nowhere', expected one of"),
        ({"image": "label"}, "'image' cannot become .label., because that name is taken"),
        ({"image": ""}, "'image' cannot become '', because that name is empty"),
    ],
)
def test_impossible_names_are_refused(wish: dict[str, str], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        rename_features(valid.classifier(), wish)


def test_descriptions_reach_inputs_outputs_and_training_inputs() -> None:
    model = describe(
        valid.classifier(),
        features={"image": "A photo.", "label": "The class."},
        description="What it does.",
        author="A. Author",
        license="BSD-3-Clause",
        version="1.0",
        user_defined={"b": "2", "a": "1"},
    )
    for group in (model.description.input, model.description.trainingInput):
        picture = feature_named(group, "image")
        assert picture is not None
        assert picture.shortDescription == "A photo."
    for group in (model.description.output, model.description.trainingInput):
        label = feature_named(group, "label")
        assert label is not None
        assert label.shortDescription == "The class."
    metadata = model.description.metadata
    assert (metadata.shortDescription, metadata.author) == ("What it does.", "A. Author")
    assert (metadata.license, metadata.versionString) == ("BSD-3-Clause", "1.0")
    assert dict(metadata.userDefined) == {"a": "1", "b": "2"}
    assert check(model) == []


def test_what_is_not_given_stays() -> None:
    once = describe(valid.classifier(), features={"image": "A photo."}, author="me")
    assert model_bytes(describe(once)) == model_bytes(once)


def test_an_unknown_feature_is_refused() -> None:
    with pytest.raises(ModelError, match="features: the model has no 'photo', expected one of"):
        describe(valid.classifier(), features={"photo": "A photo."})
