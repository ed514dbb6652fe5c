"""A training session of ONNX Runtime, for `onnxruntime_peer` and `onnxruntime_owners` and their own interpreter."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
from onnxruntime import SessionOptions, set_default_logger_severity
from onnxruntime.training import artifacts
from onnxruntime.training.api import CheckpointState, Module, Optimizer


@contextmanager
def session(model: onnx.ModelProto, trained: list[str], rate: float, threads: int) -> Iterator[tuple[Any, Any, Any]]:
    """Yield weights, network and optimizer: SGD on the cross entropy of the logits, of the weights ``trained``."""
    set_default_logger_severity(4)  # it tells of every rewriting
    with tempfile.TemporaryDirectory() as name:
        artifacts.generate_artifacts(
            model,
            requires_grad=trained,
            frozen_params=[item.name for item in model.graph.initializer if item.name not in trained],
            loss=artifacts.LossType.CrossEntropyLoss,
            optimizer=artifacts.OptimType.SGD,
            artifact_directory=name,
        )
        options = SessionOptions()
        options.intra_op_num_threads = threads
        folder = Path(name)
        state = CheckpointState.load_checkpoint(str(folder / "checkpoint"))
        network, judge = (str(folder / f"{part}_model.onnx") for part in ("training", "eval"))
        module = Module(network, state, judge, session_options=options)
        optimizer = Optimizer(str(folder / "optimizer_model.onnx"), module)
        optimizer.set_learning_rate(rate)
        module.train()
        yield state, module, optimizer
