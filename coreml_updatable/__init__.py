"""Core ML models that keep learning on an iPhone, verified on any machine.

``load`` runs a model, ``UpdateTask`` trains it as MLUpdateTask does, ``mark`` makes one updatable, ``check`` finds what
a device would refuse. Each name is imported when it is first used, so that ``import coreml_updatable`` is instant.
"""

TYPE_CHECKING = False  # type checkers take it for true; its import from typing would cost more than all the rest here
if TYPE_CHECKING:
    from typing import Any

    from coreml_updatable.api import check, convert, diff, inspect, knn, layout, mark, save
    from coreml_updatable.checking import Problem
    from coreml_updatable.data.inputs import ArrayInput, ImageInput
    from coreml_updatable.errors import BuildError, DataError, ModelError, SourceError, UserError
    from coreml_updatable.marking.settings import SGD, Adam, DoubleParameter, Int64Parameter
    from coreml_updatable.runtime import RunnableModel, load
    from coreml_updatable.updating import Assumptions, UpdateTask

    __version__: str

_HOMES = {
    "Adam": "coreml_updatable.marking.settings",
    "ArrayInput": "coreml_updatable.data.inputs",
    "Assumptions": "coreml_updatable.updating",
    "BuildError": "coreml_updatable.errors",
    "DataError": "coreml_updatable.errors",
    "DoubleParameter": "coreml_updatable.marking.settings",
    "ImageInput": "coreml_updatable.data.inputs",
    "Int64Parameter": "coreml_updatable.marking.settings",
    "ModelError": "coreml_updatable.errors",
    "Problem": "coreml_updatable.checking",
    "RunnableModel": "coreml_updatable.runtime",
    "SGD": "coreml_updatable.marking.settings",
    "SourceError": "coreml_updatable.errors",
    "UpdateTask": "coreml_updatable.updating",
    "UserError": "coreml_updatable.errors",
    "check": "coreml_updatable.api",
    "convert": "coreml_updatable.api",
    "diff": "coreml_updatable.api",
    "inspect": "coreml_updatable.api",
    "knn": "coreml_updatable.api",
    "layout": "coreml_updatable.api",
    "load": "coreml_updatable.runtime",
    "mark": "coreml_updatable.api",
    "save": "coreml_updatable.api",
}

__all__ = [
    "SGD",
    "Adam",
    "ArrayInput",
    "Assumptions",
    "BuildError",
    "DataError",
    "DoubleParameter",
    "ImageInput",
    "Int64Parameter",
    "ModelError",
    "Problem",
    "RunnableModel",
    "SourceError",
    "UpdateTask",
    "UserError",
    "__version__",
    "check",
    "convert",
    "diff",
    "inspect",
    "knn",
    "layout",
    "load",
    "mark",
    "save",
]


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
