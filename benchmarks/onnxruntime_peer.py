"""ONNX Runtime training on a traced network's last layer, in an interpreter of its own.

Arguments: the traced network, photos, epochs, learning rate, threads. It says "ready", and then for each line on its
standard input runs all epochs once, from the same weights, and says "done".
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime import SessionOptions, set_default_logger_severity
from onnxruntime.training import artifacts
from onnxruntime.training.api import CheckpointState, Module, Optimizer


def main() -> None:
    set_default_logger_severity(4)  # it tells of every rewriting
    path = sys.argv[1]
    photos, epochs, threads = (int(sys.argv[at]) for at in (2, 3, 5))
    rate = float(sys.argv[4])
    network = torch.jit.load(path).eval()
    example = torch.rand(photos, 3, 224, 224)
    exported = path + ".onnx"
    # In evaluation mode the exporter folds the normalizations into the convolutions.
    torch.onnx.export(
        network, (example,), exported, input_names=["x"], output_names=["y"], opset_version=14, dynamo=False
    )
    model = onnx.load(exported)
    names = [weight.name for weight in model.graph.initializer]
    trained = [name for name in names if name.startswith("classifier.")]
    if len(trained) != 2:
        sys.exit(f"expected a weight and a bias of the last layer to train, found {trained}")
    with tempfile.TemporaryDirectory() as name:
        artifacts.generate_artifacts(
            model,
            requires_grad=trained,
            frozen_params=[other for other in names if other not in trained],
            loss=artifacts.LossType.CrossEntropyLoss,
            optimizer=artifacts.OptimType.SGD,
            artifact_directory=name,
        )
        folder = Path(name)
        options = SessionOptions()
        options.intra_op_num_threads = threads
        state = CheckpointState.load_checkpoint(str(folder / "checkpoint"))
        module = Module(
            str(folder / "training_model.onnx"), state, str(folder / "eval_model.onnx"), session_options=options
        )
        optimizer = Optimizer(str(folder / "optimizer_model.onnx"), module)
        optimizer.set_learning_rate(rate)
        begun = {weight: np.array(state.parameters[weight].data) for weight in trained}
        pictures, targets = example.numpy(), np.arange(photos, dtype=np.int64)
        module.train()
        print("ready", flush=True)
        for _ in sys.stdin:
            for weight, values in begun.items():
                state.parameters[weight].data = values
            for _ in range(epochs):
                module(pictures, targets)
                optimizer.step()
                module.lazy_reset_grad()
            print("done", flush=True)


if __name__ == "__main__":
    main()
