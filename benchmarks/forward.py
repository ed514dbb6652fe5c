"""MobileNetV2 from pictures to answers, against torch's own frozen and optimized graph fed with the same pictures.

Both are warm: the model has met enough rows to have optimized its graph.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from benchmarks.figure import Figure
from benchmarks.interleaved import interleaved, milliseconds, ratio
from benchmarks.mobilenet import as_tensor, converted, pictures, source
from coreml_updatable.runtime import load

REPEATS = 40
WARM = 240  # rows after which optimizing has been worth it
jit: Any = torch.jit  # untyped


def figures() -> Iterator[Figure]:
    network = source()
    message = converted(network)
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for batch in (1, 8):
            model = load(message)
            taken = pictures(batch)
            rows = [{"image": picture} for picture in taken]
            ready = as_tensor(taken)
            with torch.no_grad():
                traced = jit.trace(nn.Sequential(network, nn.Softmax(1)).eval(), ready)
                peer = jit.optimize_for_inference(jit.freeze(traced.eval()))
                peer(ready)
                for _ in range(WARM // batch):
                    model.predict(rows)
                functions = {
                    "ours": lambda: model.predict(rows),  # noqa: B023
                    "peer": lambda: peer(as_tensor(taken)),  # noqa: B023
                }
                times = interleaved(functions, REPEATS)
            yield Figure(
                f"MobileNetV2 forward, batch {batch}, {threads} thread(s)",
                milliseconds(times["ours"]),
                f"{ratio(times['ours'], times['peer']):.2f} times; not slower",
                f"{milliseconds(times['peer'])} frozen torch",
            )
    torch.set_num_threads(before)
