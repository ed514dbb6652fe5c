"""What `convert` refuses of torch's files and modules: one sentence each, and nothing of them runs."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.converting.registry import find_converter, load_source_converter
from coreml_updatable.data.inputs import ArrayInput, ImageInput
from coreml_updatable.errors import RecipeError, SourceError
from tests.converters.torch_modules import (
    FACTORY,
    LABELS,
    PICTURE,
    Branching,
    Endless,
    Net,
    Parallel,
    Quantized,
    Unused,
    converted,
    drawn,
    saved,
    scripted,
)


def rewritten(path: Path, change: Callable[[bytes], bytes]) -> Path:
    """The archive at ``path`` with other code for the network's own class."""
    with zipfile.ZipFile(path) as archive:
        entries = [(item, archive.read(item)) for item in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for entry, data in entries:
            archive.writestr(entry.filename, change(data) if b"class Net(Module)" in data else data)
    return path


def test_a_damaged_script(tmp_path: Path) -> None:
    path = rewritten(saved(tmp_path / "net.pt", Net()), lambda code: code.replace(b"->", b"<-"))
    with pytest.raises(SourceError, match=r"net.pt: cannot be read as TorchScript \(.*; save it again with torch.jit"):
        converted(path, PICTURE, trust_code=True)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (Path("exploded"), "x"))


def bomb(folder: Path) -> Path:
    torch.save({"a": Bomb()}, folder / "bomb.pt")
    return folder / "bomb.pt"


def whole_module(folder: Path) -> Path:
    torch.save(Net(), folder / "module.pt")
    return folder / "module.pt"


def state(folder: Path) -> Path:
    torch.save(Net().state_dict(), folder / "state.pt")
    return folder / "state.pt"


def beside_settings(folder: Path) -> Path:
    (folder / "saved").mkdir()
    (folder / "saved" / "config.json").write_text("{}")
    save_file(Net().state_dict(), folder / "saved" / "model.safetensors")
    return Path("saved", "model.safetensors")


def factory(folder: Path) -> str:
    (folder / "nets.py").write_text(FACTORY)
    return f"{folder}/nets.py"


REFUSED: list[tuple[Callable[[Path], Any], dict[str, Any], str]] = [
    (bomb, {"trust_code": False}, "bomb.pt: contains Python objects beside tensors; loading it would run code"),
    (
        whole_module,
        {"trust_code": False},
        "module.pt: contains Python objects beside tensors; loading it would run code",
    ),
    (
        state,
        {},
        "state.pt: contains weights without a network; name their network with --architecture torchvision:NAME",
    ),
    (
        beside_settings,
        {},
        "saved/model.safetensors: contains weights without a network; convert the folder, whose config.json names "
        "their network: convert saved -o OUT; or name their network with --architecture torchvision:NAME",
    ),
    (
        state,
        {"architecture": "nets.py:make", "weights": "other.pt"},
        "--weights other.pt: state.pt already contains weights; omit one of them",
    ),
    (
        state,
        {"architecture": "resnet18"},
        "--architecture resnet18: is not a network, expected ",
    ),
    (
        lambda f: factory(f) + ":make",
        {"labels": ()},
        "nets.py:make: needs the number of classes",
    ),
    (lambda f: factory(f) + ":wrong", {}, "nets.py:wrong: returned a int, expected a torch.nn.Module; correct it"),
    (lambda f: factory(f) + ":make", {"weights": "no.pt"}, "--weights no.pt: file does not exist; check the path"),
    (
        lambda f: factory(f) + ":make",
        {"architecture": "timm:x"},
        "nets.py:make already names one; omit one of them",
    ),
    (lambda f: saved(f / "n.pt", Net()), {"weights": "w.pt"}, "--weights w.pt: n.pt, a TorchScript file, has its own;"),
    (lambda f: saved(f / "n.pt", Net()), {"inputs": ()}, "input: --input is required"),
    (
        lambda _: scripted(Branching),
        {"inputs": (ImageInput("image", 8, 12, "rgb"),)},
        "the source cannot take an input of shape [1, 3, 12, 8] (ValueError: ",
    ),
    (
        lambda _: scripted(Quantized),
        {},
        "the TorchScript module uses 'quantized::add' at torch_modules.py, line ",
    ),
    (
        lambda _: scripted(Endless),
        {},
        "of shape [1, 3, 12, 12] (ValueError: a loop with more than 1000 iterations); describe its inputs",
    ),
    (
        lambda _: scripted(Net),
        {"inputs": (PICTURE, PICTURE)},
        "(TypeError: found 2 inputs for a module that takes 1); describe its inputs with --input",
    ),
    (lambda _: Net(), {"architecture": "timm:x"}, "--architecture timm:x: a module has its own; omit the option"),
    (lambda _: 7, {}, "source: is a int, expected a torch.nn.Module, a file or a name"),
    (
        lambda _: Net(),
        {"labels": ("a", "b")},
        "labels: found 2 for a network with 3 outputs; name one for each, or give it",
    ),
    (
        lambda _: Net(),
        {"labels": ("a",), "head": "new"},
        "labels: found 1 for a new head, expected two or more; pass --labels",
    ),
    (
        lambda _: Net(),
        {"head": "new", "cut": "clasifier"},
        "--cut clasifier: the network has no module with that name; it has classifier",
    ),
    (
        lambda _: Parallel(),
        {"head": "new", "inputs": (ArrayInput("x", (5,)),)},
        "found no head: no linear layer or convolution alone computes the 3 outputs; choose the module before which to "
        "cut with --cut, such as 'one', 'other'",
    ),
    (
        lambda _: nn.Sequential(nn.Flatten(2), nn.Linear(144, 4), nn.Flatten(), nn.Linear(12, 3)),
        {"head": "new", "cut": "1"},
        "--cut 1: its input has the shape [1, 3, 144], expected [1, features] or [1, channels, height",
    ),
    (
        lambda _: drawn(Unused),
        {"head": "new", "cut": "other", "inputs": (ArrayInput("x", (5,)),)},
        "--cut other: this module does not run; choose another",
    ),
]


@pytest.mark.parametrize(("make", "options", "sentence"), REFUSED)
def test_what_is_refused(
    make: Callable[[Path], Any],
    options: dict[str, Any],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((SourceError, RecipeError)) as error:
        load_source_converter(find_converter("torch"))(
            SourceRequest(make(tmp_path), **{"inputs": (PICTURE,), "labels": LABELS, "trust_code": True, **options})
        )
    assert sentence in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert not Path("exploded").exists()
