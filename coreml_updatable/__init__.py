"""Core ML models that keep learning on an iPhone, verified on any machine.

``load`` runs a model, ``UpdateTask`` trains it as MLUpdateTask does, ``mark`` makes one updatable, ``check`` finds what
a device would refuse. Each name is imported when it is first used, so that ``import coreml_updatable`` is instant.
"""

TYPE_CHECKING = False  # type checkers take it for true; its import from typing would cost more than all the rest here
if TYPE_CHECKING:
    from typing import Any

    from coreml_updatable.api import (
        check,
        compare,
        convert,
        diff,
        inspect,
        knn,
        layout,
        mark,
        read_rows,
        replay,
        save,
        tune,
    )
    from coreml_updatable.bounds import max_memory
    from coreml_updatable.checking import Problem
    from coreml_updatable.data.inputs import ArrayInput, ImageInput
    from coreml_updatable.errors import (
        BuildError,
        CatalogueError,
        DataError,
        ModelError,
        RecipeError,
        SourceError,
        UserError,
    )
    from coreml_updatable.marking.settings import SGD, Adam, DoubleParameter, Int64Parameter
    from coreml_updatable.publishing.catalogue.from_paths import check_catalogue, publish
    from coreml_updatable.runtime import RunnableModel, load
    from coreml_updatable.siblings.making import make_siblings
    from coreml_updatable.updating import Assumptions, UpdateTask
    from coreml_updatable.updating.probes import read_probes, write_probes

    __version__: str

_HOMES = {
    "Adam": "coreml_updatable.marking.settings",
    "ArrayInput": "coreml_updatable.data.inputs",
    "Assumptions": "coreml_updatable.updating",
    "BuildError": "coreml_updatable.errors",
    "CatalogueError": "coreml_updatable.errors",
    "DataError": "coreml_updatable.errors",
    "DoubleParameter": "coreml_updatable.marking.settings",
    "ImageInput": "coreml_updatable.data.inputs",
    "Int64Parameter": "coreml_updatable.marking.settings",
    "ModelError": "coreml_updatable.errors",
    "Problem": "coreml_updatable.checking",
    "RecipeError": "coreml_updatable.errors",
    "RunnableModel": "coreml_updatable.runtime",
    "SGD": "coreml_updatable.marking.settings",
    "SourceError": "coreml_updatable.errors",
    "UpdateTask": "coreml_updatable.updating",
    "UserError": "coreml_updatable.errors",
    "check": "coreml_updatable.api",
    "compare": "coreml_updatable.api",
    "check_catalogue": "coreml_updatable.publishing.catalogue.from_paths",
    "convert": "coreml_updatable.api",
    "diff": "coreml_updatable.api",
    "inspect": "coreml_updatable.api",
    "knn": "coreml_updatable.api",
    "layout": "coreml_updatable.api",
    "load": "coreml_updatable.runtime",
    "make_siblings": "coreml_updatable.siblings.making",
    "mark": "coreml_updatable.api",
    "max_memory": "coreml_updatable.bounds",
    "publish": "coreml_updatable.publishing.catalogue.from_paths",
    "read_probes": "coreml_updatable.updating.probes",
    "read_rows": "coreml_updatable.api",
    "replay": "coreml_updatable.api",
    "save": "coreml_updatable.api",
    "tune": "coreml_updatable.api",
    "write_probes": "coreml_updatable.updating.probes",
}

__all__ = [
    "SGD",
    "Adam",
    "ArrayInput",
    "Assumptions",
    "BuildError",
    "CatalogueError",
    "DataError",
    "DoubleParameter",
    "ImageInput",
    "Int64Parameter",
    "ModelError",
    "Problem",
    "RecipeError",
    "RunnableModel",
    "SourceError",
    "UpdateTask",
    "UserError",
    "__version__",
    "check",
    "check_catalogue",
    "compare",
    "convert",
    "diff",
    "inspect",
    "knn",
    "layout",
    "load",
    "make_siblings",
    "mark",
    "max_memory",
    "publish",
    "read_probes",
    "read_rows",
    "replay",
    "save",
    "tune",
    "write_probes",
]


def __getattr__(name: str) -> "Any":
    if name == "__version__":
        from importlib.metadata import version

        return version("coreml-updatable")
    if name not in _HOMES:
        raise AttributeError(f"module 'coreml_updatable' has no attribute {name!r}")
    from importlib import import_module
    from inspect import isfunction

    found = getattr(import_module(_HOMES[name]), name)
    if isfunction(found):
        from coreml_updatable.spelling import spelled_in_python

        found = spelled_in_python(found)
    globals()[name] = found  # the same one from now on
    return found


def __dir__() -> list[str]:
    return __all__
