"""``docs/rules.md``: every rule that a model is judged by, read from the code.

python -m coreml_updatable.checking.rules_page > docs/rules.md
"""

import sys
from collections.abc import Iterator

from coreml_updatable.checking import rules
from coreml_updatable.checking.numbered import FACTS
from coreml_updatable.checking.problem import Rule

INTRODUCTION = """\
# Rules

What `coreml-updatable check` judges a model by: {all} rules. An *error* is what Apple's own validator of the format
rejects; a *warning* is what it lets pass and devices or apps suffer from. A problem names its rule by the id below,
which never changes. The rules of updating hold only for models that are updatable; the members of a pipeline are judged
one by one, each by the rules of its kind. A thread is where people met what the rule spares; `#123` is of coremltools.

Written by `python -m coreml_updatable.checking.rules_page > docs/rules.md`; a test holds page and code together.
"""
GROUPS: tuple[tuple[str, tuple[Rule, ...]], ...] = (
    ("Every model", rules.MODEL),
    ("Every neural network", rules.NETWORK),
    ("Network classifiers", rules.CLASSIFIER),
    ("Network regressors", rules.REGRESSOR),
    ("Updatable networks", rules.UPDATABLE_NETWORK),
    ("Nearest neighbours", rules.NEAREST_NEIGHBORS),
    ("Pipelines", rules.PIPELINE),
    ("Models of other kinds", rules.OTHER),
)


FACTS_TITLE = """
## What Apple's validator does, and which rules answer for it
Found by reading it and by trying models on it, in the numbering that the ids are made of. *Rejects*: such a model is
refused; *warns* and *passes*: it is accepted, although the sentence does not hold; *-*: the sentence only explains.

| number | sentence | otherwise Apple | rules |
| --- | --- | --- | --- |
"""


def page() -> str:
    """The whole page, Markdown: a table a group, one line a rule, and one of the numbered facts."""
    tables = "".join(
        "\n".join(
            ("", f"## {title}", "| id | severity | rule | remedy | thread |", "| --- " * 5 + "|", *_rows(group), "")
        )
        for title, group in GROUPS
    )
    return INTRODUCTION.format(all=len(rules.RULES)) + tables + FACTS_TITLE + "".join(_facts())


def _rows(group: tuple[Rule, ...]) -> Iterator[str]:
    for rule in group:
        statement = rule.statement.replace("|", "\\|").replace("``", "`")
        yield f"| {rule.id} | {rule.severity} | {statement} | {rule.remedy} | {_link(rule.thread)} |"


def _link(thread: str | None) -> str:
    """``apple/coremltools#1705`` as a Markdown link."""
    if thread is None:
        return ""
    repository, number = thread.split("#")
    shown = f"#{number}" if repository == "apple/coremltools" else thread
    return f"[{shown}](https://github.com/{repository}/issues/{number})"


def _facts() -> Iterator[str]:
    for fact in FACTS:
        yield f"| {fact.number} | {fact.text} | {fact.apple} | {', '.join(fact.rules) or f'none: {fact.why}'} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
