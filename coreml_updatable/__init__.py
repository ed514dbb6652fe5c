"""Core ML models that an iPhone can go on training, proved on any machine.

``load`` runs a model, ``UpdateTask`` trains it as MLUpdateTask does, ``mark`` makes one updatable, ``check`` finds what
a device would refuse. Each is imported when it is first used, so that ``import coreml_updatable`` is instant.
"""

TYPE_CHECKING = False  # type checkers take it for true; its import from typing would cost more than all the rest here
if TYPE_CHECKING:
    from typing import Any

    from coreml_updatable.checking import Problem, check
    from coreml_updatable.errors import ModelError
    from coreml_updatable.marking import mark
    from coreml_updatable.runtime import load
    from coreml_updatable.updating import UpdateTask

    __version__: str

_HOMES = {
    "ModelError": "coreml_updatable.errors",
    "Problem": "coreml_updatable.checking",
    "UpdateTask": "coreml_updatable.updating",
    "check": "coreml_updatable.checking",
    "load": "coreml_updatable.runtime",
    "mark": "coreml_updatable.marking",
}

__all__ = ["ModelError", "Problem", "UpdateTask", "__version__", "check", "load", "mark"]


def __getattr__(name: str) -> "Any":
    if name == "__version__":
        from importlib.metadata import version

        return version("coreml-updatable")
    if name not in _HOMES:
        raise AttributeError(f"module 'coreml_updatable' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
