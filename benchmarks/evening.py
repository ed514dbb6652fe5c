"""The owner's evening: 5 photos, 10 epochs, the last layer of MobileNetV2 (10 classes, mini-batches of 5, SGD).

From the file's message to the new model, loaded each time. Beside it: loading and one forward pass of the photos,
which any update needs; a loop of torch and ONNX Runtime training, which run the whole network at every step, as usual
loops do, and are warm.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from benchmarks.figure import Figure
from benchmarks.interleaved import interleaved, milliseconds, ratio
from benchmarks.mobilenet import SIZE, as_tensor, pictures, source, updatable
from benchmarks.training_peer import interpreter
from coreml_updatable.runtime import load
from coreml_updatable.updating import UpdateTask

PHOTOS, EPOCHS, RATE, REPEATS, CLASSES = 5, 10, 0.01, 9, 10
BOUNDS = {"loading and a forward pass": 1.3, "torch loop": 1.0, "ONNX Runtime training": 1.0}


def figures(onnxruntime_python: str | None) -> Iterator[Figure]:
    """``onnxruntime_python``: an interpreter that has onnxruntime-training-cpu; None: that of `make ort`."""
    python = interpreter(onnxruntime_python, "evening")
    network = source(CLASSES)
    labels = tuple(f"class {index}" for index in range(CLASSES))
    message = updatable(network, labels, epochs=EPOCHS, batch=PHOTOS, rate=RATE)
    taken = pictures(PHOTOS)
    rows = [{"image": picture, "label": labels[index]} for index, picture in enumerate(taken)]
    asked = [{"image": picture} for picture in taken]
    network.requires_grad_(False)
    _head(network).requires_grad_(True)
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        functions = {
            "ours": lambda: UpdateTask(load(message), rows).resume().model,
            "loading and a forward pass": lambda: load(message).predict(asked),
            "torch loop": lambda: _loop(network, as_tensor(taken)),
        }
        peer = None
        if python is not None:
            peer = _onnxruntime(python, network, threads)
            functions["ONNX Runtime training"] = lambda: _ask(peer)  # noqa: B023
        times = interleaved(functions, REPEATS, threads=threads, budget=20.0)
        if peer is not None:
            peer.communicate()
        for name in list(functions)[1:]:
            yield Figure(
                f"5 photos, 10 epochs, {threads} thread(s)",
                milliseconds(times["ours"]),
                f"{ratio(times['ours'], times[name]):.2f} times {name}; at most {BOUNDS[name]}",
                f"{milliseconds(times[name])} {name}",
                seconds={which: times[which] for which in ("ours", name)},
            )
    torch.set_num_threads(before)


def _head(network: nn.Module) -> nn.Module:
    """The last layer of torchvision's classifier."""
    return list(network.get_submodule("classifier").children())[-1]


def _loop(network: nn.Module, batch: torch.Tensor) -> None:
    optimizer = torch.optim.SGD(_head(network).parameters(), lr=RATE)
    targets = torch.arange(PHOTOS)
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(batch), targets).backward()
        optimizer.step()


def _onnxruntime(python: str, network: nn.Module, threads: int) -> subprocess.Popen[str]:
    """The peer's process, ready: it stands alone, for its libraries have pins of their own."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "network.pt"
        exported = torch.jit.trace(network, torch.rand(PHOTOS, 3, SIZE, SIZE))
        exported.save(path)
        settings = [str(value) for value in (PHOTOS, EPOCHS, RATE, threads)]
        process = subprocess.Popen(
            [python, "-m", "benchmarks.onnxruntime_peer", str(path), *settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        _expect(process, "ready")
    return process


def _ask(process: subprocess.Popen[str] | None) -> None:
    """One evening of the peer's."""
    assert process is not None
    assert process.stdin is not None
    process.stdin.write("again\n")
    process.stdin.flush()
    _expect(process, "done")


def _expect(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    sys.exit("onnxruntime_peer.py ended before it was asked to; its own words are above")
