"""The Python that has ONNX Runtime with training, which cannot stand beside plain onnxruntime."""

import sys

from coreml_updatable.errors import BuildError
from coreml_updatable.siblings.onnxruntime_training import ENGINE


def interpreter(named: str | None, benchmark: str) -> str | None:
    """``named``, or what `make ort` set up; without any, None, and a sentence on how to have it."""
    if named is not None:
        return named
    try:
        return str(ENGINE.interpreter())
    except BuildError as error:
        sys.stderr.write(f"{benchmark}: no ONNX Runtime training beside it: {error}\n")
        return None
