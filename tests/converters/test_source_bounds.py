"""A source of a kilobyte that asks for gigabytes is refused before they are taken."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import coreml_updatable as cu


class Wide(nn.Module):
    """As a graph may ask for it: a row repeated until it fills the memory."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.head(x.repeat(self.times, 1, 1).mean(0))
        return answer


def test_a_network_that_takes_too_much_for_one_row() -> None:
    with pytest.raises(cu.ModelError, match=r"source: needs 14\.9 GB of memory.*max_memory"):
        cu.convert(Wide(10**9), converter="torch", inputs=["x:4"])


@pytest.mark.vision
def test_a_keras_file_with_a_layer_of_gigabytes(keras: Any, tmp_path: Path) -> None:
    keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, activation="softmax")]).save(tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as small, zipfile.ZipFile(tmp_path / "b.keras", "w") as huge:
        for name in small.namelist():
            content = small.read(name)
            if name == "config.json":
                config: Any = json.loads(content)
                config["config"]["layers"][-1]["config"]["units"] = 400_000_000
                content = json.dumps(config).encode()
            huge.writestr(name, content)
    with pytest.raises(cu.ModelError, match=r"b\.keras: needs .* GB of memory"):
        cu.convert(tmp_path / "b.keras")
    assert cu.convert(tmp_path / "a.keras").is_updatable


def test_what_fits_is_converted() -> None:
    torch.manual_seed(0)
    assert cu.convert(nn.Linear(4, 3), converter="torch", inputs=["x:4"]).is_updatable
