"""Rules that write torch operations as ONNX nodes, by the name in torch's schema.

A rule gets the writer, the recorded node, and its arguments with names or constants instead of tensors; it returns the
name of its output. All shapes are those of the node; axes may be negative.
"""

from coreml_updatable.runtime.engine.operators import indexing, pointwise, shapes, sums, windows
from coreml_updatable.runtime.engine.operators._rules import RULES

__all__ = ["RULES", "indexing", "pointwise", "shapes", "sums", "windows"]
