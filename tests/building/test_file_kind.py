"""Which converter is asked for a source."""

from pathlib import Path

import pytest

from coreml_updatable.converting.source_kind import converter_for, converter_for_object, doubt_about, source_of
from coreml_updatable.errors import RecipeError, SourceError
from coreml_updatable.spec.messages import Model_pb2


@pytest.mark.parametrize(
    ("name", "converter"),
    [("a.skops", "sklearn"), ("a.pkl", "sklearn"), ("A.ONNX", "onnx"), ("a.h5", "keras"), ("a.b.mlmodel", "mlmodel")],
)
def test_the_ending_tells(name: str, converter: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert converter_for(tmp_path / name) == (converter, f"the file extension {Path(name).suffix.lower()}")


def test_a_folder_of_transformers(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert converter_for(tmp_path) == ("transformers", "the config.json inside")


def test_a_folder_of_turi_create(tmp_path: Path) -> None:
    (tmp_path / "dir_archive.ini").touch()
    assert converter_for(tmp_path) == ("turicreate", "the dir_archive.ini inside")


def test_names_are_torchs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert source_of(Path("timm:fastvit_t8")) == "timm:fastvit_t8"
    assert converter_for(source_of(Path("hub:owner/name"))) == ("transformers", "the name on the hub")
    assert converter_for(source_of(Path("torchvision:resnet18"))) == ("torch", "the name of its architecture")
    assert converter_for(source_of(Path("inner/nets.py:make"))) == ("torch", "the name of its function")
    assert source_of(Path("other:x")) == Path("other:x")
    Path("timm:x.onnx").touch()  # a file is a file
    assert converter_for(source_of(Path("timm:x.onnx"))) == ("onnx", "the file extension .onnx")


def test_what_tells_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no.skops: does not exist; check the path"):
        converter_for(tmp_path / "no.skops")
    (tmp_path / "a.txt").touch()
    with pytest.raises(
        RecipeError, match=r"a.txt: has the file extension '.txt', expected one of .*\.h5, .*--converter"
    ):
        converter_for(tmp_path / "a.txt")
    (tmp_path / "folder").mkdir()
    with pytest.raises(
        RecipeError, match=r"folder: has no file extension, expected one of .*, a folder with a"
    ) as error:
        converter_for(tmp_path / "folder")
    assert "torchvision:NAME, timm:NAME, hub:OWNER/NAME or file.py:FUNCTION; " in str(error.value)
    assert ".pkl" not in str(error.value)  # which is always refused


@pytest.mark.parametrize("converter", [None, "torch"])
def test_code_whose_function_is_not_named(tmp_path: Path, converter: str | None) -> None:
    path = tmp_path / "arch.py"
    path.touch()
    with pytest.raises(RecipeError, match=r"arch.py: is code, .*/arch.py:FUNCTION"):
        doubt_about(converter, path) if converter else converter_for(path)


def test_a_converter_for_other_sources(tmp_path: Path) -> None:
    for name in ("a.keras", "a.pkl", "a.bin"):
        (tmp_path / name).touch()
    doubt = "the file extension .keras means converter keras; omit --converter"
    assert doubt_about("onnx", tmp_path / "a.keras") == doubt
    with pytest.raises(RecipeError, match=r"keras: timm:x needs the converter torch, .*; omit the option$"):
        doubt_about("keras", "timm:x")
    (tmp_path / "config.json").touch()
    with pytest.raises(RecipeError, match=r"needs the converter transformers, .*config.json inside; omit the opt"):
        doubt_about("torch", tmp_path)
    with pytest.raises(SourceError, match=r"no.keras: does not exist; check the path"):
        doubt_about("keras", tmp_path / "no.keras")
    for converter, name in (("keras", "a.keras"), ("torch", "a.pkl"), ("onnx", "a.bin"), ("another", "a.keras")):
        assert doubt_about(converter, tmp_path / name) == ""


def test_an_object_is_for_its_frameworks_converter() -> None:
    import onnx
    import torch
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    on_torch = type("Functional", (type("Model", (), {"__module__": "keras.src.models"}), torch.nn.Linear), {})
    sources: dict[str, list[object]] = {
        "torch": [torch.nn.Linear(1, 2)],
        "sklearn": [LogisticRegression(), make_pipeline(LogisticRegression())],
        "onnx": [onnx.ModelProto()],
        "keras": [on_torch(1, 2)],
        "mlmodel": [Model_pb2.Model()],
    }
    for converter, objects in sources.items():
        assert {converter_for_object(item)[0] for item in objects} == {converter}
    with pytest.raises(SourceError, match=r"is a dict, expected .*torch"):
        converter_for_object({})
