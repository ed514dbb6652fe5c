"""What `make test-docs` would run: every block that shows commands is seen, and what is left out has a reason."""

from pathlib import Path

import pytest

from tests.documents import BLOCK, ROOT, Step, said, steps


@pytest.fixture(scope="module")
def all_steps() -> list[Step]:
    return list(steps(ROOT))


def test_every_line_that_shows_a_command_is_a_step(all_steps: list[Step]) -> None:
    """Counted another way: lines inside fences that begin with one of our commands."""
    shown = 0
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"):
        inside = False
        for line in path.read_text(encoding="utf-8").splitlines():
            inside = not inside if line.startswith("```") else inside
            shown += inside and line.removeprefix("$ ").startswith(("make ", "coreml-updatable ", ".venv/bin/"))
    complaints = 2  # lines that begin so and are answers
    steps_shown = [step for step in all_steps if not step.where.startswith("sample_models") and not step.python]
    assert shown - complaints <= len(steps_shown)
    assert len(steps_shown) > 40


def test_what_is_left_out_says_why(all_steps: list[Step]) -> None:
    left_out = [step for step in all_steps if step.reason]
    assert all(len(item.reason) > 5 for item in left_out)
    assert len(left_out) < len(all_steps) / 2
    assert any(step.text.startswith("make updatable MODEL=segmenter") and not step.reason for step in all_steps)
    assert [step.text.split()[1] for step in all_steps if step.reason == ".ci/run does"].count("test") == 2


def test_a_refusal_that_is_shown_is_expected(all_steps: list[Step]) -> None:
    assert [step.text.split()[-1] for step in all_steps if step.fails] == ["fc3"]


def test_how_a_block_is_told_apart() -> None:
    text = "<!-- run\nfirst: a\nfirst: b\nnot: x y: z\n-->\n```\nmake one\n```\n\n```python\nprint(1)\n```\n"
    one, two = BLOCK.finditer(text)
    assert said(one["said"] or "") == (["a", "b"], {"x y": "z"})
    assert (one["text"], two["kind"], two["said"]) == ("make one\n", "python", None)
    with pytest.raises(SystemExit, match="expected `first: COMMAND`"):
        said("nonsense")


def test_a_comment_that_leaves_out_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "run").write_text("part make test\n")
    (tmp_path / "README.md").write_text("<!-- run\nnot: gone: it went\n-->\n```\nmake test\nmake more\n```\n")
    with pytest.raises(SystemExit, match="no command has 'gone'"):
        list(steps(tmp_path))
    (tmp_path / "README.md").write_text("```\nmake test\nmake more\n```\n")
    assert [(step.text, step.reason) for step in steps(tmp_path)] == [("make test", ".ci/run does"), ("make more", "")]
