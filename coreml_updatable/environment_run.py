"""Runs inside another Python environment (``environments.py``), from 3.8 on.

``environment_run.py REQUEST REPLY PROGRAM`` calls ``answer`` of PROGRAM, a Python file, with the request. Neither this
file nor a program imports coreml_updatable, and nothing of coreml_updatable imports them.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

PACKAGE = "programs"


def main(request_path: Path, reply_path: Path, program: Path) -> None:
    """Write {"answer": ...}, {"missing": a package}, or {"failed": what was raised}."""
    request = json.loads(request_path.read_text(encoding="utf-8"))
    reply: dict[str, Any]
    try:
        reply = {"answer": _program(program).answer(request)}
    except ModuleNotFoundError as error:
        reply = {"missing": error.name}
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a library does, it is told
        reply = {"failed": " ".join(f"{type(error).__name__}: {error}".split())}
    part = reply_path.with_suffix(".part")
    part.write_text(json.dumps(reply), encoding="utf-8")
    part.replace(reply_path)


def _program(path: Path) -> Any:
    """Import the folder of ``path`` as a package, so that its files can import each other relatively."""
    spec = ModuleSpec(PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [str(path.parent)]
    sys.modules[PACKAGE] = module_from_spec(spec)
    return import_module(f"{PACKAGE}.{path.stem}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
