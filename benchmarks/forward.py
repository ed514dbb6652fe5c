"""Networks from rows to answers, against torch's frozen graph and ONNX Runtime on the source's own export.

All are warm: the model has met enough rows to have prepared its engine. The peers are given the same rows.
"""

import io
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.figure import Figure
from benchmarks.interleaved import interleaved, milliseconds, ratio
from benchmarks.networks import NETWORKS, Network
from coreml_updatable.runtime import load

REPEATS = 9
BATCHES = (1, 8, 32)
WARM = 256  # rows after which preparing has been worth it
jit: Any = torch.jit  # untyped


def figures() -> Iterator[Figure]:
    before = torch.get_num_threads()
    for make in NETWORKS:
        network = make()
        message = network.model()
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for batch in BATCHES:
                yield _figure(network, message, batch, threads)
    torch.set_num_threads(before)


def _figure(network: Network, message: Any, batch: int, threads: int) -> Figure:
    values, rows = network.values(batch), network.rows(batch)
    model = load(message)
    with torch.no_grad():
        for _ in range(max(4, WARM // batch)):
            model.predict(rows)
        functions: dict[str, Callable[[], Any]] = {"ours": lambda: model.predict(rows)}
        functions["frozen torch"] = _frozen(network, values)
        functions["ONNX Runtime"] = _onnxruntime(network, values, threads)
        times = interleaved(functions, REPEATS)
    peer = min(("frozen torch", "ONNX Runtime"), key=lambda name: np.median(times[name]))
    both = ", ".join(f"{milliseconds(times[name])} {name}" for name in functions if name != "ours")
    return Figure(
        f"{network.name}, batch {batch}, {threads} thread{'s' if threads > 1 else ''}",
        milliseconds(times["ours"]),
        f"{ratio(times['ours'], times[peer]):.2f} times {peer}; at most 1.15",
        both,
    )


def _frozen(network: Network, values: list[Any]) -> Callable[[], Any]:
    ready = network.as_tensor(values)
    traced = jit.trace(nn.Sequential(network.module, nn.Softmax(1)).eval(), ready)
    frozen = jit.optimize_for_inference(jit.freeze(traced.eval()))
    frozen(ready)
    return lambda: frozen(network.as_tensor(values))


def _onnxruntime(network: Network, values: list[Any], threads: int) -> Callable[[], Any]:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module: Any = nn.Sequential(network.module, nn.Softmax(1)).eval()
        export: Any = torch.onnx.export  # its types know paths only
        export(module, (network.as_tensor(values),), file, input_names=["rows"], dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the others need the processors, too
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"rows": network.as_tensor(values).numpy()})
