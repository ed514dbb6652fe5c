"""Reading a Keras file: what it says is looked through before Keras sees it; nothing runs unless it is trusted."""

import json
import os
import sys
import warnings
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

from coreml_updatable.errors import SourceError

from .keras_parts import imported_parts, refuse_code, unknown_part
from .torch_wording import first_line

MOST_BYTES = 2**31  # of a file once unpacked
HDF5 = (".h5", ".hdf5")


def import_keras() -> ModuleType:
    """Keras on torch; a SourceError where this process has it on another backend already."""
    chosen = os.environ.get("KERAS_BACKEND")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "torch"
    try:
        import keras
    finally:
        if chosen is not None:
            os.environ["KERAS_BACKEND"] = chosen
        else:
            os.environ.pop("KERAS_BACKEND", None)
    if keras.backend.backend() != "torch":
        raise SourceError(
            f"keras: runs on {keras.backend.backend()} in this process, expected torch; "
            "set KERAS_BACKEND=torch before keras is imported"
        )
    library: ModuleType = keras
    return library


def read_model(source: Any, trusted: bool) -> Any:
    """The ``keras.Model`` in the file at the Path ``source``; anything but a Path is taken for the model itself."""
    keras = import_keras()
    if not isinstance(source, Path):
        if not isinstance(source, keras.Model):
            raise SourceError(f"source: is a {type(source).__name__}, expected a keras.Model; build and train one")
        return source
    config = _config_of(source)
    refuse_code(config, source, trusted)
    own = imported_parts(config, source) if trusted else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about optimizers that are not restored
            custom = {**({"DepthwiseConv2D": _depthwise(keras)} if source.suffix.lower() in HDF5 else {}), **own}
            return keras.saving.load_model(source, compile=False, safe_mode=not trusted, custom_objects=custom)
    except Exception as error:  # a damaged file, or one of another version, may fail anywhere in the reader
        unknown = unknown_part(config, keras)
        if unknown:
            raise SourceError(
                f"{source}: {unknown}, which is none of Keras's own; build the model of Keras's own layers, give it "
                "the weights, and save it anew"
            ) from error
        raise SourceError(
            f"{source}: Keras can not read it ({type(error).__name__}: {first_line(error)}); "
            "save it anew with model.save, as .h5 if Keras 2 made it"
        ) from error


def _config_of(path: Path) -> Any:
    """What the file says of the model's layers, as JSON values."""
    try:
        text = _hdf5_config(path) if path.suffix.lower() in HDF5 else _archive_config(path)
        return json.loads(text)
    except SourceError:
        raise
    except (OSError, KeyError, ValueError, RecursionError, zipfile.BadZipFile) as error:
        raise SourceError(f"{path}: no Keras model ({first_line(error)}); save it with model.save") from error


def _archive_config(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > MOST_BYTES:
            raise SourceError(f"{path}: unpacks to {size} bytes, expected at most {MOST_BYTES}; use a smaller model")
        if "config.json" not in archive.namelist():
            raise SourceError(f"{path}: an archive without a config.json, expected a .keras file; save with model.save")
        return archive.read("config.json")


def _hdf5_config(path: Path) -> str | bytes:
    import h5py

    with h5py.File(path, "r") as file:
        config = file.attrs.get("model_config")
        if not isinstance(config, str | bytes):
            raise SourceError(
                f"{path}: holds weights without a model, expected both; save the whole model with model.save"
            )
        return config


def _depthwise(keras: ModuleType) -> type:
    """Keras 2 wrote ``groups`` into the layers of MobileNet, where it is always 1; Keras 3 refuses the word."""

    class DepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc, name-defined]
        def __init__(self, **options: Any) -> None:
            options.pop("groups", None)
            super().__init__(**options)

    return DepthwiseConv2D
