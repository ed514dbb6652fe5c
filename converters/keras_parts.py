"""What a Keras file says of the model's parts: none may run as code, and which of them Keras does not have."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from coreml_updatable.errors import SourceError

MODELS = ("Sequential", "Functional", "Model")


def refuse_code(config: Any, path: Path) -> None:
    """A SourceError where a part of ``config`` would run as code, or comes from outside Keras by what it says."""
    for part in _parts(config):
        module, name, inner = part.get("module"), part.get("class_name"), part.get("config")
        if name == "Lambda":
            raise SourceError(
                f"{path}: layer {_name(part)!r} is a Lambda, which runs as code when it is read; "
                "replace it by a layer of Keras, such as Rescaling, and save the model anew"
            )
        if module == "builtins" and name == "function" and isinstance(inner, str):
            raise SourceError(
                f"{path}: the function {inner.rpartition('>')[2]!r} is none of Keras's own; "
                "replace it by one, such as relu, and save the model anew"
            )
        if isinstance(module, str) and module.partition(".")[0] not in ("keras", "tf_keras", "tensorflow"):
            raise SourceError(
                f"{path}: {name!r} comes from {module!r}, expected nothing but parts of Keras; "
                "replace it by one and save the model anew"
            )


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
