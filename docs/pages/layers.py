"""Write ``docs/layers.md`` from the code: every layer kind of the format, and whether it runs.

python -m docs.pages.layers > docs/layers.md
"""

import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib import import_module
from types import ModuleType

from coreml_updatable.runtime.layers import KINDS
from coreml_updatable.spec.messages import NeuralNetwork_pb2

INTRODUCTION = """\
# Layer kinds

This page is for people who want to know whether the runtime supports a layer. It lists every kind of
`NeuralNetworkLayer` in the Core ML format, with the file in `coreml_updatable/runtime/layers/` that runs it and what
that file says about the kind: shapes, defaults, and what the format leaves undefined. {ran} of {all} kinds run.

This page is generated: run `python -m docs.pages.layers > docs/layers.md` instead of editing it.

| kind | message | file | state | what it computes |
| --- | --- | --- | --- | --- |
"""
REFUSED = {"custom": "Its code is in an app, not in the model; replace it with layers of the format."}


def page() -> str:
    """Return the page as Markdown: one line per kind, in the order of the format."""
    rows = list(_rows())
    return INTRODUCTION.format(ran=len(KINDS), all=len(rows)) + "".join(f"{row}\n" for row in rows)


def _rows() -> Iterator[str]:
    for field in NeuralNetwork_pb2.NeuralNetworkLayer.DESCRIPTOR.oneofs_by_name["layer"].fields:
        kind, message = field.name, field.message_type.name
        if kind in KINDS:
            name, state = KINDS[kind], "runs"
            words = words_on(kind, import_module(f"coreml_updatable.runtime.layers.{name}"))
        else:
            name, state = "", "refused"
            words = REFUSED.get(kind, "It cannot be run yet.")
        file = f"[{name}.py](../coreml_updatable/runtime/layers/{name}.py)" if name else ""
        yield f"| {kind} | `{message}` | {file} | {state} | {words} |"


def words_on(kind: str, module: ModuleType) -> str:
    """Return what the module's docstring says about a kind, as one line of a Markdown table.

    It is the paragraph that begins with the name of the kind, alone or in a list, or with a pattern, and a colon.
    """
    for paragraph in (module.__doc__ or "").split("\n\n"):
        names, colon, words = " ".join(paragraph.split()).partition(": ")
        if colon and any(fnmatchcase(kind, name) for name in names.split(", ")):
            return (
                (words[0].upper() + words[1:] if words[:2].isalpha() else words).replace("``", "`").replace("|", "\\|")
            )
    raise LookupError(f"{module.__name__}: no paragraph on {kind}")


if __name__ == "__main__":
    sys.stdout.write(page())
