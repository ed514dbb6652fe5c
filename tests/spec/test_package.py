"""Packages: those that coremltools writes, those made by hand, and hostile ones."""

import json
import os
import warnings
from pathlib import Path
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from coremltools.models.utils import save_spec

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.io import model_bytes, read_model, write_model
from tests.broken_models import valid

MODEL = "com.apple.CoreML/model.mlmodel"


def package(folder: Path, *, manifest: Any = None, path: Any = MODEL) -> Path:
    """As the format has it: Data/com.apple.CoreML/model.mlmodel, and a manifest that says so."""
    result = folder / "Model.mlpackage"
    write_model(valid.plain(), result / "Data" / MODEL)
    entry = {"author": "com.apple.CoreML", "description": "", "name": "model.mlmodel", "path": path}
    content = {"fileFormatVersion": "1.0.0", "itemInfoEntries": {"1": entry}, "rootModelIdentifier": "1"}
    text = manifest if isinstance(manifest, bytes) else json.dumps(content if manifest is None else manifest).encode()
    (result / "Manifest.json").write_bytes(text)
    return result


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_model(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_a_package_of_coremltools(tmp_path: Path) -> None:
    save_spec(valid.classifier(), str(tmp_path / "Model.mlpackage"))
    assert model_bytes(read_model(tmp_path / "Model.mlpackage")) == model_bytes(valid.classifier())


def test_a_package_made_by_hand(tmp_path: Path) -> None:
    assert model_bytes(read_model(package(tmp_path))) == model_bytes(valid.plain())


def test_a_link_to_a_package_and_one_within_it_are_followed(tmp_path: Path) -> None:
    result = package(tmp_path, path="com.apple.CoreML/link.mlmodel")
    (result / "Data/com.apple.CoreML/link.mlmodel").symlink_to("model.mlmodel")
    (tmp_path / "linked").symlink_to(result)
    assert model_bytes(read_model(tmp_path / "linked")) == model_bytes(valid.plain())


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../../secret.mlmodel", "com.apple.CoreML/../../../secret.mlmodel", "..", "com.apple.CoreML/.."],
)
def test_a_path_out_of_the_package_is_refused(tmp_path: Path, path: str) -> None:
    write_model(valid.plain(), tmp_path / "secret.mlmodel")
    sentence = refused(package(tmp_path, path=path))
    assert sentence.endswith(f"its model is {path!r}, a path outside the package; export the package again")


@pytest.mark.parametrize("link", ["com.apple.CoreML/model.mlmodel", "com.apple.CoreML", "."])
def test_a_link_out_of_the_package_is_refused(tmp_path: Path, link: str) -> None:
    result = package(tmp_path)
    outside = tmp_path / "outside"
    (result / "Data").rename(outside)
    place = result / "Data" / link
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(outside / link)
    assert "a path outside the package" in refused(result)


@pytest.mark.parametrize(
    "path", ["com.apple.CoreML/none.mlmodel", "com.apple.CoreML", "nul\0", "\ud800", "x" * 5000, "circle/model"]
)
def test_a_model_that_is_not_there(tmp_path: Path, path: str) -> None:
    result = package(tmp_path, path=path)
    (result / "Data" / "circle").symlink_to("circle")
    assert "is not a file in the package; copy the complete package" in refused(result)


def test_a_pipe_in_a_package_is_not_waited_for(tmp_path: Path) -> None:
    result = package(tmp_path, path="pipe")
    os.mkfifo(result / "Data" / "pipe")
    assert "is not a file in the package" in refused(result)


@pytest.mark.parametrize("manifest", [b"", b"\xff", b"{", b"[" * 100_000, b'{"a": 1' + b" " * 100])
def test_a_manifest_that_is_no_json(tmp_path: Path, manifest: bytes) -> None:
    assert "Manifest.json: is not JSON; export the package again" in refused(package(tmp_path, manifest=manifest))


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ([], "does not contain a JSON object"),
        ({}, "does not name a model (rootModelIdentifier, itemInfoEntries)"),
        ({"rootModelIdentifier": "1", "itemInfoEntries": {}}, "does not name a model"),
        ({"rootModelIdentifier": ["1"], "itemInfoEntries": {"1": {}}}, "does not name a model"),
        ({"rootModelIdentifier": "1", "itemInfoEntries": {"1": "x"}}, "does not name a model"),
        ({"rootModelIdentifier": "1", "itemInfoEntries": {"1": {}}}, "the entry of the model has no path"),
        ({"rootModelIdentifier": "1", "itemInfoEntries": {"1": {"path": 3}}}, "the entry of the model has no path"),
    ],
)
def test_a_manifest_that_names_no_model(tmp_path: Path, manifest: object, words: str) -> None:
    assert words in refused(package(tmp_path, manifest=manifest))


def test_a_manifest_of_absurd_size(tmp_path: Path) -> None:
    sentence = refused(package(tmp_path, manifest=b" " * (2**20 + 1)))
    assert "has 1048577 bytes, but a manifest has at most 1048576; use another file" in sentence


def test_folders_that_are_no_package(tmp_path: Path) -> None:
    compiled, empty, plain = tmp_path / "Model.mlmodelc", tmp_path / "Model.mlpackage", tmp_path / "folder"
    for folder in (compiled, empty, plain):
        folder.mkdir()
    assert "is a compiled model, expected an .mlmodel file or an .mlpackage" in refused(compiled)
    assert "has no Manifest.json, which every package has" in refused(empty)
    assert "is a folder, expected an .mlmodel file or an .mlpackage" in refused(plain)
    (plain / "coremldata.bin").write_bytes(b"")
    assert "is a compiled model" in refused(plain)


def test_a_device_is_no_model() -> None:
    assert refused(Path("/dev/zero")) == (
        "/dev/zero: is a device or a socket, expected a file; pass the file of the model"
    )


def test_a_path_that_is_none() -> None:
    assert refused(Path("a\0b")) == "'a\\x00b': is not a valid path; check it"


def test_a_file_beyond_the_wire_format(tmp_path: Path) -> None:
    """The file has a hole for its content: it takes no room, and nothing of it is read."""
    with (tmp_path / "m.mlmodel").open("wb") as file:
        file.truncate(2**31)
    assert "has 2147483648 bytes, but an .mlmodel has at most 2147483647; use another file" in refused(
        tmp_path / "m.mlmodel"
    )


def test_packages_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"Model.mlpackage: packages cannot be written; choose an .mlmodel file"):
        write_model(valid.plain(), tmp_path / "Model.mlpackage")
    assert not list(tmp_path.iterdir())
