"""Run in Python 3.8, which Turi Create needs: one request in, one reply out, both as JSON files.

``run.py REQUEST REPLY``. The request names an operation, a file beside this one, whose ``answer`` is called with it.
Nothing in this folder imports coreml_updatable, and nothing of coreml_updatable imports this folder.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

PACKAGE = "python38"


def main(request_path: Path, reply_path: Path) -> None:
    """Write {"answer": ...}, {"missing": a package}, {"pretrained": an address}, or {"failed": what was raised}."""
    request = json.loads(request_path.read_text(encoding="utf-8"))
    reply: dict[str, Any]
    try:
        reply = {"answer": _operation(request["operation"])(request)}
    except ModuleNotFoundError as error:
        reply = {"missing": error.name}
    except (Exception, SystemExit) as error:  # noqa: BLE001 - Turi Create may leave, too
        told = " ".join(f"{type(error).__name__}: {error}".split())
        reply = {"pretrained": str(error)} if type(error).__name__ == "PretrainedMissing" else {"failed": told}
    part = reply_path.with_suffix(".part")
    part.write_text(json.dumps(reply), encoding="utf-8")
    part.replace(reply_path)


def _operation(name: str) -> Any:
    """Import this folder as a package, so that its files can import each other relatively."""
    spec = ModuleSpec(PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [str(Path(__file__).resolve().parent)]
    sys.modules[PACKAGE] = module_from_spec(spec)
    return import_module(f"{PACKAGE}.{name}").answer


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
