"""Keras files and models that cannot be converted: each refused in a sentence, and nothing in them runs."""

import io
import json
import sys
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from coreml_updatable.converting.finished import probabilities
from coreml_updatable.data.inputs import ArrayInput, ImageInput
from coreml_updatable.errors import SourceError
from coreml_updatable.runtime import load
from tests.converters.test_keras import converted, flat

reading = import_module("coreml_updatable.converters.keras.reading")
pytestmark = pytest.mark.vision


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_lambda_is_refused_before_anything_runs(keras: Any, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{ending}"
    twice = keras.layers.Lambda(lambda x: x * 2, name="twice")
    keras.Sequential([keras.Input((6,)), twice, keras.layers.Dense(3)]).save(path)
    with pytest.raises(SourceError, match=r"layer 'twice' is a Lambda; loading it would run code.*; replace it"):
        converted(path)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_lambda_that_is_trusted(keras: Any, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{ending}"
    twice = keras.layers.Lambda(lambda x: x * 2, name="twice")
    model = keras.Sequential([keras.Input((6,)), twice, keras.layers.Dense(3)])
    model.save(path)
    answers_alike(converted(path, trust_code=True), model)


def test_a_layer_of_somebodys_module_that_is_trusted(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "somebodys.py").write_text(
        "import keras\n\nclass Mine(keras.layers.Layer):\n    def call(self, x):\n        return x * 3\n"
    )
    path = tmp_path / "model.keras"
    with monkeypatch.context() as here:
        here.syspath_prepend(tmp_path)
        module = import_module("somebodys")
        model = keras.Sequential([keras.Input((6,)), module.Mine(name="mine"), keras.layers.Dense(3)])
        model.save(path)
        monkeypatch.delitem(sys.modules, "somebodys")
        with pytest.raises(
            SourceError, match=r"'Mine' comes from 'somebodys'; loading it would run code.*--trust-code"
        ):
            converted(path)
        assert "somebodys" not in sys.modules
        answers_alike(converted(path, trust_code=True), model)
    monkeypatch.delitem(sys.modules, "somebodys")
    with pytest.raises(SourceError, match=r"'Mine' cannot be imported from 'somebodys' .*PYTHONPATH"):
        converted(path, trust_code=True)


@pytest.mark.parametrize("name", ["TorchModuleWrapper", "TFSMLayer", "JaxLayer"])
def test_layers_of_keras_around_code_ask_for_trust(keras: Any, name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    flat(keras, 3, None).save(path)
    rewrite(path, lambda config: config["config"]["layers"][1].update(class_name=name))
    with pytest.raises(SourceError, match=rf"is a {name}; loading it would run code.*--trust-code"):
        converted(path)


def answers_alike(made: Any, model: Any) -> None:
    rows = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    with torch.no_grad():
        expected = torch.softmax(model(torch.from_numpy(rows)), 1).numpy()
    name = str(made.model.description.input[0].name)
    said = probabilities(load(made.model), [{name: row} for row in rows], (0, 1, 2))
    np.testing.assert_allclose(said, expected, atol=1e-5)


def test_a_part_from_elsewhere_is_refused(keras: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    flat(keras, 3, None).save(path)
    rewrite(path, lambda config: config["config"]["layers"][1].update(module="os", class_name="system"))
    with pytest.raises(SourceError, match=r"'system' comes from 'os'; loading it would run code.*; replace it"):
        converted(path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("mine.keras", "layer 'mine' is of the class 'Mine', which is not part of Keras"),
        (
            "mine.h5",
            "layer 'mine' is of the class 'Mine', which is not part of Keras",
        ),
        (
            "known.keras",
            "layer 'known' is of the class 'Known', which is not part of Keras",
        ),
        ("known.h5", "layer 'known' is of the class 'Known', which is not part of Keras"),
        ("whole.keras", "the model is of the class 'Whole', which is not part of Keras"),
        ("ruled.keras", "a part is of the class 'Ruled', which is not part of Keras"),
        ("twice.keras", "the function 'twice' is not part of Keras; replace it with one that is, such as relu"),
        ("twice.h5", "the function 'twice' is not part of Keras; replace it with one that is, such as relu"),
    ],
)
def test_a_part_that_somebody_wrote_is_named(keras: Any, name: str, sentence: str, tmp_path: Path) -> None:
    own_parts(keras)[name.partition(".")[0]]().save(tmp_path / name)
    registered = keras.saving.get_custom_objects()
    for known in [item for item in registered if item.startswith("here>")]:
        del registered[known]  # as in a process that has not seen them
    with pytest.raises(SourceError) as error:
        converted(tmp_path / name)
    assert str(error.value).startswith(f"{tmp_path / name}: {sentence}")
    assert len(str(error.value).splitlines()) == 1


def own_parts(keras: Any) -> dict[str, Any]:
    """Models with parts of a script's own, by name, as Keras writes them from such."""

    class Mine(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    @keras.saving.register_keras_serializable("here")
    class Known(Mine):
        pass

    @keras.saving.register_keras_serializable("here")
    class Whole(keras.Model):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    @keras.saving.register_keras_serializable("here")
    class Ruled(keras.regularizers.Regularizer):  # type: ignore[misc]
        def __call__(self, x: Any) -> Any:
            return keras.ops.sum(x)

        def get_config(self) -> dict[str, Any]:
            return {}

    def twice(x: Any) -> Any:
        return x * 2

    for item in (Mine, Known, Whole, Ruled):
        item.__module__ = "__main__"

    def network(*front: Any, **options: Any) -> Any:
        return keras.Sequential([keras.Input((6,)), *front, keras.layers.Dense(3, **options)])

    def whole() -> Any:
        model = Whole()
        model(np.ones((1, 6), np.float32))
        return model

    return {
        "mine": lambda: network(Mine(name="mine")),
        "known": lambda: network(Known(name="known")),
        "whole": whole,
        "ruled": lambda: network(kernel_regularizer=Ruled()),
        "twice": lambda: network(activation=twice),
    }


def rewrite(path: Path, change: Any) -> None:
    """The configuration inside a .keras file, changed."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(contents["config.json"])
    change(config)
    contents["config.json"] = json.dumps(config).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    path.write_bytes(buffer.getvalue())


def test_files_that_hold_no_model(keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(b"nothing")
    with pytest.raises(SourceError, match=r"is not a Keras model \(File is not a zip file\); save it with model.save"):
        converted(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other", "")
    with pytest.raises(SourceError, match=r"an archive without a config.json, expected a .keras file"):
        converted(path)
    flat(keras, 3, None).save(path)
    rewrite(path, lambda config: config["config"]["layers"][1]["config"].update(units=7))
    with pytest.raises(SourceError, match=r"Keras cannot read it \(\w+: .*; save it again with model.save"):
        converted(path)
    monkeypatch.setattr(reading, "MOST_BYTES", 100)
    with pytest.raises(SourceError, match="expected at most 100; use a smaller model"):
        converted(path)
    model = flat(keras, 3, None)
    model.save_weights(tmp_path / "some.weights.h5")
    with pytest.raises(SourceError, match="contains weights without a model, expected both"):
        converted(tmp_path / "some.weights.h5")


def test_sources_and_inputs_that_do_not_fit(keras: Any) -> None:
    with pytest.raises(SourceError, match=r"source: is a str, expected a keras.Model"):
        converted("text")
    with pytest.raises(SourceError, match=r"has not been built, .*; call it once"):
        converted(keras.Sequential([keras.layers.Dense(3)]))
    model = flat(keras, 3, None)
    with pytest.raises(
        SourceError, match=r"input 'x': has the shape \[5\], but the model expects \[6\]; pass --input x:6$"
    ):
        converted(model, inputs=(ArrayInput("x", (5,)),))
    with pytest.raises(
        SourceError, match=r"input: found 2 for a model with 1 inputs \('.*'\); pass --input once for each"
    ):
        converted(model, inputs=(ArrayInput("x", (6,)), ArrayInput("y", (6,))))
    open_size = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()]
    )
    with pytest.raises(SourceError, match=r"has no fixed shape \(\['any', 'any', 3\]\); pass --input image:WIDTH"):
        converted(open_size)
    assert converted(open_size, inputs=(ImageInput("image", 12, 12, "rgb"),)).agreement.difference < 1e-5


def test_answers_and_labels_that_do_not_fit(keras: Any) -> None:
    with pytest.raises(SourceError, match="labels: found 2 for a network with 3 outputs; name one for each"):
        converted(flat(keras, 3, None), labels=("a", "b"))
    with pytest.raises(SourceError, match=r"one number without a sigmoid: .* pass --labels no,yes"):
        converted(flat(keras, 1, None))


def test_keras_on_another_backend(keras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(SourceError, match="keras: runs on jax in this process, expected torch; set"):
        reading.import_keras()
