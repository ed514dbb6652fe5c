"""Training artifacts of ONNX Runtime 1.19.2, the last version with training on the device.

Its SGD has no momentum, and its only other optimizer is AdamW. With weight decay 0 that is Adam: bias correction as in
Kingma and Ba, and epsilon beside the corrected root (mode 0 of the operator) or beside the plain one (mode 1).
"""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from coreml_updatable.environments import Environment
from coreml_updatable.errors import ModelError
from coreml_updatable.siblings.graph import to_model
from coreml_updatable.siblings.learner import SiblingSource

ENGINE = Environment(
    library="ONNX Runtime for training",
    folder=".venv-ort",
    variable="ONNXRUNTIME_TRAINING_PYTHON",
    command="make ort",
    python="Python 3.10 to 3.12",
)
PROGRAM = Path(__file__).with_name("programs") / "onnxruntime_training.py"


def make(source: SiblingSource, folder: Path, rows: Path, trained: Path) -> Mapping[str, Any]:
    """Write the artifacts into ``folder``, train on them from ``rows`` to ``trained`` (.npz); notes for apps."""
    adam = _optimizer(source)
    model = to_model(source)
    with TemporaryDirectory(prefix="coreml_updatable.") as name:
        path = Path(name) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        making = {"model": str(path), "cross_entropy": source.loss.cross_entropy, "adam": adam}
        result = ENGINE.ask(PROGRAM, {**_training(source, folder, rows, trained), **making}, "onnxruntime")
    target = "labels" if source.loss.cross_entropy else "target"
    return {"target_input": target, "engine_optimizer": _stated(source), **result}


def train(source: SiblingSource, folder: Path, rows: Path, trained: Path) -> None:
    """Train on artifacts that are there."""
    ENGINE.ask(PROGRAM, _training(source, folder, rows, trained), "onnxruntime")


def _training(source: SiblingSource, folder: Path, rows: Path, trained: Path) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "rows": str(rows),
        "trained_rows": str(trained),
        "inputs": [value.name for value in source.inputs],
        "outputs": list(source.outputs),
        "trained": list(source.weights),
        "learning_rate": source.parameters["learningRate"],
    }


def _optimizer(source: SiblingSource) -> dict[str, Any] | None:
    """Adam's settings, None of SGD; ModelError for what ONNX Runtime does not have."""
    if source.optimizer == "sgdOptimizer":
        if source.parameters["momentum"]:
            raise ModelError(
                f"model: its SGD has the momentum {source.parameters['momentum']:g}, ONNX Runtime's (SGDOptimizerV2) "
                "has none; mark the model with momentum 0, or with Adam"
            )
        return None
    stands = source.assumptions.adam_eps
    if stands == "inside":
        raise ModelError(
            "siblings: ONNX Runtime's AdamW adds epsilon to the root, not inside it; leave the assumption adam_eps at "
            "'outside' or 'scaled'"
        )
    return {key: source.parameters[key] for key in ("beta1", "beta2", "eps")} | {"eps_stands": stands}


def _stated(source: SiblingSource) -> dict[str, Any]:
    """How the engine's optimizer stands to the model's."""
    if source.optimizer == "sgdOptimizer":
        return {"operator": "SGDOptimizerV2", "momentum": "none: the operator has none, and the model's default is 0"}
    scaled = source.assumptions.adam_eps == "scaled"
    return {
        "operator": "AdamWOptimizer",
        "weight_decay": 0.0,
        "epsilon": f"{source.parameters['eps']:g}, as in the model; the generator's own default is 1e-06",
        "epsilon_stands": "beside the root that is not corrected"
        if scaled
        else "beside the corrected root, as assumed of Core ML",
        "bias_correction": "as in Kingma and Ba, 2015",
    }
