"""Text from outside, made visible: by Unicode's categories, Python's literals, json and a reader of Markdown."""

import ast
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from coreml_updatable.errors import ModelError
from coreml_updatable.text import MAX_LINE, json_text, on_page, sentence, visible
from docs.pages.samples import markdown, markdown_code
from tests.cli.hostile_text import HOSTILE, expect_safe

ANY = st.text(st.characters(), max_size=60) | st.sampled_from([name for name in HOSTILE.values() if len(name) < 5000])


@given(ANY)
def test_what_is_visible_is_one_safe_line(text: str) -> None:
    shown = visible(text)
    assert "\n" not in shown
    expect_safe(sentence(text))
    assert visible(shown) == shown
    if len(text) <= 60 and "\\" not in text and "'" not in text:
        assert ast.literal_eval(f"'{shown}'") == text  # nothing is lost: the escapes are Python's


@pytest.mark.parametrize(
    "text",
    ["salad", "crème brûlée", "日本語", "русский", "سلطة", "हिन्दी", "ภาษาไทย", "Tiếng Việt", "👍❤️", "a's 'b' \\ c"],
)
def test_names_in_any_language_stay_as_they_are(text: str) -> None:
    assert visible(text) == text
    assert sentence(text) == text


@given(ANY, st.booleans())
def test_json_gives_the_same_strings_back(text: str, ascii_only: bool) -> None:
    value = {text: [text, {"a": text}]}
    written = json_text(value, indent=1, ascii_only=ascii_only)
    assert json.loads(written) == value
    assert all(line.isprintable() for line in written.split("\n"))
    assert not ascii_only or written.isascii()
    assert not set(written) & set("\u3164\u115f\u034f\ufe00\U000e0100")


def test_json_of_numbers_that_json_lacks() -> None:
    with pytest.raises(ValueError):
        json_text(float("nan"))


@pytest.mark.parametrize("name", ["n" * 3_000_000, "a b " * 750_000, "\x1b" * 3_000_000, "' " * 1_500_000])
def test_a_long_name_leaves_place_and_advice(name: str) -> None:
    text = sentence(f"model.mlmodel: layers[3] '{name}': has 9 channels, expected 4; check the layer before it")
    assert len(text) <= MAX_LINE
    assert text.startswith("model.mlmodel: layers[3] '")
    assert text.endswith("expected 4; check the layer before it")
    assert len(str(ModelError(name))) <= MAX_LINE


def test_sentences_of_our_own_are_not_cut() -> None:
    ours = "the layer's weights " + "and biases " * 100 + "are the model's"
    assert sentence(ours) == ours


@given(ANY)
def test_a_cell_of_markdown_holds_the_name_alone(text: str) -> None:
    table = f"| a | b | c |\n| --- | --- | --- |\n| {markdown(text)} | {markdown_code(text)} | end |\n"
    tokens = MarkdownIt("commonmark").enable("table").parse(table)
    cells = [token for token in tokens if token.type == "inline"]
    assert [cell.content for cell in cells][-1] == "end"
    assert len(cells) == 6
    plain, code = cells[3].children or [], cells[4].children or []
    assert {child.type for child in plain} <= {"text", "text_special"}
    assert [child.type for child in code if child.content] in (["code_inline"], [])
    assert "".join(child.content for child in plain).strip() == visible(text).strip()
    if code:
        assert code[0].content.strip() == visible(text).strip()


def test_pages_keep_lines_and_hard_blanks() -> None:
    assert on_page("a\nb\u00a0c\x1b") == "a\nb\u00a0c\\x1b"
    assert on_page(3) == 3
