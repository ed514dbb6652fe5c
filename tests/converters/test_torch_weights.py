"""Files of weights: torch's own and safetensors, and hostile or unfitting ones."""

import pickle
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from coreml_updatable.errors import SourceError

weights = import_module("coreml_updatable.converters.torch.weights")
loading = import_module("coreml_updatable.converters.torch.loading")


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


SAVED: dict[str, Callable[[dict[str, Any], Path], object]] = {
    "zip.pt": torch.save,
    "old.pth": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    "wrapped.pt": lambda state, path: torch.save({"epoch": 3, "state_dict": state}, path),
    "parallel.pt": lambda state, path: torch.save({f"module.{key}": value for key, value in state.items()}, path),
    "plain.safetensors": save_file,
}


@pytest.mark.parametrize("name", sorted(SAVED))
def test_every_kind_of_file_gives_the_same_weights(tmp_path: Path, name: str) -> None:
    source, target = network(), network()
    SAVED[name](source.state_dict(), tmp_path / name)
    weights.load_state(target, weights.read_state(tmp_path / name), name)
    for key, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[key], value)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (Path("exploded"), "x"))


@pytest.mark.parametrize("old", [False, True])
def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bomb.pt"
    if old:
        path.write_bytes(pickle.dumps({"a": Bomb()}))
    else:
        torch.save({"a": Bomb()}, path)
    with pytest.raises(
        SourceError, match=r"bomb.pt: contains Python objects beside tensors; loading it would run code"
    ):
        weights.read_state(path)
    assert not (tmp_path / "exploded").exists()


def _compressed(path: Path) -> None:
    torch.save({"a": torch.zeros(100_000)}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def _truncated(path: Path) -> None:
    torch.save(network().state_dict(), path)
    path.write_bytes(path.read_bytes()[:700])


def _script(path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "compressed.pt": (_compressed, "is a compressed archive"),
    "truncated.pt": (_truncated, "cannot be read as torch weights"),
    "script.pt": (_script, "a TorchScript archive, expected weights"),
    "text.pt": (
        lambda path: path.write_text("hello"),
        "cannot be read as torch weights (it is incomplete)",
    ),
    "empty.pt": (lambda path: path.write_bytes(b""), "cannot be read as torch weights"),
    "text.safetensors": (lambda path: path.write_text("no tensors"), "is not a safetensors file"),
    "tensor.pt": (lambda path: torch.save(torch.zeros(3), path), "contains a Tensor, expected a state_dict"),
    "numbers.pt": (lambda path: torch.save({"a": 1}, path), "'a' is an int, expected only named tensors"),
    "keras.h5": (
        lambda path: path.write_bytes(b"x"),
        "weights of type '.h5', expected .pt, .pth, .ckpt or .safetensors",
    ),
}


@pytest.mark.parametrize("name", sorted(BAD_FILES))
def test_files_that_are_no_weights(tmp_path: Path, name: str) -> None:
    write, sentence = BAD_FILES[name]
    write(tmp_path / name)
    with pytest.raises(SourceError) as caught:
        weights.read_state(tmp_path / name)
    assert str(caught.value).startswith(f"{name}: ")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_that_do_not_fit_name_the_first_wrong_tensor() -> None:
    state = network().state_dict()
    with pytest.raises(
        SourceError, match=r"w.pt: tensor '3.weight' has the shape \[5, 4\], but the network expects \[2, 4\]"
    ):
        weights.load_state(network(), {**state, "3.weight": torch.zeros(5, 4)}, "w.pt")
    with pytest.raises(SourceError, match=r"w.pt: has no tensor '1.running_mean' of shape \[4\]"):
        weights.load_state(network(), {k: v for k, v in state.items() if k != "1.running_mean"}, "w.pt")
    with pytest.raises(SourceError, match=r"w.pt: tensor 'extra' of shape \[7\] does not belong to the network"):
        weights.load_state(network(), {**state, "extra": torch.zeros(7)}, "w.pt")


@pytest.mark.parametrize(
    ("tensor", "value"), [("0.weight", float("nan")), ("1.bias", float("inf")), ("1.running_var", -1.0)]
)
def test_weights_that_are_no_numbers_to_compute_with_are_refused(tensor: str, value: float) -> None:
    state = {key: item.clone() for key, item in network().state_dict().items()}
    state[tensor].view(-1)[0] = value
    with pytest.raises(SourceError, match=rf"w\.pt: tensor '{tensor}' contains"):
        weights.load_state(network(), state, "w.pt")


def test_a_refusal_names_what_was_found() -> None:
    state = {f"backbone.{key}": one for key, one in sorted(network().state_dict().items())}
    with pytest.raises(SourceError, match=rf"its {len(state)} tensors begin with 'backbone\."):
        weights.load_state(network(), state, "w.pt")


def test_files_older_than_the_count_of_batches_are_read() -> None:
    state = {key: value for key, value in network().state_dict().items() if "num_batches" not in key}
    weights.load_state(network(), state, "w.pt")


def test_weights_stay_within_the_recipe(tmp_path: Path) -> None:
    inside, outside = tmp_path / "recipe" / "w.pt", tmp_path / "w.pt"
    inside.parent.mkdir()
    for path in (inside, outside):
        torch.save({}, path)
    assert loading.weights_path(inside.parent, "w.pt") == inside
    assert loading.weights_path(inside.parent, str(outside)) == outside  # typed at the command line
    with pytest.raises(SourceError, match="is outside "):
        loading.weights_path(inside.parent, "../w.pt")
    with pytest.raises(SourceError, match=r"other.pt: weights file does not exist"):
        loading.weights_path(inside.parent, "other.pt")
