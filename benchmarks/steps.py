"""Training a small network: 480 rows, mini-batches of 32, an 18-64-32-1 regression, against a plain loop of torch.

Each run is a process of its own and counts processor seconds from the first row on, so that the costs of first use are
in both; torch itself is imported before. At last two whole processes train at the same time, each with all threads that
it may use, against one alone: threads that wait for each other would make that much more than twice as long.
"""

import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.figure import Figure
from coreml_updatable.threads import set_threads, usable

REPEATS = 3
ROWS, BATCH, RATE = 480, 32, 0.01
SIZES = (18, 64, 32, 1)


def figures() -> Iterator[Figure]:
    for epochs in (33, 500):
        seconds: dict[str, list[float]] = {"ours": [], "loop": []}
        for _ in range(REPEATS):
            for name, taken in seconds.items():
                result = subprocess.run(
                    [sys.executable, "-m", "benchmarks.steps", name, str(epochs), "1"],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                taken.append(float(result.stdout.split()[-1]))
        ours, loop = (statistics.median(taken) for taken in seconds.values())
        yield Figure(
            f"{epochs * ROWS // BATCH:,} updates of a network of {'-'.join(map(str, SIZES))}, 1 thread",
            f"{ours:.2f} s of processor",
            f"{ours / loop:.2f} times; at most 1.2",
            f"{loop:.2f} s torch loop",
        )
    alone, both = (statistics.median(_together(count) for _ in range(REPEATS)) for count in (1, 2))
    yield Figure(
        f"two trainings of {500 * ROWS // BATCH:,} updates side by side, {usable()} threads each",
        f"{both:.2f} s",
        f"{both / alone:.2f} times; at most 2",
        f"{alone:.2f} s one alone",
    )


def _together(count: int) -> float:
    """Wall seconds of ``count`` processes that train at the same time, their start included."""
    started = time.perf_counter()
    arguments = [sys.executable, "-m", "benchmarks.steps", "ours", "500", str(usable())]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(arguments, stdout=pipe, stderr=pipe, text=True) for _ in range(count)]
    for process in processes:
        _, said = process.communicate()
        if process.returncode != 0:
            raise SystemExit(said)
    return time.perf_counter() - started


def _main(name: str, epochs: int, threads: int) -> None:
    set_threads(threads)

    import numpy as np
    import torch
    from torch import nn

    random = np.random.default_rng(0)
    inputs = random.standard_normal((ROWS, SIZES[0])).astype(np.float32)
    targets = random.standard_normal((ROWS, 1)).astype(np.float32)
    layers = [nn.Linear(*pair) for pair in itertools.pairwise(SIZES)]
    if name == "ours":
        from coreml_updatable.runtime import load
        from coreml_updatable.updating import UpdateTask

        model = _model([(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in layers], epochs)
        rows = [{"x": value, "y_true": other} for value, other in zip(inputs, targets, strict=True)]
        started = time.process_time()
        UpdateTask(load(model), rows).resume()
    else:
        network = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
        started = time.process_time()
        optimizer = torch.optim.SGD(network.parameters(), RATE)
        x, y = torch.from_numpy(inputs), torch.from_numpy(targets)
        for _ in range(epochs):
            for rows_of_batch in torch.randperm(ROWS).split(BATCH):
                optimizer.zero_grad()
                loss = nn.functional.mse_loss(network(x[rows_of_batch]), y[rows_of_batch])
                loss.backward()
                optimizer.step()
                loss.item()
    print(time.process_time() - started)


def _model(weights: list[tuple[object, object]], epochs: int) -> object:
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder
    from coremltools.models.neural_network.update_optimizer_utils import SgdParams

    output = ("y", datatypes.Array(1))
    builder = NeuralNetworkBuilder([("x", datatypes.Array(SIZES[0]))], [output], disable_rank5_shape_mapping=True)
    names = []
    for index, (matrix, bias) in enumerate(weights):
        last = index == len(weights) - 1
        read, written = f"r{index}" if index else "x", "y" if last else f"z{index}"
        names.append(f"fc{index}")
        builder.add_inner_product(
            names[-1], matrix, bias, SIZES[index], SIZES[index + 1], has_bias=True, input_name=read, output_name=written
        )
        if not last:
            builder.add_activation(f"relu{index}", "RELU", written, f"r{index + 1}")
    builder.make_updatable(names)
    builder.set_mean_squared_error_loss("loss", output)
    builder.set_sgd_optimizer(SgdParams(lr=RATE, batch=BATCH, momentum=0))
    builder.set_epochs(epochs)
    return builder.spec


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
