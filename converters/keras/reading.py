"""Read a Keras file. Its configuration is checked before Keras reads it, and nothing in it may run as code."""

import json
import os
import sys
import warnings
import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from coreml_updatable.bounds import TooMuchError
from coreml_updatable.converting.source_bounds import within_bounds
from coreml_updatable.errors import SourceError
from coreml_updatable.trust import expect_trust

from .._shared.wording import first_line

CODE = ("Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer")  # Keras's layers around code of any kind
MODELS = ("Sequential", "Functional", "Model")


def refuse_code(config: Any, path: Path, trusted: bool) -> None:
    """Raise SourceError if a part of ``config`` is code or comes from outside Keras, and the file is not ``trusted``.

    A function that is stored only by name cannot be loaded from the file in any case.
    """
    for part in _parts(config):
        module, name, inner = part.get("module"), part.get("class_name"), part.get("config")
        if name in CODE:
            safe = "replace it with another layer of Keras, such as Rescaling, and save the model again"
            expect_trust(trusted, f"{path}: layer {_name(part)!r} is a {name}", safe)
        if module == "builtins" and name == "function" and isinstance(inner, str):
            raise SourceError(
                f"{path}: the function {inner.rpartition('>')[2]!r} is not part of Keras; replace it with one that "
                "is, such as relu, and save the model again"
            )
        if is_foreign(part):
            safe = "replace it with a part of Keras and save the model again"
            expect_trust(trusted, f"{path}: {name!r} comes from {module!r}", safe)


def is_foreign(part: dict[str, Any]) -> bool:
    """Return whether the part says that it comes from a module outside Keras."""
    module = part.get("module")
    if not isinstance(module, str) or module == "builtins":
        return False
    return module.partition(".")[0] not in ("keras", "tf_keras", "tensorflow")


def imported_parts(config: Any, path: Path) -> dict[str, Any]:
    """Import what ``config`` names from outside Keras; return it by the names that Keras uses."""
    result: dict[str, Any] = {}
    for part in _parts(config):
        if not is_foreign(part):
            continue
        module, name = str(part["module"]), str(part.get("class_name"))
        try:
            known = getattr(import_module(module), name)
        except Exception as error:  # the module's own code runs
            raise SourceError(
                f"{path}: {name!r} cannot be imported from {module!r} ({type(error).__name__}: {first_line(error)}); "
                "add the folder of that module to PYTHONPATH"
            ) from error
        result |= {name: known, str(part.get("registered_name") or name): known}
    return result


def unknown_part(config: Any, keras: ModuleType) -> str:
    """Return text such as "layer 'my' is of the class 'My'" for a part from outside Keras; empty if there is none.

    Keras 3 writes an empty module for them; in .h5 files layers have no module, so only their names count.
    """
    parts = [part for part in _parts(config) if isinstance(part.get("class_name"), str)]
    nowhere = [part for part in parts if part.get("module", "") is None]
    unheard = [part for part in parts if "module" not in part and _name(part) and not _known(part["class_name"], keras)]
    for part in (*nowhere, *unheard):
        kind, name = part["class_name"].rpartition(">")[2], _name(part)
        where = "the model" if part is config else f"layer {name!r}" if name else "a part"
        return f"{where} is of the class {kind!r}"
    return ""


def _known(kind: str, keras: ModuleType) -> bool:
    return kind in MODELS or hasattr(keras.layers, kind)


def _name(part: dict[str, Any]) -> Any:
    inner = part.get("config")
    return inner.get("name") if isinstance(inner, dict) else None


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """Yield every dictionary in ``config``, at any depth."""
    waiting = [config]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


MOST_BYTES = 2**31  # of a file once unpacked
HDF5 = (".h5", ".hdf5")


def import_keras() -> ModuleType:
    """Import Keras on torch; raise SourceError if this process already uses another backend."""
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
    """Return the ``keras.Model`` in the file ``source``; anything that is not a Path must be the model itself."""
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
            with within_bounds(f"{source}", file=source.stat().st_size):  # its layers are made before weights are read
                return keras.saving.load_model(source, compile=False, safe_mode=not trusted, custom_objects=custom)
    except TooMuchError:
        raise
    except Exception as error:  # a damaged file, or one of another version, may fail anywhere in the reader
        unknown = unknown_part(config, keras)
        if unknown:
            raise SourceError(
                f"{source}: {unknown}, which is not part of Keras; build the model from layers of Keras, load the "
                "weights, and save it again"
            ) from error
        raise SourceError(
            f"{source}: Keras cannot read it ({type(error).__name__}: {first_line(error)}); save it again with "
            "model.save, as .h5 if it is from Keras 2"
        ) from error


def _config_of(path: Path) -> Any:
    """Return the configuration of the model in the file, as JSON values."""
    try:
        text = _hdf5_config(path) if path.suffix.lower() in HDF5 else _archive_config(path)
        return json.loads(text)
    except SourceError:
        raise
    except (OSError, KeyError, ValueError, RecursionError, zipfile.BadZipFile) as error:
        raise SourceError(f"{path}: is not a Keras model ({first_line(error)}); save it with model.save") from error


def _archive_config(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > MOST_BYTES:
            raise SourceError(f"{path}: unpacks to {size} bytes, expected at most {MOST_BYTES}; use a smaller model")
        if "config.json" not in archive.namelist():
            raise SourceError(
                f"{path}: is an archive without a config.json, expected a .keras file; save with model.save"
            )
        return archive.read("config.json")


def _hdf5_config(path: Path) -> str | bytes:
    import h5py

    with h5py.File(path, "r") as file:
        config = file.attrs.get("model_config")
        if not isinstance(config, str | bytes):
            raise SourceError(
                f"{path}: contains weights without a model, expected both; save the complete model with model.save"
            )
        return config


def _depthwise(keras: ModuleType) -> type:
    """Drop ``groups``, which Keras 2 wrote into the layers of MobileNet (always 1) and Keras 3 does not accept."""

    class DepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc, name-defined]  # Keras is untyped
        def __init__(self, **options: Any) -> None:
            options.pop("groups", None)
            super().__init__(**options)

    return DepthwiseConv2D
