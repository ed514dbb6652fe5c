"""Change one place of the code at a time, and see whether the closest tests notice.

    python -m tests.mutants [--sample 300] [--seed 0] [--only checking,marking] [--workers 2] [--timeout 120]

A script of our own: cosmic-ray starts an interpreter for every mutant, whose imports take seconds, and changes the tree
it runs in; and neither it nor mutmut has an option that draws a sample by seed. Each worker has a copy of the tree, and
for every mutant forks a process that has imported the libraries. A test counts only if it passes on unchanged code.
Not changed: texts, what a ``raise`` says, annotations, decorators, and ``strict=`` of ``zip``.
"""

import argparse
import ast
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "coreml_updatable"
CATALOGUE = [f"publishing/catalogue/{name}.py" for name in ("signing", "site_files", "client")]
AREAS = {  # what is changed, and which tests may notice
    "layers": (["runtime/layers"], ["tests/runtime"]),
    "checking": (["checking"], ["tests/checking", "tests/cli/test_check.py"]),
    "marking": (["marking"], ["tests/marking"]),
    "updating": (["updating"], ["tests/updating"]),
    "neighbors": (["runtime/neighbors"], ["tests/runtime", "tests/updating"]),
    "catalogue": (CATALOGUE, ["tests/publishing/catalogue", "tests/publishing/serving", "tests/test_files.py"]),
}
SLOW = ("test_device_evidence.py", "test_strided_convolutions.py", "test_probes.py", "test_publish_broken_off.py")
CLOSEST = 8  # test files a mutant
MARKERS = "not slow and not vision and not onnx_route and not turi and not browser"
MEMORY = 2**33
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.USub: ast.UAdd,
    ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor"}


@dataclass(frozen=True)
class Mutant:
    path: Path  # below the root
    line: int
    change: str
    source: str
    area: str


def changes(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST, str, Any]]:
    """What may be changed below ``node``: what holds it as shown, the node, its attribute and the new value."""
    match node:
        case ast.Raise() | ast.JoinedStr() | ast.alias():
            return
        case ast.Compare(ops=[op]) | ast.BoolOp(op=op) | ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.UnaryOp(op=op):
            sides = [getattr(node, side, None) for side in ("left", "right", "value")]
            if type(op) in SWAPS and not any(_is_text(side) for side in sides if side is not None):
                new = SWAPS[type(op)]()
                yield node, node, *(("ops", [new]) if isinstance(node, ast.Compare) else ("op", new))
            elif isinstance(op, ast.Not) and isinstance(node, ast.UnaryOp):
                yield node, node, "operand", ast.UnaryOp(ast.Not(), node.operand)
        case ast.Constant(value=bool() as value):
            yield node, node, "value", not value
        case ast.Constant(value=int() | float() as value):
            yield node, node, "value", value + 1
            yield node, node, "value", value - 1 if value != 1e-7 else value * 2
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in NAMES:
            yield node, node.func, "id" if isinstance(node.func, ast.Name) else "attr", NAMES[name]
        case ast.If(test=test) | ast.IfExp(test=test) if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp):
            yield test, node, "test", ast.UnaryOp(ast.Not(), test)
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        if isinstance(node, ast.keyword) and node.arg == "strict":
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from changes(child)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def mutants(area: str) -> Iterator[Mutant]:
    for place in AREAS[area][0]:
        whole = PACKAGE / place
        for path in sorted(whole.rglob("*.py")) if whole.is_dir() else [whole]:
            tree = ast.parse(path.read_text())
            for shown, node, attribute, new in changes(tree):
                old, before = getattr(node, attribute), ast.unparse(shown)
                setattr(node, attribute, new)
                after = ast.unparse(getattr(node, attribute) if attribute == "test" else shown)
                change = f"{' '.join(before.split())[:100]}  ->  {' '.join(after.split())[:100]}"
                yield Mutant(path.relative_to(ROOT), shown.lineno, change, ast.unparse(tree), area)  # type: ignore[attr-defined]
                setattr(node, attribute, old)


def closest(mutant: Mutant) -> list[str]:
    """Test files of the area: first those that name the module or what it defines most often."""
    tree = ast.parse((ROOT / mutant.path).read_text())
    words = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    words = [mutant.path.stem, *(word for word in words if not word.startswith("_") and len(word) > 4)]
    scores = {}
    for place in AREAS[mutant.area][1]:
        for path in sorted((ROOT / place).rglob("test_*.py")) if (ROOT / place).is_dir() else [ROOT / place]:
            text = path.read_text()
            if path.name not in SLOW:
                scores[str(path.relative_to(ROOT))] = sum(text.count(word) for word in words)
    return sorted(scores, key=lambda name: -scores[name])[:CLOSEST]


class Failed:
    """A pytest plugin that writes down which test failed."""

    def __init__(self, note: Path) -> None:
        self.note = note

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.note.write_text(report.nodeid)


def run(copy: Path, tests: list[str], timeout: float) -> str:
    """The test that failed, "" where none did, or "timeout"; "import" where the tests do not even load."""
    note = copy / "failed.txt"
    note.unlink(missing_ok=True)
    if not (child := os.fork()):
        status = 9
        try:
            status = _test(copy, tests, note)
        except BaseException as error:  # noqa: BLE001
            (copy / "log.txt").write_text(repr(error))
        os._exit(status)  # what the parent would clean up stays
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "" if status == 0 else note.read_text() if note.exists() else "import"
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timeout"


def _test(copy: Path, tests: list[str], note: Path) -> int:
    os.setsid()
    log = os.open(copy / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.chdir(copy)
    sys.path[:] = [str(copy), *(path for path in sys.path if path not in ("", str(ROOT)))]
    sys.modules.pop("tests", None)
    os.environ["PYTHONPATH"] = str(copy)
    import pytest

    options = ["-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    options += ["--hypothesis-profile=ci", "-m", MARKERS]
    return int(pytest.main([*options, *tests], plugins=[Failed(note)]))


def work(chosen: list[Mutant], timeout: float, results: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")[:-1]:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_file():
                shutil.copy(ROOT / name, copy / name)
        sound: dict[str, bool] = {}
        sys.dont_write_bytecode = False
        for mutant in chosen:
            tests = closest(mutant)
            unfit: list[str] = []
            while True:
                (copy / mutant.path).write_text(mutant.source)
                # Bytecode is trusted by a file's size and second, which a mutant shares with another.
                shutil.rmtree(copy / mutant.path.parent / "__pycache__", ignore_errors=True)
                killer = run(copy, [*tests, *(f"--deselect={name}" for name in unfit)], timeout)
                shutil.copy(ROOT / mutant.path, copy / mutant.path)
                shutil.rmtree(copy / mutant.path.parent / "__pycache__", ignore_errors=True)
                if killer in ("", "timeout", "import"):
                    break
                if killer not in sound:
                    sound[killer] = run(copy, [killer], timeout) == ""
                if sound[killer]:
                    break
                unfit.append(killer)
            results.put((mutant, killer, unfit))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sample", type=int, default=300, help="number of mutants")
    parser.add_argument("--seed", type=int, default=0, help="which mutants are drawn")
    parser.add_argument("--only", default=",".join(AREAS), help=f"areas, of {', '.join(AREAS)}")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=120, help="seconds a mutant; running out of them kills it")
    options = parser.parse_args()
    every = [mutant for area in options.only.split(",") for mutant in mutants(area)]
    chosen = Random(options.seed).sample(every, min(options.sample, len(every)))
    for library in ("coremltools", "pytest", "sklearn.neighbors", "torch"):
        __import__(library)
    context = get_context("fork")
    results = context.Queue()
    for number in range(options.workers):
        context.Process(target=work, args=(chosen[number :: options.workers], options.timeout, results)).start()
    killed = 0
    unfit: set[str] = set()
    for _ in chosen:
        mutant, killer, failing = results.get()
        killed += bool(killer)
        unfit |= set(failing)
        how = f"killed    by {killer}" if killer else "SURVIVED "
        print(f"{mutant.path}:{mutant.line}: {mutant.change}\n    {how}", flush=True)
    for name in sorted(unfit):
        print(f"left out, fails on unchanged code: {name}")
    print(
        f"{killed} of {len(chosen)} mutants killed ({killed / len(chosen):.0%}), seed {options.seed}, of {len(every)}"
    )


if __name__ == "__main__":
    main()
