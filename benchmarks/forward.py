"""Networks from rows to answers, against torch's frozen graph and ONNX Runtime on the source's own export.

The model runs until its engine is prepared, which the cache of engines then keeps. The peers are given the same rows.
"""

import io
import os
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.figure import Figure, peers_in_words
from benchmarks.interleaved import interleaved, milliseconds, ratio
from benchmarks.networks import NETWORKS, Network
from coreml_updatable.runtime import load
from coreml_updatable.runtime.engine import fast

REPEATS = 15
BATCHES = (1, 8, 32)
WARMING = 6.0  # seconds, at most, until the engine is prepared
PEERS = ("frozen torch", "ONNX Runtime")
BOUND = 1.15
jit: Any = torch.jit  # untyped


def figures() -> Iterator[Figure]:
    before = torch.get_num_threads()
    try:
        for make in NETWORKS:
            network = make()
            message = network.model()
            for batch in BATCHES:
                content = exported(network, batch)
                for threads in (1, 2):
                    torch.set_num_threads(threads)
                    yield _figure(network, message, batch, threads, content)
    finally:
        torch.set_num_threads(before)


def _figure(network: Network, message: Any, batch: int, threads: int, content: bytes) -> Figure:
    values, rows = network.values(batch), network.rows(batch)
    model = load(message)
    with torch.no_grad():
        started = time.perf_counter()
        while model.engine != fast.installed() and time.perf_counter() - started < WARMING:
            model.predict(rows)
        functions: dict[str, Callable[[], Any]] = {"ours": partial(model.predict, rows)}
        functions["frozen torch"] = _frozen(network, values)
        session = session_of(content, threads)
        functions["ONNX Runtime"] = lambda: session.run(None, {"rows": network.as_tensor(values).numpy()})
        times = interleaved(functions, REPEATS, threads=threads)
    peer = min(PEERS, key=lambda name: np.median(times[name]))
    refused = getattr(model, "engine_refused", "")
    return Figure(
        f"{network.name}, batch {batch}, {threads} thread{'s' if threads > 1 else ''}",
        milliseconds(times["ours"]),
        f"{ratio(times['ours'], times[peer]):.2f} times {peer}; at most {BOUND}",
        peers_in_words(times),
        f"{model.engine} ({refused})" if refused else model.engine,
        times,
    )


def _frozen(network: Network, values: list[Any]) -> Callable[[], Any]:
    ready = network.as_tensor(values)
    traced = jit.trace(nn.Sequential(network.module, nn.Softmax(1)).eval(), ready)
    frozen = jit.optimize_for_inference(jit.freeze(traced.eval()))
    frozen(ready)
    return lambda: frozen(network.as_tensor(values))


def exported(network: Network, batch: int) -> bytes:
    """The network with a softmax as torch exports it to ONNX, for blocks of ``batch`` rows, called "rows"."""
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        module: Any = nn.Sequential(network.module, nn.Softmax(1)).eval()
        export: Any = torch.onnx.export  # its types know paths only
        export(module, (network.as_tensor(network.values(batch)),), file, input_names=["rows"], dynamo=False)
    return file.getvalue()


def session_of(content: bytes, threads: int) -> Any:
    """ONNX Runtime's own session, as it comes but for its waiting threads."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the others need the processors, too
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
