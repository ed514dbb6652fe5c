"""identity: the outputs are the inputs of the same names. ``Identity``."""

from collections.abc import Mapping, Sequence
from typing import Any

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.steps import Run
from coreml_updatable.spec.messages import Model


def build(model: Model) -> Run:
    inputs = [str(feature.name) for feature in model.description.input]
    outputs = [str(feature.name) for feature in model.description.output]
    # With one of each the names may differ.
    source = dict(zip(outputs, inputs, strict=True)) if len(inputs) == len(outputs) == 1 else {n: n for n in outputs}
    for name in source.values():
        if name not in inputs:
            raise ModelError(f"model: the identity gives '{name}', which is no input; name outputs as inputs")

    def run(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [{name: row[given] for name, given in source.items()} for row in rows]

    return run
