"""ONNX Runtime training on a traced network's last layer, in an interpreter of its own.

Arguments: the traced network, photos, epochs, learning rate, threads. It says "ready", and then for each line on its
standard input runs all epochs once, from the same weights, and says "done".
"""

import sys

import numpy as np
import onnx
import torch

from benchmarks.onnxruntime_session import session


def main() -> None:
    path = sys.argv[1]
    photos, epochs, threads = (int(sys.argv[index]) for index in (2, 3, 5))
    rate = float(sys.argv[4])
    network = torch.jit.load(path).eval()
    example = torch.rand(photos, 3, 224, 224)
    exported = path + ".onnx"
    # In evaluation mode the exporter folds the normalizations into the convolutions.
    torch.onnx.export(
        network, (example,), exported, input_names=["x"], output_names=["y"], opset_version=14, dynamo=False
    )
    model = onnx.load(exported)
    trained = [weight.name for weight in model.graph.initializer if weight.name.startswith("classifier.")]
    if len(trained) != 2:
        sys.exit(f"expected a weight and a bias of the last layer to train, found {trained}")
    with session(model, trained, rate, threads) as (state, module, optimizer):
        begun = {weight: np.array(state.parameters[weight].data) for weight in trained}
        pictures, targets = example.numpy(), np.arange(photos, dtype=np.int64)
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
