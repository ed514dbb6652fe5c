"""A recipe is validated whole; each mistake is one sentence with its place."""

import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreml_updatable.building.overrides import with_backbone
from coreml_updatable.data.inputs import ArrayInput
from coreml_updatable.errors import RecipeError
from coreml_updatable.recipes.file import parse_recipe, read_any_recipe, read_recipe
from coreml_updatable.recipes.find import find_recipe
from coreml_updatable.recipes.recipe import ImageSection, Recipe

SAMPLES = Path(__file__).parents[2] / "sample_models"
Change = Callable[[dict[str, Any]], Any]


def lunch() -> dict[str, Any]:
    return tomllib.loads((SAMPLES / "healthy_luncher" / "recipe.toml").read_text())


def parsed(change: Change) -> Recipe:
    table = lunch()
    change(table)
    return parse_recipe(table, "recipe.toml")


def array(**fields: Any) -> dict[str, Any]:
    return {"type": "float32", "name": "values", "shape": [2, 3], **fields}


@pytest.mark.parametrize("sample", sorted(path.parent.name for path in SAMPLES.glob("*/recipe.toml")))
def test_the_samples_are_valid(sample: str) -> None:
    recipe = read_any_recipe(SAMPLES / sample / "recipe.toml")
    if isinstance(recipe, Recipe):
        assert recipe.row_input().name == recipe.input.name


def reserve(table: dict[str, Any], unknown: str = "unknown", **changes: Any) -> None:
    table["personalization"] = {"kinds": {"pancakes": "user0"}}
    table["knn"]["default_label"] = unknown
    table["reserved_labels"] = {"count": 2, **changes}


WRONG: list[tuple[Change, str]] = [
    (
        lambda t: t["update"].update(learning_rat=1),
        "unknown field `update.learning_rat`; did you mean `learning_rate`?",
    ),
    (
        lambda t: t.update(layouts=["split", "split:16"]),
        "layouts is ['split', 'split:16'], expected each layout once;",
    ),
    (lambda t: t.update(replay={"per_class": 0}), "replay.per_class is 0"),
    (lambda t: (t.update(replay={"per_class": 8}), t.pop("personalization")), "replay needs [personalization]"),
    (
        lambda t: (t.update(replay={"per_class": 8}), t["personalization"].update(paired_with="fast-food")),
        "replay and personalization.paired_with both",
    ),
    (lambda t: t.update(layouts=["folder"]), "layouts.0 is 'folder': string should match pattern"),
    (lambda t: t.update(knnn={}), "unknown field `knnn`; did you mean `knn`?"),
    (
        lambda t: t["knn"].update(zzz=1),
        "unknown field `knn.zzz`; the fields are default_label, index,",
    ),
    (
        lambda t: t["update"]["epochs"].update(defaul=1),
        "unknown field `update.epochs.defaul`; did you mean `default`?",
    ),
    (lambda t: t["update"]["epochs"].update(default=1000), "update.epochs default 1000 is outside its range [1, 100]"),
    (lambda t: t["update"]["epochs"].update(range=[9, 2]), "update.epochs range [9, 2] is"),
    (
        lambda t: t["update"].update(mini_batch_size={"default": 3, "allowed": [1, 2]}),
        "default 3 is not in the set [1, 2]",
    ),
    (
        lambda t: t["update"].update(mini_batch_size={"default": 1, "allowed": [1], "range": [1, 2]}),
        "update.mini_batch_size has both range and allowed",
    ),
    (lambda t: t["update"].update(epochs=0), "update.epochs allows 0, expected integers of 1 or more"),
    (lambda t: t["update"].update(epochs="x"), "update.epochs is 'x', expected a number or { default"),
    (lambda t: t["update"].update(epochs=1.5), "update.epochs.default is 1.5"),
    (lambda t: t["update"].update(learning_rate=0.0), "update.learning_rate allows 0.0, expected numbers above 0"),
    (lambda t: t["update"].update(learning_rate=float("nan")), "update.learning_rate.default is nan"),
    (lambda t: t["update"].update(momentum=1.5), "update.momentum allows 1.5, expected numbers from 0 to 1"),
    (lambda t: t["update"].update(optimizer="sdg"), "update.optimizer is 'sdg', expected 'sgd' or 'adam'"),
    (lambda t: t["input"].update(width="128"), "input.width is '128'"),
    (lambda t: t["input"].update(width=True), "input.width is True"),
    (lambda t: t.update(input=3), "input is 3, expected a table; write it as [input]"),
    (lambda t: t.pop("input"), "input is missing; add it"),
    (lambda t: t["input"].update(type="sound"), "input.type is 'sound', expected 'image' or 'float32'; correct it"),
    (lambda t: t.update(input={"type": "float32"}), "input.shape is missing; add it"),
    (lambda t: t.update(input=array(shape=[])), "input.shape is [], expected at least 1 entries"),
    (lambda t: t.update(input=array(shape=[0, 2])), "input.shape.0 is 0, expected at least 1"),
    (lambda t: t.update(input=array(shape=[10_000, 2000])), "input has the shape [10000, 2000], expected at most"),
    (lambda t: t.update(input=array(noun="Two words")), "input.noun is 'Two words', expected one lowercase"),
    (lambda t: t.update(input=array(shap=[1])), "unknown field `input.shap`; did you mean `shape`?"),
    (lambda t: t["data"].update(show="x"), "data.show is 'x', expected \"file.py:function\""),
    (
        lambda t: t["knn"].update(weighting="inverse"),
        "knn.weighting is 'inverse', expected 'uniform' or 'inverse-distance'",
    ),
    (lambda t: t["knn"].update(default_label="healthy"), "knn.default_label is 'healthy', which is already a label"),
    (lambda t: t.update(name="a/b"), "name is 'a/b'"),
    (
        lambda t: t.update(labels=["healthy", "healthy"]),
        "labels holds ['healthy', 'healthy'], expected each label once",
    ),
    (lambda t: t["labels"].append("other"), "label 'other' has no data"),
    (lambda t: t["data"]["kinds"].update(soup="healthi"), "data.kinds.soup is 'healthi', expected one of the labels"),
    (lambda t: t["data"].update(load="digits.py:load"), "data has both draw and load"),
    (lambda t: t["data"].update(drawn_kinds=[]), "data has draw but no drawn_kinds"),
    (lambda t: t["data"].update(drawn_kinds=["soup"]), "data drawn_kinds contains 'soup', which kinds does not map"),
    (lambda t: t["data"].update(draw="../x.sh"), "data.draw is '../x.sh'"),
    (
        lambda t: t["personalization"].update(kinds={"pancakes": "heathy"}),
        "personalization.kinds.pancakes is 'heathy', expected one of",
    ),
    (
        lambda t: t["personalization"].update(paired_with="healthy"),
        "personalization.paired_with is 'healthy', expected one of ['fast-food']; correct it",
    ),
    (
        lambda t: t["personalization"].update(kinds={"salad": "healthy"}),
        "personalization.kinds.salad is in data.kinds too",
    ),
    (
        lambda t: t["personalization"].update(new_label="healthy"),
        "personalization.new_label 'healthy' is already a label",
    ),
    (lambda t: t["personalization"].update(kinds={}), "personalization.kinds is {}"),
    (
        lambda t: t["personalization"].update(shots=[3, 1]),
        "personalization shots is [3, 1], expected increasing numbers",
    ),
    (lambda t: t["personalization"].update(pool=9), "personalization pool is 9, expected at least 10"),
    (lambda t: t["personalization"].update(kinds={"pancakes": "user0"}), "pancakes is 'user0', expected one of"),
    (lambda t: reserve(t, share=0.5), "reserved_labels.share is 0.5, expected at most 0.1"),
    (lambda t: reserve(t, count=0), "reserved_labels.count is 0, expected at least 1"),
    (lambda t: reserve(t, unknown="user1"), "the label 'user1' is a reserved one"),
    (lambda t: t.update(slots={"count": 2}), "slots has a new name; write [reserved_labels] with count and share"),
    (lambda t: t["personalization"].update(kind="salad"), "personalization.kind has a new name; write kinds ="),
    (lambda t: t["personalization"].update(photos=[1]), "personalization.photos has a new name; write shots"),
    (lambda t: t["update"].update(epochs=10**9), "update.epochs default 1000000000 is more than 10000"),
    (lambda t: t["update"].update(learning_rate=1e308), "update.learning_rate allows 1e+308, expected numbers from"),
    (lambda t: t["update"].update(learning_rate=1e-320), "update.learning_rate allows 1e-320, expected numbers from"),
    (lambda t: t["labels"].append("a\nb"), "labels.2 is 'a\\nb', expected text without line breaks"),
    (lambda t: t["labels"].append("\x1b[31m"), "labels.2 is '\\x1b[31m', expected text without line breaks"),
    (lambda t: t["labels"].append("  "), "labels.2 is '  ', expected text without line breaks"),
    (lambda t: t["data"]["kinds"].update({"a\x00": "healthy"}), "expected text without line breaks"),
    (lambda t: t["data"].update(folder="a\x00b"), "data.folder is 'a\\x00b', expected text without line breaks"),
    (lambda t: t["outputs"].update(label="image"), "input.name, outputs.label and outputs.probabilities are"),
]


@pytest.mark.parametrize(("change", "expected"), WRONG)
def test_a_mistake_is_one_sentence_with_its_place(change: Change, expected: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parsed(change)
    sentence = str(caught.value)
    assert sentence.startswith("recipe.toml: ")
    assert expected in sentence
    assert "\n" not in sentence


def test_an_array_in_the_place_of_a_picture() -> None:
    recipe = parsed(lambda t: t.update(input=array()))
    assert recipe.row_input() == ArrayInput("values", (2, 3), description="Numbers.")
    with pytest.raises(RecipeError, match="takes pictures, but the recipe's input 'values' is an array; omit"):
        with_backbone(recipe, "timm:resnet18", None)


def test_a_bare_number_is_a_default() -> None:
    assert parsed(lambda t: t["update"].update(epochs=7)).update.epochs.default == 7


def test_reserved_labels_follow_the_others() -> None:
    assert parsed(reserve).every_label() == (*parsed(lambda _: None).labels, "user0", "user1")


def test_adam_is_a_choice() -> None:
    update = {"optimizer": "adam", "learning_rate": 0.001, "mini_batch_size": 1, "epochs": 5}
    assert parsed(lambda t: t.update(update=update)).update.optimizer == "adam"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    section=st.sampled_from(["name", "labels", "input", "outputs", "source", "data", "update", "knn", "metadata"]),
    value=JSON,
)
def test_nothing_but_a_recipe_error_comes_out(section: str, value: object) -> None:
    with suppress(RecipeError):
        assert isinstance(parsed(lambda table: table.update({section: value})), Recipe)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"name = ", "not valid TOML"),
        (b"\xff\xfe", "not UTF-8 text"),
        (b"#" * 1_000_001, "larger than 1000000 bytes"),
        (b"a = " + b"[" * 100_000, "nests tables or lists deeper than 32"),
        (b"a = " + b"[" * 100 + b"]" * 100, "nests tables or lists deeper than 32"),
        (b"a = " + b"{b=" * 2000 + b"1" + b"}" * 2000, "nests tables or lists deeper than 32"),
        (b".".join([b"a"] * 50_000) + b" = 1", "nests tables or lists deeper than 32"),
        (b"[" + b" . ".join([b'"a"'] * 50_000) + b"]", "nests tables or lists deeper than 32"),
        (b"seed = " + b"9" * 5000, "does not fit in 64 bits"),
        (b"[update]\nseed = 0x" + b"f" * 17, "update.seed is an integer that does not fit in 64 bits"),
    ],
)
def test_a_file_that_is_no_recipe(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=expected):
        read_recipe(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")


def test_a_recipe_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    assert find_recipe("healthy_luncher", SAMPLES) == SAMPLES / "healthy_luncher" / "recipe.toml"
    own = tmp_path / "mine" / "recipe.toml"
    own.parent.mkdir()
    own.write_text("")
    assert find_recipe(str(own), SAMPLES) == own
    assert find_recipe(str(own.parent), SAMPLES) == own


def test_an_unknown_model_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"did you mean 'healthy_luncher'\?"):
        find_recipe("healthy_lunch", SAMPLES)
    with pytest.raises(RecipeError, match="there is no sample_models folder here"):
        find_recipe("x", tmp_path)


@pytest.mark.vision
def test_a_backbone_takes_the_place_of_the_samples_network(tmp_path: Path) -> None:
    recipe = read_recipe(SAMPLES / "healthy_luncher" / "recipe.toml")
    changed = with_backbone(recipe, "torchvision:mobilenet_v3_small", tmp_path / "w.pt")
    assert isinstance(changed.input, ImageSection)
    assert (changed.input.width, changed.input.height) == (224, 224)
    assert changed.source.options()["architecture"] == "torchvision:mobilenet_v3_small"
    assert changed.source.options()["weights"] == str(tmp_path / "w.pt")
    assert "factory" not in changed.source.options()
    assert with_backbone(recipe, None, None) is recipe
