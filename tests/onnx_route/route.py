"""Run by Python 3.8 in an environment of its own: Core ML -> ONNX (onnxmltools) -> answers (ONNX Runtime).

`route.py FOLDER`: for every NAME.mlmodel and NAME.npz (one row's inputs) there, writes NAME.answers.npz.
"""

import sys
from pathlib import Path
from typing import Any

import coremltools
import numpy as np
import onnxmltools
import onnxruntime


def answers(model: Path, given: Path) -> Any:
    """The network's outputs by name."""
    spec = coremltools.utils.load_spec(str(model))
    converted = onnxmltools.convert_coreml(spec, target_opset=11)
    session = onnxruntime.InferenceSession(converted.SerializeToString(), providers=["CPUExecutionProvider"])
    values = np.load(str(given))
    row = {}
    for wanted in session.get_inputs():
        shape = [size if isinstance(size, int) else 1 for size in wanted.shape]
        row[wanted.name] = values[wanted.name].reshape(shape)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, row)))  # noqa: B905 (Python 3.8)


for model in sorted(Path(sys.argv[1]).glob("*.mlmodel")):
    np.savez(str(model.with_suffix(".answers.npz")), **answers(model, model.with_suffix(".npz")))
