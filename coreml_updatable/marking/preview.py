"""What makes Xcode's Preview tab show a model's answers as they are meant, for example as coloured masks.

Two lines of the model's own metadata (coremltools' guide, "Xcode Model Preview Types"):

    com.apple.coreml.model.preview.type      "imageSegmenter"
    com.apple.coreml.model.preview.params    {"labels": ["background", ...], "colors": ["#000000", ...]}
"""

import json
from collections.abc import Sequence

from coreml_updatable.spec.messages import Model, Model_pb2

TYPE_KEY, PARAMETERS_KEY = "com.apple.coreml.model.preview.type", "com.apple.coreml.model.preview.params"


def with_preview(model: Model, kind: str, labels: Sequence[str], colors: Sequence[str]) -> Model:
    """``model`` with both lines; ``colors`` are hexadecimal, one a label."""
    made = Model_pb2.Model()
    made.CopyFrom(model)
    defined = made.description.metadata.userDefined
    defined[TYPE_KEY] = kind
    defined[PARAMETERS_KEY] = json.dumps({"labels": list(labels), "colors": list(colors)}, ensure_ascii=False)
    return made
