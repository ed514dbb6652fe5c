"""``docs/rules.md``: every rule that a model is judged by, read from the code.

python -m coreml_updatable.checking.rules_page > docs/rules.md
"""

import sys
from collections.abc import Iterator

from coreml_updatable.checking import rules
from coreml_updatable.checking.problem import Rule

INTRODUCTION = """\
# Rules

What `coreml-updatable check` judges a model by: {all} rules. An *error* is what Apple's own validator of the format
rejects; a *warning* is what it lets pass and devices or apps suffer from. A problem names its rule by the id below,
which never changes. The rules of updating hold only for models that are updatable; the members of a pipeline are judged
one by one, each by the rules of its kind.

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
)


def page() -> str:
    """The whole page, Markdown: a table a group, one line a rule."""
    return INTRODUCTION.format(all=len(rules.RULES)) + "".join(
        "\n".join(("", f"## {title}", "| id | severity | rule |", "| --- | --- | --- |", *_rows(group), ""))
        for title, group in GROUPS
    )


def _rows(group: tuple[Rule, ...]) -> Iterator[str]:
    for rule in group:
        statement = rule.statement.replace("|", "\\|").replace("``", "`")
        yield f"| {rule.id} | {rule.severity} | {statement} |"


if __name__ == "__main__":
    sys.stdout.write(page())
