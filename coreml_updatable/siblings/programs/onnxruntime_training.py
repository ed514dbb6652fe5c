"""ONNX Runtime's training artifacts of an ONNX model, and training on them through its own Python API."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnxruntime.training import artifacts, onnxblock
from onnxruntime.training.api import CheckpointState, Module, Optimizer

ADAM_MODES = {"outside": 0, "scaled": 1}  # where epsilon stands: beside the corrected root, or beside the plain one


class Loss(onnxblock.Block):  # type: ignore[misc]  # its library is untyped
    """Of the first output alone: cross entropy of logits, or the mean squared error."""

    def __init__(self, scores: str, cross_entropy: bool) -> None:
        super().__init__()
        self._scores = scores
        self._loss = onnxblock.loss.CrossEntropyLoss() if cross_entropy else onnxblock.loss.MSELoss()

    def build(self, *_outputs: str) -> str:
        return str(self._loss(self._scores))


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Make artifacts of ``model``, if it is given, in ``folder``; train on ``rows`` there."""
    if "model" in request:
        make(request)
    train(request)
    return {"versions": {"onnxruntime-training": onnxruntime.__version__, "onnx": onnx.__version__}}


def make(request: dict[str, Any]) -> None:
    model, folder = onnx.load(request["model"]), Path(request["folder"])
    trained = list(request["trained"])
    fixed = [
        item.name
        for item in model.graph.initializer
        if item.name not in trained and item.data_type == onnx.TensorProto.FLOAT
    ]
    scores = model.graph.output[0].name
    outputs = [item.name for item in model.graph.output[1:]]
    adam = request["adam"]
    optimizer = (
        onnxblock.optim.SGD()
        if adam is None
        else onnxblock.optim.AdamW(
            bias_correction=True, betas=(adam["beta1"], adam["beta2"]), eps=adam["eps"], weight_decay=0.0
        )
    )
    artifacts.generate_artifacts(
        model,
        requires_grad=trained,
        frozen_params=fixed,
        loss=Loss(scores, request["cross_entropy"]),
        optimizer=optimizer,
        artifact_directory=folder,
        additional_output_names=outputs,
    )
    if adam is not None:
        _with_mode(folder / "optimizer_model.onnx", ADAM_MODES[adam["eps_stands"]])


def _with_mode(path: Path, mode: int) -> None:
    """The generator writes mode 1 (epsilon beside the root that is not corrected); the kernels know both."""
    model = onnx.load(path)
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "AdamWOptimizer" and attribute.name == "adam_mode":
                attribute.i = mode
    onnx.save(model, path)


def train(request: dict[str, Any]) -> None:
    """Reads .npz ``rows``: inputs as ``input.NAME``, ``targets``, ``order`` and ``ends`` (the rows of the mini-batches,
    and where each ends). Writes .npz ``trained_rows``: weights by name, ``losses``, outputs as ``answer.NAME``."""
    folder = Path(request["folder"])
    with np.load(request["rows"], allow_pickle=False) as held:
        rows = {name: held[name] for name in held.files}
    inputs = [rows[f"input.{name}"] for name in request["inputs"]]
    targets, order, ends = rows["targets"], rows["order"], rows["ends"]
    state = CheckpointState.load_checkpoint(folder / "checkpoint")
    module = Module(folder / "training_model.onnx", state, folder / "eval_model.onnx")
    optimizer = Optimizer(folder / "optimizer_model.onnx", module)
    optimizer.set_learning_rate(request["learning_rate"])
    losses = []
    module.train()
    start = 0
    for end in ends:
        batch = order[start:end]
        output = module(*(values[batch] for values in inputs), targets[batch])
        losses.append(float(np.asarray(output[0] if isinstance(output, tuple) else output)))
        optimizer.step()
        module.lazy_reset_grad()
        start = end
    trained = {name: np.asarray(state.parameters[name].data) for name in request["trained"]}
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "inference_model.onnx"
        module.export_model_for_inferencing(path, list(request["outputs"]))
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        found = session.run(list(request["outputs"]), dict(zip(request["inputs"], inputs)))  # noqa: B905 - of one length
    result: dict[str, Any] = {f"answer.{name}": value for name, value in zip(request["outputs"], found)}  # noqa: B905
    result |= {"losses": np.array(losses), **trained}
    np.savez(request["trained_rows"], **result)
