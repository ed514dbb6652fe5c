"""A plugin of pytest, `-p tests.without_engine`: ONNX Runtime cannot be found, as without the extra ``fast``."""

import sys

sys.modules["onnxruntime"] = None  # type: ignore[assignment]  # importlib's own way to say that a module is not there
