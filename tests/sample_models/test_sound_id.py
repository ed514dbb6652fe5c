"""YAMNet without TensorFlow: its front end against torch.stft, its body against the file's own names, its sounds."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from coreml_updatable.data.sample_code import load_function

FOLDER = Path(__file__).parents[2] / "sample_models" / "sound_id"
KINDS = ("smoke_alarm", "doorbell", "knocking", "fan", "rain", "kettle")


def waves() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    draw = load_function(FOLDER, "sounds.py:draw")
    return np.stack([draw(kind, 0, (15_600,)) for kind in KINDS])


def log_mel_by_stft(wave: torch.Tensor) -> torch.Tensor:
    """torch's transform of frames centered in 512 points; triangles drawn by interpolation; as YAMNet says."""
    padded = torch.nn.functional.pad(wave.double(), (56, 56))
    window = torch.hann_window(400, periodic=True, dtype=torch.float64)
    spectrum = torch.stft(padded, 512, 160, 400, window, center=False, return_complex=True).abs()
    mel = 1127 * np.log(1 + np.arange(257) * 31.25 / 700)
    lowest, highest = (1127 * float(np.log(1 + edge / 700)) for edge in (125.0, 7500.0))
    edges = np.linspace(lowest, highest, 66)
    bands = np.stack([np.interp(mel, edges[index : index + 3], [0, 1, 0], left=0, right=0) for index in range(64)])
    return torch.log(torch.from_numpy(bands) @ spectrum + 0.001).transpose(1, 2)


def test_the_front_end_is_torchs_fourier_transform() -> None:
    given = torch.from_numpy(waves())
    patches = load_function(FOLDER, "front_end.py:LogMel")()(given)
    assert patches.shape == (6, 1, 96, 64)
    torch.testing.assert_close(patches[:, 0].double(), log_mel_by_stft(given), atol=1e-4, rtol=0)


def test_the_front_end_in_core_ml_is_the_same() -> None:
    import coreml_updatable as cu
    from converters.torch.tracing import core_ml_of
    from coreml_updatable.data.inputs import ArrayInput

    front_end = load_function(FOLDER, "front_end.py:LogMel")()

    class Row(torch.nn.Module):
        def forward(self, wave: torch.Tensor) -> torch.Tensor:
            patches: torch.Tensor = front_end(wave[None])
            return patches

    model = cu.load(core_ml_of(Row(), (ArrayInput("waveform", (15_600,)),)))
    given = waves()
    said = np.stack([answer["probabilities"] for answer in model.predict([{"waveform": wave} for wave in given])])
    expected = log_mel_by_stft(torch.from_numpy(given)).numpy()
    np.testing.assert_allclose(said.reshape(expected.shape), expected, atol=1e-4)


def test_same_padding_is_tensorflows() -> None:
    """out = ceil(n / s); padding in all max((out - 1) s + k - n, 0), the smaller half in front."""
    convolution = load_function(FOLDER, "yamnet.py:Convolution")
    for stride, length in ((1, 6), (2, 6), (2, 12), (1, 4)):
        layer = convolution(1, 1, 3, stride).eval()
        maps = torch.randn(1, 1, length, length)
        total = max((-(-length // stride) - 1) * stride + 3 - length, 0)
        padded = torch.nn.functional.pad(maps, (total // 2, total - total // 2) * 2)
        expected = torch.nn.functional.conv2d(padded, layer.convolution.weight, stride=stride)
        torch.testing.assert_close(layer(maps), torch.relu(expected / (1 + 1e-4) ** 0.5))


def keras_file(path: Path, change: Callable[[dict[str, Any]], Any] = lambda _: None) -> dict[str, Any]:
    """A file laid out as Keras' save_weights lays it out: a group a layer, attributes that list them."""
    body = load_function(FOLDER, "yamnet.py:Body")()
    generator = np.random.default_rng(0)
    tensors: dict[str, Any] = {}
    for name, layer in body.layers.items():
        out, in_, height, width = layer.convolution.weight.shape
        if name.endswith("depthwise_conv"):
            tensors[f"{name}/depthwise_kernel:0"] = generator.normal(0, 0.3, (height, width, out, 1))
        else:
            tensors[f"{name}/kernel:0"] = generator.normal(0, (height * width * in_) ** -0.5, (height, width, in_, out))
        tensors[f"{name}/bn/beta:0"] = generator.normal(0, 0.1, out)
        tensors[f"{name}/bn/moving_mean:0"] = generator.normal(0, 0.1, out)
        tensors[f"{name}/bn/moving_variance:0"] = generator.uniform(0.5, 2, out)
    tensors["dense/kernel:0"] = generator.normal(0, 0.03, (1024, 521))
    tensors["dense/bias:0"] = generator.normal(0, 1, 521)
    change(tensors)
    with h5py.File(path, "w") as file:
        layers: dict[str, list[str]] = {"input_1": []}
        for name in tensors:
            layers.setdefault(name.rpartition("/")[0], []).append(name)
        file.attrs["layer_names"] = [layer.encode() for layer in layers]
        for layer, names in layers.items():
            group = file.require_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name in names:
                group[name] = tensors[name].astype(np.float32)
    return tensors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "sound_id", ignore=shutil.ignore_patterns("__pycache__", "*.h5")))


def test_the_published_files_layout(folder: Path) -> None:
    tensors = keras_file(folder / "yamnet.h5")
    network = load_function(folder, "model.py:audioset_network")(521)
    wave = torch.from_numpy(waves()[:1])
    maps = network.front_end(wave)
    # The first two layers written out with the file's own tensors, and the head on the embedding.
    kernel = torch.from_numpy(tensors["layer1/conv/kernel:0"]).float().permute(3, 2, 0, 1)
    first = torch.nn.functional.conv2d(torch.nn.functional.pad(maps, (0, 1, 0, 1)), kernel, stride=2)
    mean, variance, beta = (
        torch.from_numpy(tensors[f"layer1/conv/bn/{name}:0"]).float().view(1, -1, 1, 1)
        for name in ("moving_mean", "moving_variance", "beta")
    )
    first = torch.relu((first - mean) / torch.sqrt(variance + 1e-4) + beta)
    torch.testing.assert_close(network.body.layers["layer1/conv"](maps), first, atol=1e-4, rtol=1e-4)
    depthwise = network.body.layers["layer2/depthwise_conv"].convolution.weight
    assert depthwise[5, 0, 1, 2].item() == pytest.approx(
        tensors["layer2/depthwise_conv/depthwise_kernel:0"][1, 2, 5, 0]
    )
    embedding = network.body(maps)[0].double().numpy()
    expected = embedding @ tensors["dense/kernel:0"] + tensors["dense/bias:0"]
    np.testing.assert_allclose(network(wave)[0].numpy(), expected, atol=1e-3, rtol=1e-4)
    result = load_function(folder, "model.py:sound_network")(3).told
    assert result == {"body": "YAMNet's own weights, read from yamnet.h5"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda t: t.pop("layer7/pointwise_conv/bn/beta:0"),
            r"has no tensor 'layer7/pointwise_conv/bn/beta' of shape \[512\]",
        ),
        (
            lambda t: t.update({"layer1/conv/kernel:0": np.zeros((3, 3, 1, 31))}),
            r"tensor 'layer1/conv/kernel' has the shape \[3, 3, 1, 31\], expected \[3, 3, 1, 32\]",
        ),
        (lambda t: t.update({"layer1/conv/bn/beta:0": np.full(32, np.nan)}), "expected .* finite numbers"),
        (lambda t: t.update({"layer15/conv/kernel:0": np.zeros(3)}), "has the tensor 'layer15/conv/kernel' too"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], Any], expected: str) -> None:
    keras_file(tmp_path / "yamnet.h5", change)
    load, body = load_function(FOLDER, "weights.py:load_weights"), load_function(FOLDER, "yamnet.py:Body")()
    with pytest.raises(ValueError, match=expected):
        load(tmp_path / "yamnet.h5", body)


def test_what_is_no_file_of_keras(tmp_path: Path) -> None:
    read = load_function(FOLDER, "weights.py:read_tensors")
    (tmp_path / "yamnet.h5").write_bytes(b"no HDF5")
    with pytest.raises(ValueError, match="no file of weights as Keras saves them"):
        read(tmp_path / "yamnet.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros(3)
    with pytest.raises(ValueError, match="no file of weights as Keras saves them"):
        read(tmp_path / "other.h5")
    with (tmp_path / "large.h5").open("wb") as large:
        large.truncate(100_000_001)
    with pytest.raises(ValueError, match="is larger than 100,000,000 bytes"):
        read(tmp_path / "large.h5")


def test_without_the_file_it_is_said_loudly(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = load_function(folder, "model.py:sound_network")(3)
    assert "RANDOM WEIGHTS" in capsys.readouterr().err
    assert network.told["warning"].startswith("RANDOM WEIGHTS")
    assert [name for name, one in network.named_parameters() if one.requires_grad] == ["head.weight", "head.bias"]
    with torch.no_grad():
        embeddings = network.body(network.front_end(torch.from_numpy(waves())))
    assert float(embeddings.std(dim=0).mean()) > 0.01
    with pytest.raises(ValueError, match=r"needs yamnet\.h5; fetch https://"):
        load_function(folder, "model.py:audioset_network")(521)


def test_the_sounds() -> None:
    draw = load_function(FOLDER, "sounds.py:draw")
    for kind in KINDS:
        one = draw(kind, 2, (15_600,))
        assert np.isfinite(one).all()
        assert 0.03 < np.abs(one).max() < 1.2
        np.testing.assert_array_equal(one, draw(kind, 2, (15_600,)))
        assert (one != draw(kind, 3, (15_600,))).any()
    with pytest.raises(ValueError, match="cannot make 'bark', only smoke_alarm"):
        draw("bark", 0, (15_600,))
