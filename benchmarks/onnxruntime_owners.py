"""Updates of owner after owner by ONNX Runtime training, in an interpreter of its own.

Arguments: values of an embedding, classes, shots, epochs, rows of a mini-batch, owners. The session is built once, and
every owner begins at the same weights. It prints the processor seconds of all owners, with plain SGD.
"""

import sys
import time

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.onnxruntime_session import session


def main() -> None:
    size, classes, shots, epochs, batch, owners = (int(value) for value in sys.argv[1:7])
    random = np.random.default_rng(0)
    weights = (random.normal(size=(classes, size)) / 10).astype(np.float32)
    bias = np.zeros(classes, np.float32)
    vectors = (random.normal(size=(owners, shots, size)) / 36).astype(np.float32)
    targets = random.integers(0, classes, (owners, shots))
    with session(_head(weights, bias), ["weights", "bias"], rate=0.1, threads=1) as (state, module, optimizer):
        started = time.process_time()
        for owner in range(owners):
            state.parameters["weights"].data = weights
            state.parameters["bias"].data = bias
            for _ in range(epochs):
                order = random.permutation(shots)
                for start in range(0, shots, batch):
                    rows = order[start : start + batch]
                    module(vectors[owner, rows], targets[owner, rows])
                    optimizer.step()
                    module.lazy_reset_grad()
        print(time.process_time() - started)


def _head(weights: "np.ndarray", bias: "np.ndarray") -> onnx.ModelProto:
    """Logits [n, classes] of embeddings [n, values]."""
    classes, size = weights.shape
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "weights", "bias"], ["y"], transB=1)],
        "head",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", classes])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


if __name__ == "__main__":
    main()
