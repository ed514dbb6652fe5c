"""Swift to copy: it parses, whatever a model calls its features and labels."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coreml_updatable.publishing.catalogue.index import Entry, ModelFile
from coreml_updatable.publishing.catalogue.pages import store_swift
from coreml_updatable.publishing.catalogue.publish import publish
from coreml_updatable.publishing.swift import case_names, literal, update_snippet
from tests.publishing.catalogue.swift_grammar import faults

ROOT = Path(__file__).parents[3]


@pytest.fixture
def entry(make_build: Callable[..., Path], site: Path) -> Entry:
    return publish([make_build("Luncher")], site).index.models[0]


@pytest.fixture(params=[0, 1], ids=["network", "k-NN"])
def model(entry: Entry, request: pytest.FixtureRequest) -> ModelFile:
    chosen: ModelFile = entry.versions[0].models[request.param]
    return chosen


def test_the_grammar_finds_faults() -> None:
    assert faults("struct A { let a = 1 }") == []
    assert faults("struct A { let = }")


@pytest.mark.parametrize("public_key", [None, "q" * 43 + "="])
def test_it_parses(entry: Entry, model: ModelFile, public_key: str | None) -> None:
    source = store_swift(entry, model, "https://example.org/m/", public_key)
    assert faults(source) == []
    assert (".unsigned" in source) == (public_key is None)
    assert source.count("\n") <= 40


def test_it_has_the_models_own_names(entry: Entry, model: ModelFile) -> None:
    source = store_swift(entry, model, "", None)
    assert f"enum {model.file.removesuffix('.mlmodel')} {{" in source
    assert (", form: .neighbors" in source) == (model.role == "k-NN")
    cases = re.findall(r'case (\w+) = "(.*)"', source)
    assert cases == ([("fastFood", "fast-food"), ("healthy", "healthy")] if model.labels else [])


@pytest.mark.parametrize("odd", ['a"b', "a\\(1)b", "a\nb", "\u202e", "日本", "}", "'", "*/"])
def test_odd_names_stay_inside_their_strings(entry: Entry, odd: str) -> None:
    model = entry.versions[0].models[0]
    features = [value.model_copy(update={"name": odd}) for value in model.inputs]
    strange = model.model_copy(update={"inputs": tuple(features), "labels": (odd, "class", "a", "A")})
    assert faults(store_swift(entry, strange, "", None)) == []
    assert faults(update_snippet(odd, odd)) == []


def test_a_model_of_arrays(entry: Entry) -> None:
    model = entry.versions[0].models[0]
    features = (model.inputs[0].model_copy(update={"name": "poses", "type": "MultiArray (Float32 1 × 3 × 21)"}),)
    source = store_swift(entry, model.model_copy(update={"inputs": features}), "", None)
    assert faults(source) == []
    assert ".array(values, shape: [1, 3, 21])" in source
    snippet = update_snippet("poses", "label", array=True)
    assert faults(snippet) == []
    assert '"poses": MLFeatureValue(multiArray: value)' in snippet
    assert "photo" not in snippet


def test_a_model_without_photos_has_no_store(entry: Entry) -> None:
    model = entry.versions[0].models[0]
    assert store_swift(entry, model.model_copy(update={"update": None}), "", None) == ""
    assert store_swift(entry, model.model_copy(update={"inputs": ()}), "", None) == ""


@given(st.lists(st.text(max_size=12), max_size=6))
def test_cases_are_different_names(labels: list[str]) -> None:
    names = case_names(labels)
    assert len(set(names)) == len(labels) == len(names)
    assert all(re.fullmatch(r"[a-z][A-Za-z0-9]*", name) for name in names)


@given(st.text(max_size=20))
def test_a_literal_is_one_literal(text: str) -> None:
    written = literal(text)
    inner = written[1:-1]
    assert '"' not in re.sub(r"\\.", "", inner)
    assert inner.isprintable()
    back = re.sub(r"\\u\{([0-9a-f]+)\}|\\(.)", lambda m: chr(int(m[1], 16)) if m[1] else m[2], inner)
    assert back == text


@pytest.mark.parametrize("document", ["docs/catalogue.md", "sample_models/hand_pose/README.md"])
def test_the_swift_of_the_documents_parses(document: str) -> None:
    blocks = re.findall(r"```swift\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        assert faults(f"func f() async throws {{\n{block}}}\n") == []


def test_a_model_is_compiled_as_a_current_sdk_asks() -> None:
    """MLModel.compileModel(at:) is async since iOS 16's SDK; without await, an async function does not compile."""
    texts = []
    for pattern in ("docs/*.md", "README.md", "sample_models/*/README.md"):
        for path in ROOT.glob(pattern):
            texts += re.findall(r"```swift\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    texts += [path.read_text(encoding="utf-8") for path in (ROOT / "swift" / "Sources").rglob("*.swift")]
    calls = [line for text in texts for line in text.splitlines() if "MLModel.compileModel(at" in line]
    assert calls
    assert [line for line in calls if "try await MLModel.compileModel(at" not in line] == []
