"""``docs/field-cases.md``: the public threads that were tried, read from the tests that try them.

python tests/field_cases.py > docs/field-cases.md

A test names its thread with a marker, and the marker is the one source of the page::

    @pytest.mark.field_case("apple/coremltools#1714", "softmax at rank 3 works along the last axis", "works")
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

TESTS = Path(__file__).parent
STATES = {
    "works": "does what the thread asked for",
    "refused": "cannot be done with Core ML, and is refused with the reason and what helps",
    "warned": "accepted, with a warning from `check`",
    "open": "cannot be settled without one of Apple's devices",
}
THREAD = re.compile(r"[\w.-]+/[\w.-]+#\d+")

INTRODUCTION = """\
# Field cases

Public threads in which people met a problem with models that learn on a device, and what happens here when somebody
brings the same case: {count} threads of {repositories} repositories. Each row is read from the test that tries it; the
state says what a user sees now. A thread with several cases has a row for each.

| state | rows | what it means |
| --- | --- | --- |
{states}
Written by `python tests/field_cases.py > docs/field-cases.md`; a test keeps the page and the tests together.
"""
TABLE = """
## {repository}

| thread | case | state | test |
| --- | --- | --- | --- |
"""


@dataclass(frozen=True, order=True)
class FieldCase:
    """One thread as one test tries it; ``test`` is the file's path below ``tests/``."""

    repository: str
    number: int
    line: str
    state: str
    test: str


def field_cases(tests: Path = TESTS) -> list[FieldCase]:
    """Return every marked case in order of repository and number.

    Raises ValueError for a marker whose arguments are not three literal strings, whose thread is not ``owner/name#1``
    or whose state is unknown.
    """
    return sorted(case for path in sorted(tests.rglob("test_*.py")) for case in _cases_of(path, tests))


def _cases_of(path: Path, tests: Path) -> Iterator[FieldCase]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "field_case":
            place = f"{path.relative_to(tests).as_posix()}:{node.lineno}"
            values = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            if len(values) != 3 or len(node.args) != 3 or not all(isinstance(value, str) for value in values):
                raise ValueError(f"{place}: field_case takes three literal strings: thread, case and state")
            thread, line, state = (str(value) for value in values)
            if not THREAD.fullmatch(thread) or state not in STATES:
                raise ValueError(f"{place}: expected owner/name#number and one of {', '.join(STATES)}")
            repository, number = thread.split("#")
            yield FieldCase(repository, int(number), line, state, path.relative_to(tests).as_posix())


def page(cases: list[FieldCase]) -> str:
    """Return the page in Markdown: a table for each repository, the one with most threads first.

    A row is one thread and case; the tests of one row stand together.
    """
    rows = [list(group) for _, group in groupby(cases, lambda case: (case.repository, case.number, case.line))]
    states = Counter(case.state for row in rows for case in row[:1])
    summary = "".join(f"| *{name}* | {states[name]} | {meaning} |\n" for name, meaning in STATES.items())
    threads = Counter(repository for repository, _ in {(case.repository, case.number) for case in cases})
    introduction = INTRODUCTION.format(count=threads.total(), repositories=len(threads), states=summary)
    tables = (
        TABLE.format(repository=name) + "".join(_row(row) for row in rows if row[0].repository == name)
        for name, _ in sorted(threads.items(), key=lambda item: (-item[1], item[0].lower()))
    )
    return introduction + "".join(tables)


def _row(cases: list[FieldCase]) -> str:
    first = cases[0]
    link = f"[#{first.number}](https://github.com/{first.repository}/issues/{first.number})"
    states = ", ".join(dict.fromkeys(case.state for case in cases))
    tests = ", ".join(f"`{test}`" for test in dict.fromkeys(case.test for case in cases))
    return f"| {link} | {first.line.replace('|', chr(92) + '|')} | {states} | {tests} |\n"


if __name__ == "__main__":
    sys.stdout.write(page(field_cases()))
