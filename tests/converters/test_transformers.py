"""Folders of Hugging Face with tiny networks: their own logits, with everything their preprocessors do to values."""

import json
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from benchmarks.architecture import learn
from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.converting.finished import Finished, finish, probabilities
from coreml_updatable.converting.registry import find_converter, load_source_converter
from coreml_updatable.data.inputs import ArrayInput, ImageInput
from coreml_updatable.errors import SourceError
from coreml_updatable.runtime import load

inputs = import_module("coreml_updatable.converters.transformers.inputs")
folders = import_module("coreml_updatable.converters.transformers.folder")
pytestmark = pytest.mark.vision
LABELS = ("cat", "dog", "none")
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
PICTURES = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.25], "rescale_factor": 1 / 200}


@pytest.fixture(autouse=True)
def quiet_transformers() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def library() -> Any:
    """transformers, which imports torchvision; only the tests themselves need them."""
    import_module("coreml_updatable.converters.torch.architectures").import_torchvision()
    return import_module("transformers")


def made(kind: str, **options: Any) -> Any:
    """The classifier of a kind, its weights large enough to matter."""
    torch.manual_seed(0)
    named = {"id2label": dict(enumerate(LABELS)), **options}
    match kind:
        case "vit":
            config = library().ViTConfig(image_size=16, patch_size=8, **SMALL, **named)
            model = library().ViTForImageClassification(config)
        case "mobilenet_v2":
            config = library().MobileNetV2Config(image_size=32, depth_multiplier=0.25, **named)
            model = library().MobileNetV2ForImageClassification(config)
        case "ast":
            strides = {"patch_size": 8, "frequency_stride": 8, "time_stride": 8}
            config = library().ASTConfig(max_length=24, num_mel_bins=16, **strides, **SMALL, **named)
            model = library().ASTForAudioClassification(config)
        case "wav2vec2":
            layers = {"conv_dim": [8, 8], "conv_stride": [5, 4], "conv_kernel": [10, 4], "num_feat_extract_layers": 2}
            places = {"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 12}
            config = library().Wav2Vec2Config(**layers, **places, **SMALL, **named)
            model = library().Wav2Vec2ForSequenceClassification(config)
        case _:
            sizes = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "max_position_embeddings": 32}
            config = library().DistilBertConfig(vocab_size=60, **sizes, **named)
            model = library().DistilBertForSequenceClassification(config)
    for weights in model.parameters():
        if weights.ndim > 1:
            torch.nn.init.normal_(weights, 0, 0.3)
    return model.eval()


def saved(model: Any, folder: Path, preprocessor: Any = None) -> Path:
    model.save_pretrained(folder)
    if preprocessor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def converted(source: Any, **options: Any) -> Finished:
    return finish(load_source_converter(find_converter("transformers")), SourceRequest(source, **options))


def agrees(made: Finished, rows: list[dict[str, Any]], logits: torch.Tensor) -> None:
    expected = logits.detach().softmax(1).numpy()
    assert np.ptp(expected, axis=0).max() > 1e-3
    np.testing.assert_allclose(probabilities(load(made.model), rows, LABELS), expected, atol=1e-5)
    assert made.agreement.difference < 1e-5
    assert made.updatable
    losses = learn(made)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("kind", ["vit", "mobilenet_v2"])
def test_pictures_are_scaled_as_the_preprocessor_says(kind: str, tmp_path: Path) -> None:
    model = made(kind)
    side = model.config.image_size
    done = converted(saved(model, tmp_path, PICTURES))
    pixels = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), np.uint8)
    seen = (torch.from_numpy(pixels) / 200 - torch.tensor([0.4, 0.5, 0.6])) / torch.tensor([0.2, 0.3, 0.25])
    agrees(done, [{"image": item} for item in pixels], model(seen.permute(0, 3, 1, 2)).logits)


def test_a_spectrogram_is_scaled_as_asts_extractor_does(tmp_path: Path) -> None:
    model = made("ast")
    done = converted(saved(model, tmp_path, {"do_normalize": True, "mean": -4.0, "std": 4.5}))
    rows = np.random.default_rng(0).normal(-4, 4, (3, 24, 16)).astype(np.float32)
    agrees(done, [{"spectrogram": row} for row in rows], model((torch.from_numpy(rows) + 4) / 9).logits)


def test_a_waveform_gets_zero_mean_and_unit_variance(tmp_path: Path) -> None:
    model = made("wav2vec2")
    done = converted(saved(model, tmp_path, {"do_normalize": True}), inputs=(ArrayInput("sound", (400,)),))
    rows = np.random.default_rng(0).normal(0.3, 0.01, (3, 400)).astype(np.float32)
    extractor = library().Wav2Vec2FeatureExtractor(do_normalize=True)
    seen = extractor(list(rows), sampling_rate=16_000, return_tensors="pt").input_values
    agrees(done, [{"sound": row} for row in rows], model(seen).logits)


def test_text_with_its_mask(tmp_path: Path) -> None:
    model = made("distilbert")
    done = converted(saved(model, tmp_path), inputs=(ArrayInput("ids", (12,), whole=True),))
    generator = np.random.default_rng(0)
    ids = generator.integers(0, 60, (3, 12)).astype(np.int32)
    mask = (np.arange(12) < np.array([[12], [7], [3]])).astype(np.int32)
    rows = [{"ids": item, "attention_mask": other} for item, other in zip(ids, mask, strict=True)]
    logits = model(input_ids=torch.from_numpy(ids).long(), attention_mask=torch.from_numpy(mask).long()).logits
    agrees(done, rows, logits)


def rewrite(folder: Path, **fields: Any) -> Path:
    config = json.loads((folder / "config.json").read_text())
    config.update(fields)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(made("vit"), tmp_path_factory.mktemp("vit"), PICTURES)


CODE = """
import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput


class EyesConfig(PretrainedConfig):
    model_type = "eyes"


class Eyes(PreTrainedModel):
    config_class = EyesConfig

    def __init__(self, config):
        super().__init__(config)
        self.layer = torch.nn.Linear(3, config.num_labels)
        self.post_init()

    def forward(self, pixel_values):
        return ImageClassifierOutput(logits=self.layer(pixel_values.mean(dim=(2, 3))))
"""


def test_code_in_the_folder_runs_where_it_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = tmp_path / "modules"
    monkeypatch.setattr(import_module("transformers.dynamic_module_utils"), "HF_MODULES_CACHE", str(modules))
    folder, ran = tmp_path / "eyes", tmp_path / "ran"
    folder.mkdir()
    (folder / "eyes.py").write_text(f"from pathlib import Path\n\nPath({str(ran)!r}).touch()\n{CODE}")
    own = {"AutoConfig": "eyes.EyesConfig", "AutoModelForImageClassification": "eyes.Eyes"}
    config = {"model_type": "eyes", "auto_map": own, "id2label": dict(enumerate(LABELS)), "image_size": 16}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps(PICTURES))
    weights, bias = torch.randn(3, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0.1, 0.2, 0.3])
    save_file({"layer.weight": weights, "layer.bias": bias}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(SourceError, match=r"needs the Python files beside it .*ONNX export.*--trust-code"):
        converted(folder)
    assert not ran.exists()
    done = converted(folder, trust_code=True)
    assert ran.exists()
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    seen = (torch.from_numpy(pixels) / 200 - torch.tensor([0.4, 0.5, 0.6])) / torch.tensor([0.2, 0.3, 0.25])
    agrees(done, [{"image": item} for item in pixels], seen.mean(dim=(1, 2)) @ weights.T + bias)


@pytest.fixture
def copy(vit: Path, tmp_path: Path) -> Path:
    for file in vit.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda f: (f / "config.json").unlink(), "has no config.json, expected a saved model; save it with save_pretr"),
        (lambda f: (f / "config.json").write_text("{"), "config.json: is not valid JSON; save the model again"),
        (lambda f: (f / "config.json").write_text("[]"), "config.json: contains a list, expected named settings"),
        (
            lambda f: rewrite(f, auto_map={"AutoModel": "code.Mine"}),
            "needs the Python files beside it (auto_map); loading it would run code",
        ),
        (lambda f: rewrite(f, model_type="gpt2"), "has the type 'gpt2', expected one of vit, mobilenet_v2, audio-"),
        (lambda f: (f / "model.safetensors").unlink(), "has no .safetensors file, and pickled weights are not read"),
        (lambda f: (f / "model.safetensors").write_bytes(b"no"), "transformers cannot load it ("),
        (lambda f: rewrite(f, id2label={"0": "a", "2": "b"}), "id2label does not name every output once"),
        (lambda f: rewrite(f, id2label={"0": "a", "1": "a"}), "id2label does not name every output once"),
        (lambda f: rewrite(f, id2label={"0": "a", "1": "b"}), "transformers cannot load it (RuntimeError: "),
        (
            lambda f: rewrite(f, image_size="wide"),
            "config.json: image_size is 'wide', expected an integer; correct",
        ),
        (lambda f: rewrite(f, num_channels=4), "takes 4 channels, expected 1 or 3"),
        (
            lambda f: (f / "preprocessor_config.json").unlink(),
            "has no preprocessor_config.json",
        ),
        (
            lambda f: (f / "preprocessor_config.json").write_text('{"image_mean": [0.5]}'),
            "preprocessor_config.json: image_mean or image_std is not one number per channel",
        ),
    ],
)
def test_folders_that_are_refused(change: Callable[[Path], Any], sentence: str, copy: Path) -> None:
    change(copy)
    with pytest.raises(SourceError) as error:
        converted(copy)
    assert sentence in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_head_that_is_not_in_the_file(tmp_path: Path) -> None:
    model = made("vit")
    model.vit.save_pretrained(tmp_path)
    rewrite(saved(model.vit, tmp_path, PICTURES), id2label=dict(enumerate(LABELS)))
    with pytest.raises(
        SourceError, match=r"the weights 'classifier.bias' of the classifier are not in the file; fine-tu"
    ):
        converted(tmp_path)


def test_what_is_no_folder_and_settings_too_long(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        SourceError, match=r"config.json: is not a folder, expected one with config.json and model.safeten"
    ):
        converted(copy / "config.json")
    with pytest.raises(SourceError, match=r"str: is not a folder, expected one with config.json"):
        converted("text")
    monkeypatch.setattr(folders, "MOST_BYTES", 10)
    with pytest.raises(SourceError, match=r"config.json: is larger than 10 bytes"):
        converted(copy)


def given(config: dict[str, Any], kind: str, *wanted: Any, preprocessor: Any = None) -> Any:
    folder = folders.Folder(Path("folder"), kind, config, preprocessor, LABELS)
    return inputs.read_inputs(folder, SourceRequest(None, inputs=wanted))


def test_inputs_that_do_not_fit() -> None:
    with pytest.raises(SourceError, match="input: found 2, expected at most 1 for a picture model"):
        given({}, "picture", ArrayInput("a", (3,)), ArrayInput("b", (3,)))
    with pytest.raises(SourceError, match="input 'x': does not fit, expected a picture; pass --input image:32x16"):
        given({"image_size": [16, 32]}, "picture", ArrayInput("x", (3,)))
    with pytest.raises(
        SourceError, match="input 'x': does not fit a waveform, expected an array of 16000; pass --input x:"
    ):
        given({}, "waveform", ImageInput("x", 3, 3, "rgb"))
    with pytest.raises(
        SourceError, match="does not fit a spectrogram, expected an array of 1024x128; pass --input x:1024x"
    ):
        given({}, "spectrogram", ArrayInput("x", (3,)))
    with pytest.raises(SourceError, match="input 'x': does not fit a text, expected at most 32 token ids"):
        given({"max_position_embeddings": 32}, "text", ArrayInput("x", (64,), whole=True))
    with pytest.raises(SourceError, match="input 'mask': does not fit a text, expected at most 512 token ids"):
        given({}, "text", ArrayInput("x", (64,), whole=True), ArrayInput("mask", (32,), whole=True))


def test_what_a_preprocessor_leaves_out() -> None:
    request = given({}, "picture", preprocessor={"do_normalize": False}).request
    assert (request.mean, request.std) == ((0.0,) * 3, (1.0,) * 3)
    request = given({}, "picture", preprocessor={"do_rescale": False, "image_mean": [0.0] * 3, "image_std": [51.0] * 3})
    assert request.request.std == (0.2,) * 3
