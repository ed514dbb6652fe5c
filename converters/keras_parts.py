"""What a Keras file says of the model's parts: none may run as code, and which of them Keras does not have."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from coreml_updatable.errors import SourceError
from coreml_updatable.trust import expect_trust

from .torch_wording import first_line

CODE = ("Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer")  # Keras's layers around code of any kind
MODELS = ("Sequential", "Functional", "Model")


def refuse_code(config: Any, path: Path, trusted: bool) -> None:
    """A SourceError where a part of ``config`` is code, or comes from outside Keras, and the file is not ``trusted``.

    A function that is written by its name only can not be had from the file either way.
    """
    for part in _parts(config):
        module, name, inner = part.get("module"), part.get("class_name"), part.get("config")
        if name in CODE:
            safe = "replace it by another layer of Keras, such as Rescaling, and save the model anew"
            expect_trust(trusted, f"{path}: layer {_name(part)!r} is a {name}", safe)
        if module == "builtins" and name == "function" and isinstance(inner, str):
            raise SourceError(
                f"{path}: the function {inner.rpartition('>')[2]!r} is none of Keras's own; "
                "replace it by one, such as relu, and save the model anew"
            )
        if is_foreign(part):
            safe = "replace it by a part of Keras and save the model anew"
            expect_trust(trusted, f"{path}: {name!r} comes from {module!r}", safe)


def is_foreign(part: dict[str, Any]) -> bool:
    """Whether the part comes from a module outside Keras, by what it says."""
    module = part.get("module")
    if not isinstance(module, str) or module == "builtins":
        return False
    return module.partition(".")[0] not in ("keras", "tf_keras", "tensorflow")


def imported_parts(config: Any, path: Path) -> dict[str, Any]:
    """What ``config`` names of modules outside Keras, imported, by the names under which Keras asks for them."""
    found: dict[str, Any] = {}
    for part in _parts(config):
        if not is_foreign(part):
            continue
        module, name = str(part["module"]), str(part.get("class_name"))
        try:
            known = getattr(import_module(module), name)
        except Exception as error:  # the module's own code runs
            raise SourceError(
                f"{path}: {name!r} can not be imported from {module!r} ({type(error).__name__}: {first_line(error)}); "
                "name the folder of that module in PYTHONPATH"
            ) from error
        found |= {name: known, str(part.get("registered_name") or name): known}
    return found


def unknown_part(config: Any, keras: ModuleType) -> str:
    """Like "layer 'my' is of the class 'My'", of a part that somebody wrote outside Keras; empty where there is none.

    Keras 3 writes that such come from no module; in .h5 files layers have none at all, and their name must do.
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
    """Every dictionary in ``config``, however deep."""
    waiting = [config]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
