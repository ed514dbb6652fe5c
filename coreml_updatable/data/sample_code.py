"""Load a function from a Python file in a recipe's folder: ``"drawing.py:draw"``.

A recipe's own code runs with the rights of whoever builds it, as a Makefile's does. Code from outside the recipe's
folder, which it did not bring along, runs only where it is trusted (see trust.py).
"""

import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from coreml_updatable.errors import DataError, RecipeError, UserError
from coreml_updatable.trust import expect_trust


def load_function(folder: Path, reference: str, trusted: bool = False) -> Callable[..., Any]:
    """The function that ``"file.py:name"`` names, the file lying inside ``folder`` unless code is ``trusted``.

    The file's folder is imported as a package of its own, so its files may import each other relatively.
    """
    file_name, _, name = reference.partition(":")
    root = folder.resolve()
    path = (root / file_name).resolve()
    if not path.is_relative_to(root):
        expect_trust(trusted, f"{reference}: is outside {folder}", "keep it in the recipe's folder", error=RecipeError)
        root = path.parent
    if not path.is_file():
        raise RecipeError(f"{reference}: {file_name} does not exist in {folder}; check the name")
    module = _import_file(root, path)
    function: Callable[..., Any] | None = getattr(module, name, None)
    if not callable(function):
        raise RecipeError(f"{reference}: {file_name} has no function {name!r}; define it or correct the name")
    return function


def _import_file(root: Path, path: Path) -> ModuleType:
    package = "recipe_code_" + sha256(str(root).encode()).hexdigest()[:12]
    if package not in sys.modules:
        spec = importlib.machinery.ModuleSpec(package, None, is_package=True)
        spec.submodule_search_locations = [str(root)]
        sys.modules[package] = importlib.util.module_from_spec(spec)
    inner = ".".join(path.relative_to(root).with_suffix("").parts)
    try:
        return importlib.import_module(f"{package}.{inner}")
    except (Exception, SystemExit) as error:  # a user's file may raise anything, and even leave, while it is imported
        raise RecipeError(f"{path}: cannot be imported ({_reason(error)}); correct it") from error


def called(what: str, function: Callable[..., Any], *arguments: Any, error: type[UserError] = DataError) -> Any:
    """Call a sample's ``function``; anything it raises becomes an ``error`` that says that ``what`` failed.

    A UserError of its own is passed on as it is.
    """
    try:
        return function(*arguments)
    except UserError:
        raise
    except (Exception, SystemExit) as raised:  # a user's function may raise anything, and even leave
        raise error(f"{what} failed ({_reason(raised):.200}); correct it") from raised


def _reason(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
