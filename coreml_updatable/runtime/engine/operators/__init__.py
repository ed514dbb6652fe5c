"""Torch's operations in ONNX's words: a rule for each, by the name in torch's own schema.

A rule gets the writer, the recorded node, and its arguments with names or constants in the place of tensors; it answers
the name of what it wrote. All shapes are those of the node; axes may be negative.
"""

from coreml_updatable.runtime.engine.operators import indexing, pointwise, shapes, sums, windows
from coreml_updatable.runtime.engine.operators._rules import RULES

__all__ = ["RULES", "indexing", "pointwise", "shapes", "sums", "windows"]
