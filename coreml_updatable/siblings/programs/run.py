"""Run in the environment of an engine: one request in, one reply out (see ``coreml_updatable/environments.py``).

Nothing in this folder imports coreml_updatable, and nothing of coreml_updatable imports this folder.
"""

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any


def main(request_path: Path, reply_path: Path) -> None:
    request = json.loads(request_path.read_text(encoding="utf-8"))
    reply: dict[str, Any]
    try:
        reply = {"answer": _operation(request["operation"])(request)}
    except ModuleNotFoundError as error:
        reply = {"missing": error.name}
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an engine does, it is told
        reply = {"failed": " ".join(f"{type(error).__name__}: {error}".split())}
    part = reply_path.with_suffix(".part")
    part.write_text(json.dumps(reply), encoding="utf-8")
    part.replace(reply_path)


def _operation(name: str) -> Any:
    """The function ``answer`` of the file of that name beside this one."""
    spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.answer


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
