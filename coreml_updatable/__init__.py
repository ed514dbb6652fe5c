"""Core ML models that keep learning on an iPhone, verified on any machine.

``load`` runs a model, ``UpdateTask`` trains it as MLUpdateTask does, ``mark`` makes a model updatable, and ``check``
finds what a device would refuse. Each name is imported on first use, so ``import coreml_updatable`` is instant.
"""
# ruff: noqa: I001 - isort would give each of the names that are exported again a statement of its own

TYPE_CHECKING = False  # type checkers take it for true; its import from typing would cost more than all the rest here
if TYPE_CHECKING:
    from typing import Any

    from coreml_updatable.api import (
        check as check,
        compare as compare,
        convert as convert,
        diff as diff,
        inspect as inspect,
        knn as knn,
        layout as layout,
        mark as mark,
        read_rows as read_rows,
        replay as replay,
        save as save,
        tune as tune,
    )
    from coreml_updatable.bounds import max_memory as max_memory
    from coreml_updatable.checking import Problem as Problem
    from coreml_updatable.data.inputs import ArrayInput as ArrayInput, ImageInput as ImageInput
    from coreml_updatable.errors import (
        BuildError as BuildError,
        CatalogueError as CatalogueError,
        DataError as DataError,
        ModelError as ModelError,
        RecipeError as RecipeError,
        SourceError as SourceError,
        UserError as UserError,
    )
    from coreml_updatable.marking.settings import (
        SGD as SGD,
        Adam as Adam,
        DoubleParameter as DoubleParameter,
        Int64Parameter as Int64Parameter,
    )
    from coreml_updatable.publishing.catalogue.from_paths import check_catalogue as check_catalogue, publish as publish
    from coreml_updatable.runtime import RunnableModel as RunnableModel, load as load
    from coreml_updatable.siblings.making import make_siblings as make_siblings
    from coreml_updatable.updating import Assumptions as Assumptions, UpdateTask as UpdateTask
    from coreml_updatable.updating.probes import read_probes as read_probes, write_probes as write_probes

    __version__: str

_NAMES = {
    "api": "check compare convert diff inspect knn layout mark read_rows replay save tune",
    "bounds": "max_memory",
    "checking": "Problem",
    "data.inputs": "ArrayInput ImageInput",
    "errors": "BuildError CatalogueError DataError ModelError RecipeError SourceError UserError",
    "marking.settings": "Adam DoubleParameter Int64Parameter SGD",
    "publishing.catalogue.from_paths": "check_catalogue publish",
    "runtime": "load RunnableModel",
    "siblings.making": "make_siblings",
    "updating": "Assumptions UpdateTask",
    "updating.probes": "read_probes write_probes",
}
_HOMES = {name: f"coreml_updatable.{module}" for module, names in _NAMES.items() for name in names.split()}
__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> "Any":
    if name == "__version__":
        from importlib.metadata import version

        return version("coreml-updatable")
    if name not in _HOMES:
        raise AttributeError(f"module 'coreml_updatable' has no attribute {name!r}")
    from importlib import import_module
    from inspect import isfunction

    result = getattr(import_module(_HOMES[name]), name)
    if isfunction(result):
        from coreml_updatable.spelling import spelled_in_python

        result = spelled_in_python(result)
    globals()[name] = result  # the same one from now on
    return result


def __dir__() -> list[str]:
    return __all__
