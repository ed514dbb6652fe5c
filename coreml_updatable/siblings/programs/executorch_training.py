"""An ExecuTorch program that trains, of a graph that torch exported, and training it through its own Python API."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Make the program of ``graph``, if it is given; train it on ``rows``."""
    from importlib.metadata import version

    warnings.simplefilter("ignore")
    if "graph" in request:
        make(request)
    train(request)
    return {"versions": {"executorch": version("executorch"), "torch": torch.__version__}}


def make(request: dict[str, Any]) -> None:
    from executorch.exir import ExecutorchBackendConfig, to_edge
    from torch.export.experimental import _export_forward_backward

    joint = _export_forward_backward(torch.export.load(request["graph"]))
    config = ExecutorchBackendConfig(remove_view_copy=False)  # which fails on what a loop makes
    Path(request["program"]).write_bytes(to_edge(joint).to_executorch(config).buffer)


def train(request: dict[str, Any]) -> None:
    """Reads .npz ``rows``: inputs as ``input.NAME``, ``targets``, ``order`` and ``ends`` (the rows of the mini-batches,
    and where each ends). Writes .npz ``trained_rows``: weights by name, ``losses``, outputs as ``answer.NAME``."""
    from executorch.extension.training.pybindings import _training_lib, _training_module

    with np.load(request["rows"], allow_pickle=False) as held:
        rows = {name: held[name] for name in held.files}
    inputs = [torch.from_numpy(rows[f"input.{name}"]) for name in request["inputs"]]
    targets, method = torch.from_numpy(rows["targets"]), request["method"]
    module = _training_module._load_for_executorch_for_training(request["program"])
    optimizer, losses, start = None, [], 0

    def run(batch: Any) -> Any:
        """Rows by number; the last one fills the batch."""
        filled = torch.cat([batch, batch[-1:].repeat(request["batch"] - len(batch))])
        counted = (torch.arange(request["batch"]) < len(batch)).float()
        return module.forward_backward(method, [*(value[filled] for value in inputs), targets[filled], counted])

    for end in rows["ends"]:
        made = run(torch.from_numpy(rows["order"][start:end]))
        losses.append(float(made[0]))
        if optimizer is None:
            parameters = module.named_parameters()
            optimizer = _training_lib.get_sgd_optimizer(parameters, request["learning_rate"], request["momentum"])
        optimizer.step(module.named_gradients())
        start = end
    weights = module.named_parameters()
    result: dict[str, Any] = {name: weights[own].clone().numpy() for own, name in request["weights"].items()}
    answers = [[output[:1] for output in run(torch.tensor([position]))[1:]] for position in range(len(targets))]
    for index, name in enumerate(request["outputs"]):
        result[f"answer.{name}"] = torch.cat([row[index] for row in answers]).numpy()
    result["losses"] = np.array(losses)
    np.savez(request["trained_rows"], **result)
