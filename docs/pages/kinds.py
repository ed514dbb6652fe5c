"""Write ``docs/models.md`` from the code: every model type of the format, and whether it runs.

python -m docs.pages.kinds > docs/models.md
"""

import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

from coreml_updatable.runtime.pipeline import APPLES_OWN
from coreml_updatable.runtime.steps import KINDS as STEP_KINDS
from coreml_updatable.spec.messages import Model_pb2
from coreml_updatable.spec.network import NETWORK_KINDS, PIPELINE_KINDS
from docs.pages.layers import words_on

INTRODUCTION = """\
# Model types

This page is for people who want to know whether the runtime supports a type of model. It lists every type of `Model`
in the Core ML format, with the file in `coreml_updatable/runtime/` that runs it, alone or in a pipeline. The docstring
of that file has formulas, defaults, and what the format leaves undefined. {ran} of {all} types run. Only networks,
k-nearest-neighbors classifiers and pipelines that end in one of them can be updated.

This page is generated: run `python -m docs.pages.kinds > docs/models.md` instead of editing it.

| kind | message | file | state | what it computes |
| --- | --- | --- | --- | --- |
"""
FILES = {
    **dict.fromkeys(NETWORK_KINDS, "network"),
    **dict.fromkeys(PIPELINE_KINDS, "pipeline"),
    "kNearestNeighborsClassifier": "neighbors/classifier",
    **{kind: f"steps/{name.partition('.')[0]}" for kind, name in STEP_KINDS.items()},
}
REFUSED = {
    "customModel": "Its code is in an app, not in the model.",
    "mlProgram": "No device can update one; convert with `convert_to='neuralnetwork'`.",
    **dict.fromkeys(APPLES_OWN, "Its weights are part of Apple's systems, so it runs only there."),
}


def page() -> str:
    """Return the page as Markdown: one line per kind, in the order of the format."""
    rows = list(_rows())
    return INTRODUCTION.format(ran=len(FILES), all=len(rows)) + "".join(f"{row}\n" for row in rows)


def _rows() -> Iterator[str]:
    for field in Model_pb2.Model.DESCRIPTOR.oneofs_by_name["Type"].fields:
        kind, message = field.name, field.message_type.name
        if kind in FILES:
            path, state = FILES[kind], "runs"
            module = import_module(f"coreml_updatable.runtime.{path.replace('/', '.')}")
            words = words_on(kind, module) if kind in STEP_KINDS else first_words(module)
            file = f"[{path.split('/')[-1]}.py](../coreml_updatable/runtime/{path}.py)"
        else:
            file, state, words = "", "refused", REFUSED.get(kind, "It cannot be run yet.")
        yield f"| {kind} | `{message}` | {file} | {state} | {words} |"


def first_words(module: ModuleType) -> str:
    """Return the first paragraph of a module's docstring, as one line of a Markdown table."""
    first = " ".join((module.__doc__ or "").split("\n\n")[0].split())
    return first.replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
