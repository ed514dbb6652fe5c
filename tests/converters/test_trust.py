"""Without --trust-code nothing of a source runs, however it is called and packed; with it, it converts."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.converting.finished import Finished, finish, probabilities
from coreml_updatable.converting.registry import find_converter, load_source_converter
from coreml_updatable.errors import SourceError, UserError
from coreml_updatable.runtime import load
from coreml_updatable.trust import OPTION
from tests.converters.torch_modules import FACTORY, LABELS, PICTURE, Net, converted, drawn, saved
from tests.converters.torch_modules import tracing as torch_tracing

BEGIN = b"pictures: Tensor) -> Tensor:\n"
ADD = b"    pictures = torch.add(pictures, torch.sum("
WRITES = {  # lines of TorchScript, each of which writes the file "stolen"
    "save": b'    torch.save(pictures, "stolen")\n',
    "from_file": ADD + b'torch.from_file("stolen", True, 4)))\n',
    "from_file on the next line": ADD + b'torch.\\\n    from_file("stolen", True, 4)))\n',
    "by another name": b"    t = torch\n" + ADD + b't . from_file("stolen", True, 4)))\n',
}


def repacked(path: Path, change: Callable[[str, bytes], tuple[str, bytes]]) -> Path:
    """The archive at ``path`` with other names or contents of its records."""
    with zipfile.ZipFile(path) as archive:
        entries = [change(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def hostile(path: Path, line: bytes) -> Path:
    return repacked(saved(path, Net()), lambda name, content: (name, content.replace(BEGIN, BEGIN + line, 1)))


@pytest.mark.parametrize("line", WRITES.values(), ids=list(WRITES))
@pytest.mark.parametrize("upper", ["", ".py", "constants.pkl"])
def test_torchscript_is_not_loaded(line: bytes, upper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = hostile(tmp_path / "net.pt", line)
    if upper:
        repacked(path, lambda name, content: (name.replace(upper, upper.upper()), content))
    with pytest.raises(SourceError) as refusal:
        converted(path, PICTURE, labels=LABELS)
    for part in ("TorchScript", "state_dict()", ".safetensors", "ONNX", OPTION):
        assert part in str(refusal.value)
    assert not Path("stolen").exists()
    with torch_tracing.quiet():  # torch itself runs the line: the refusal is what keeps it from it
        torch.jit.load(path)(torch.zeros(1, 3, 12, 12))
    assert Path("stolen").exists()


@pytest.mark.parametrize("ending", [".pt", ".pth", ".bin", ".safetensors"])
@pytest.mark.parametrize("packed", ["as it is", "behind other bytes", "constants with capitals"])
def test_torchscript_in_the_place_of_weights_is_not_loaded(
    ending: str, packed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = hostile(tmp_path / f"weights{ending}", WRITES["save"])
    if packed == "behind other bytes":
        path.write_bytes(pickle.dumps({}) + path.read_bytes())
    elif packed == "constants with capitals":
        repacked(path, lambda name, content: (name.replace("constants.pkl", "CONSTANTS.PKL"), content))
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("loaded"))
    for options in ({"architecture": "torchvision:squeezenet1_1"}, {}):
        with pytest.raises(UserError):
            converted(path, PICTURE, labels=LABELS, **options)
    assert not Path("stolen").exists()


class Bomb:
    """Writes the file "stolen" when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (Path("stolen"), "x"))


def _factory(folder: Path) -> str:
    (folder / "nets.py").write_text("from pathlib import Path\nPath('stolen').write_text('x')\n" + FACTORY)
    return f"{folder}/nets.py:make"


def _torch_pickle(folder: Path) -> Path:
    torch.save({"weight": torch.zeros(1), "extra": Bomb()}, folder / "weights.pt")
    return folder / "weights.pt"


def _joblib(folder: Path) -> Path:
    joblib.dump(Bomb(), folder / "model.joblib")
    return folder / "model.joblib"


def _pickle(folder: Path) -> Path:
    (folder / "model.pkl").write_bytes(pickle.dumps(Bomb()))
    return folder / "model.pkl"


@pytest.mark.parametrize(
    ("make", "converter"),
    [(_factory, "torch"), (_torch_pickle, "torch"), (_joblib, "sklearn"), (_pickle, "sklearn")],
)
def test_other_code_is_not_loaded(
    make: Callable[[Path], Any], converter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    function = load_source_converter(find_converter(converter))
    request = SourceRequest(make(tmp_path), inputs=(PICTURE,), labels=LABELS)
    with pytest.raises(SourceError, match=OPTION):
        finish(function, request)
    assert not Path("stolen").exists()


def test_a_pickled_module_that_is_trusted(tmp_path: Path) -> None:
    network = drawn(Net)
    torch.save(network, tmp_path / "whole.pt")
    result = converted(tmp_path / "whole.pt", PICTURE, labels=LABELS, trust_code=True)
    _agrees(result, network)
    # The advice for those who do not trust it: its state_dict, and where the network comes from.
    torch.save(network.state_dict(), tmp_path / "state.pt")
    (tmp_path / "nets.py").write_text("from tests.converters.torch_modules import Net as make\n")
    reference = f"{tmp_path}/nets.py:make"
    again = converted(tmp_path / "state.pt", PICTURE, labels=LABELS, architecture=reference, trust_code=True)
    _agrees(again, network)
    # And the weights inside a whole module, where the network is known.
    _agrees(converted(tmp_path / "whole.pt", PICTURE, labels=LABELS, architecture=reference, trust_code=True), network)


def test_a_checkpoint_with_other_objects_that_is_trusted(tmp_path: Path) -> None:
    network = drawn(Net)
    torch.save({"state_dict": network.state_dict(), "options": Path("x")}, tmp_path / "checkpoint.pth")
    (tmp_path / "nets.py").write_text("from tests.converters.torch_modules import Net as make\n")
    options: dict[str, Any] = {"labels": LABELS, "architecture": f"{tmp_path}/nets.py:make", "trust_code": True}
    _agrees(converted(tmp_path / "checkpoint.pth", PICTURE, **options), network)


def test_a_pickled_module_whose_class_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(Net):
        pass

    Gone.__module__, Gone.__qualname__ = "tests.converters.torch_modules", "Gone"
    monkeypatch.setattr("tests.converters.torch_modules.Gone", Gone, raising=False)
    torch.save(Gone(), tmp_path / "whole.pt")
    monkeypatch.undo()
    with pytest.raises(SourceError, match=r"needs code that cannot be imported .*PYTHONPATH"):
        converted(tmp_path / "whole.pt", PICTURE, labels=LABELS, trust_code=True)


def _agrees(made: Finished, network: nn.Module) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3), np.uint8)
    with torch.no_grad():
        expected = network(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255).double().softmax(1).numpy()
    assert np.ptp(expected, axis=0).max() > 1e-3
    said = probabilities(load(made.model), [{"image": item} for item in pixels], LABELS)
    np.testing.assert_allclose(said, expected, atol=1e-5)


class Own(LogisticRegression):  # type: ignore[misc]
    """An estimator of somebody's own, which skops does not know."""


@pytest.mark.parametrize("ending", [".pkl", ".joblib", ".skops"])
def test_estimators_that_are_trusted(ending: str, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 3))
    estimator = Own().fit(rows, np.array(["no", "yes"])[(rows[:, 0] > 0).astype(int)])
    path = tmp_path / f"model{ending}"
    match ending:
        case ".pkl":
            path.write_bytes(pickle.dumps(estimator))
        case ".joblib":
            joblib.dump(estimator, path)
        case _:
            skops.io.dump(estimator, path)
    function = load_source_converter(find_converter("sklearn"))
    with pytest.raises(SourceError, match=OPTION):
        finish(function, SourceRequest(path))
    result = finish(function, SourceRequest(path, trust_code=True))
    others = rows[:8].astype(np.float32)
    said = probabilities(load(result.model), [{"features": row} for row in others], ("no", "yes"))
    np.testing.assert_allclose(said, estimator.predict_proba(others), atol=1e-5)
