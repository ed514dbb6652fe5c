"""Change one place of the code at a time, and see whether the closest tests notice.

    python -m tests.mutants [--sample 300] [--seed 0] [--only checking,marking] [--workers 2]

cosmic-ray makes the changes and keeps the session (build/mutants/*.sqlite, which its cr-html and cr-report read, and
with which a run that was stopped goes on). It has no sampling, no choice of tests for a change and no parallel runs
beside its HTTP servers; these are here. A place is drawn, then one of the operators that change it. Left alone are
texts (what a ``raise`` says, f-strings, what a finding says), annotations, decorators, and ``strict=`` of ``zip``.

coverage tells which tests run a line; the closest are those that run the least of everything else. A test counts only
if it passes on unchanged code. A change that cannot be imported is no mutant: the next one is drawn in its place.
Mutants known to be equivalent, with the reason, are in tests/equivalent_mutants.toml; they count as survivors.
"""

import argparse
import ast
import contextlib
import gc
import hashlib
import importlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import _lru_cache_wrapper
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from multiprocessing import get_context
from pathlib import Path
from random import Random
from types import CodeType, FunctionType, ModuleType
from typing import Any

import parso
import pytest
from cosmic_ray.ast import ast_nodes
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkItem, WorkResult
from coverage import CoverageData

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "coreml_updatable"
BUILD = ROOT / "build" / "mutants"
KNOWN = ROOT / "tests" / "equivalent_mutants.toml"
AREAS = {  # what is changed
    "layers": ["runtime/layers/**/*.py"],
    "checking": ["checking/**/*.py"],
    "marking": ["marking/**/*.py"],
    "updating": ["updating/**/*.py"],
    "neighbors": ["runtime/neighbors/**/*.py"],
    "catalogue": [f"publishing/catalogue/{name}.py" for name in ("signing", "site_files", "client")],
}
TESTS = ("runtime", "checking", "marking", "updating", "field", "cli", "publishing/catalogue", "publishing/serving")
MARKERS = "not slow and not vision and not onnx_route and not turi and not siblings and not browser"
# Not what changes nothing but speed (a cache) or how CPython keeps small numbers (`is` for `==`).
NOT_USED = re.compile(r"RemoveDecorator|_(Is|IsNot)_(?!Is)|_(Eq|NotEq|Lt|LtE|Gt|GtE)_Is")
TYPES = "operator comparison factor not_test keyword number if_stmt while_stmt assert_stmt test for_stmt except_clause"
CHANGED = frozenset(TYPES.split())  # the nodes that the operators change; only for speed
ORDER = re.compile(r"_(Lt|LtE|Gt|GtE)$")  # no meaning for names
SLOW = (
    "device_evidence",
    "hostile*",
    "kills",
    "mutated_models",
    "probes",
    "publish_broken_off",
    "strided_convolutions",
)
PYTEST = [
    "-q",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:xdist",
    "-p",
    "no:pytest_cov",
    "--hypothesis-profile=ci",
    "-m",
    MARKERS,
]
PYTEST += ["-W", "ignore::pytest.PytestAssertRewriteWarning", *(f"--ignore-glob=*/test_{name}.py" for name in SLOW)]
CLOSEST, FRESH = 20, 6  # tests a mutant; those that are tried again with everything imported again
SECONDS = 60  # of the processor a mutant; what needs more may not end
MEMORY = 2**33
NOT_IMPORTED, RAN = 77, "ran out of time"


def is_text_or_type(node: Any) -> bool:
    """Whether ``node`` is part of a message, an annotation, a decorator or ``strict=``."""
    child = None
    while node is not None:
        match node.type:
            case "raise_stmt" | "fstring" | "tfpdef" | "decorator" | "import_from":
                return True
            case "funcdef" if child is not None and node.annotation is child:
                return True
            case "annassign" if child is node.children[1] or "TypeAlias" in node.children[1].get_code():
                return True
            case "argument" if node.children[0].get_code().strip() == "strict":
                return True
            case "test" if all(_is_string(node.children[arm]) for arm in (0, -1)):  # the words of a message
                return any(" " in node.children[arm].get_code().strip() for arm in (0, -1))
            case "arglist" if child is not node.children[0] and _is_finding(node.parent.parent):
                return True
        node, child = node.parent, node
    return False


def _is_string(node: Any) -> bool:
    return node.type in ("string", "fstring", "strings")


def _is_finding(call: Any) -> bool:
    return call.children[0].get_code().strip() in ("Finding", "Problem")


def places(path: Path) -> dict[tuple[Any, Any], list[MutationSpec]]:
    """What may be changed in a module, by its place."""
    nodes = [node for node in ast_nodes(parso.parse(path.read_text())) if node.type in CHANGED]
    result: dict[tuple[Any, Any], list[MutationSpec]] = defaultdict(list)
    for name in operator_names():
        operator = get_operator(name)
        if NOT_USED.search(name) or operator.arguments():
            continue
        at = [(node, *place) for node in nodes for place in operator().mutation_positions(node)]
        for occurrence, (node, start, end) in enumerate(at):
            words = node.type == "comparison" and any(_is_string(side) for side in node.children[::2])
            if not is_text_or_type(node) and not (words and ORDER.search(name)):
                result[start, end].append(MutationSpec(path.relative_to(ROOT), name, occurrence, start, end))
    return result


def drawn(areas: Sequence[str], seed: int) -> Iterator[WorkItem]:
    """Mutants in the order of ``seed``: a place, then one of its changes."""
    patterns = [pattern for area in areas for pattern in AREAS[area]]
    modules = sorted({path for pattern in patterns for path in PACKAGE.glob(pattern)})
    if empty := [pattern for pattern in patterns if not any(PACKAGE.glob(pattern))]:
        raise SystemExit(f"tests/mutants.py: AREAS: nothing is found for {', '.join(empty)}")
    random = Random(seed)
    every = [at for module in modules for _, at in sorted(places(module).items())]
    for specs in random.sample(every, len(every)):
        spec = random.choice(specs)
        name = f"{spec.module_path}:{spec.start_pos[0]}:{spec.start_pos[1]} {spec.operator_name} {spec.occurrence}"
        yield WorkItem.single(name, spec)


def changed(spec: MutationSpec) -> str | None:
    """The module's text with the change, None where that is no Python."""
    text = mutate_code(spec.module_path.read_text(), get_operator(spec.operator_name)(), spec.occurrence)
    try:
        compile(text or "", str(spec.module_path), "exec")
    except SyntaxError:
        return None
    return str(text)


def lines_of(spec: MutationSpec, text: str) -> tuple[str, str]:
    """What stands in the changed line, and what stood there."""
    before = spec.module_path.read_text().splitlines()
    number = spec.start_pos[0] - 1
    return " ".join(before[number].split()), " ".join(text.splitlines()[number].split())


def code() -> str:
    """What the tests' coverage depends on, as a short name."""
    files = subprocess.check_output(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, text=True)
    sums = hashlib.sha256()
    for name in sorted(files.split("\0")[:-1]):
        if name.startswith(("coreml_updatable/", "converters/", "tests/", "pyproject")) and (ROOT / name).is_file():
            sums.update(f"{name}\0".encode() + (ROOT / name).read_bytes() + b"\0")
    return sums.hexdigest()[:12]


class Coverage:
    """Which tests run which line."""

    def __init__(self, file: Path) -> None:
        data = CoverageData(str(file))
        data.read()
        self._modules: dict[str, dict[int, list[str]]] = {}
        self._sizes: Counter[str] = Counter()
        for name in data.measured_files():
            lines = {line: _tests(contexts) for line, contexts in data.contexts_by_lineno(name).items()}
            self._modules[str(Path(name).relative_to(ROOT))] = lines
            self._sizes.update(test for tests in lines.values() for test in tests)

    def closest(self, path: Path, line: int) -> list[str]:
        """Tests that run ``line`` of a module; of a line that runs at import, those of the module.

        First come those whose run is spent in the module the most, each with its first case, then their next cases.
        """
        module = self._modules.get(str(path), {})
        lines = Counter(test for tests in module.values() for test in tests)
        share = {test: lines[test] / self._sizes[test] for test in module.get(line) or lines}
        cases: Counter[str] = Counter()
        ranked = []
        for test in sorted(share, key=lambda test: (-share[test], test)):
            function = test.partition("[")[0]
            ranked.append((cases[function], -share[test], test))
            cases[function] += 1
        return [test for _, _, test in sorted(ranked)[:CLOSEST]]


def _tests(contexts: Sequence[str]) -> list[str]:
    return [context.removesuffix("|run") for context in contexts if context.endswith("|run")]


def measured(file: Path, workers: int) -> Path:
    """``file``, with the tests that run each line."""
    if not file.exists():
        print("finding out which tests run which line", flush=True)
        part = file.with_suffix(".part")
        options = ["-n", str(workers), "--dist=loadfile", "-m", MARKERS, "--hypothesis-profile=ci"]
        options += [f"--ignore-glob=*/test_{name}.py" for name in SLOW]
        options += [f"--cov={PACKAGE.name}", "--cov-context=test", "--cov-report="]
        tests = [f"tests/{folder}" for folder in TESTS]
        environment = {**os.environ, "COVERAGE_FILE": str(part)}
        subprocess.run([sys.executable, "-m", "pytest", *options, *tests], cwd=ROOT, env=environment, check=False)
        part.rename(file)
    return file


class Failed:
    """A pytest plugin that writes down which test failed."""

    def __init__(self, note: Path) -> None:
        self.note = note

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.note.write_text(report.nodeid)

    pytest_collectreport = pytest_runtest_logreport


class Mutated(Loader):
    """Imports one module, by a text of its own."""

    def __init__(self, name: str, path: Path, text: str) -> None:
        self.name, self.path, self.text = name, path, text

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        if name != self.name:
            return None
        folder = [str(self.path.parent)] if self.path.name == "__init__.py" else None
        return spec_from_file_location(name, self.path, loader=self, submodule_search_locations=folder)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.text, str(self.path), "exec"), module.__dict__)


def exchanged(path: Path, text: str, line: int) -> bool:
    """Give the functions around ``line``, which are loaded, their code out of ``text``; False for other places.

    Nothing has to be imported again then. What was remembered of earlier calls is forgotten.
    """
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    around = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, functions) and n.lineno <= line]
    around = [n for n in around if n.body[0].lineno <= line <= (n.end_lineno or 0)]
    if not around:
        return False
    outer = min(around, key=lambda node: node.lineno)
    codes: dict[tuple[str, int], list[CodeType]] = defaultdict(list)
    for inner in _codes(compile(text, str(path), "exec")):
        if outer.lineno <= inner.co_firstlineno <= (outer.end_lineno or 0) or inner.co_name == outer.name:
            codes[inner.co_qualname, inner.co_firstlineno].append(inner)
    if any(len(same) > 1 for same in codes.values()):
        return False
    result = gc.get_objects()
    for function in result:
        if isinstance(function, FunctionType) and function.__code__.co_filename == str(path):
            for same in codes.get((function.__code__.co_qualname, function.__code__.co_firstlineno), ()):
                if len(same.co_freevars) != len(function.__code__.co_freevars):
                    return False
                function.__code__ = same
    for remembered in result:
        if isinstance(remembered, _lru_cache_wrapper) and str(remembered.__module__).startswith(PACKAGE.name):
            remembered.cache_clear()
    return True


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


@dataclass(frozen=True)
class Change:
    path: Path  # below the root
    line: int
    text: str

    def made(self, fresh: bool) -> bool:
        """Put into effect in this process; False if the module cannot be imported. ``fresh``: all is imported again."""
        if not fresh and exchanged(Path.cwd() / self.path, self.text, self.line):
            return True
        for name in [name for name in sys.modules if name.split(".")[0] in (PACKAGE.name, "tests")]:
            del sys.modules[name]
        name = ".".join(self.path.with_suffix("").parts).removesuffix(".__init__")
        sys.meta_path.insert(0, Mutated(name, Path.cwd() / self.path, self.text))
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001
            return False
        return True


def run(
    tests: Sequence[str], change: Change | None = None, *, fresh: bool = False, seconds: int = SECONDS
) -> str | None:
    """The test that failed, "" where none did, RAN where the time was up; None where ``change`` cannot be imported."""
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "failed"
        if not (child := os.fork()):
            status = 9
            try:
                status = _test(tests, change, fresh, seconds, note)
            finally:
                os._exit(status)  # what the parent would clean up stays
        end = time.monotonic() + 20 * seconds  # for what waits
        while not (done := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < end:
            time.sleep(0.01)
        if not done[0]:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
        if not done[0] or os.waitstatus_to_exitcode(done[1]) in (-signal.SIGXCPU, -signal.SIGKILL):
            return RAN
        if os.waitstatus_to_exitcode(done[1]) == NOT_IMPORTED:
            return None
        return "" if done[1] == 0 else note.read_text() if note.exists() else "crash"


def _test(tests: Sequence[str], change: Change | None, fresh: bool, seconds: int, note: Path) -> int:
    os.setsid()
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))  # a forked process starts at none
    if change is not None and not change.made(fresh):
        return NOT_IMPORTED
    return int(pytest.main([*PYTEST, "-x", *tests], plugins=[Failed(note)]))


def judge(change: Change, tests: Sequence[str]) -> tuple[str | None, float]:
    """Who noticed ``change``, as ``run`` tells it, and the seconds it took.

    What survives is tried again with everything imported again, for modules may hold what they computed before.
    """
    start = time.monotonic()
    killer = run(tests, change) if tests else ""
    if killer == "" and tests:
        killer = run(tests[:FRESH], change, fresh=True)
    if killer in (RAN, "crash") and run(tests) != "":  # so it does on unchanged code
        killer = ""
    return killer, time.monotonic() - start


def unsound(killers: set[str]) -> set[str]:
    """Those of the tests that fail on unchanged code too."""
    result: set[str] = set()
    while left := sorted(killers - result):
        failed = run(left, seconds=60 * SECONDS)
        if not failed:
            return result
        result |= {failed} if failed in killers else set(left)
    return result


def loaded(folder: str) -> None:
    """A copy of the tree in ``folder``, and all tests imported from it."""
    files = subprocess.check_output(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, text=True)
    for name in files.split("\0")[:-1]:
        if (ROOT / name).is_file():
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, Path(folder) / name)
    os.chdir(folder)
    sys.path[:] = [folder, *(path for path in sys.path if path not in ("", str(ROOT)))]
    os.environ["PYTHONPATH"] = folder
    for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
        del sys.modules[name]
    print("importing the tests", flush=True)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        pytest.main([*PYTEST, "--collect-only", *(f"tests/{name}" for name in TESTS)])


def known() -> dict[tuple[str, str], str]:
    entries = tomllib.loads(KNOWN.read_text())["mutant"] if KNOWN.exists() else []
    return {(entry["line"], entry["changed"]): entry["why"] for entry in entries}


def tried(item: WorkItem, text: str, noticed: tuple[str, float]) -> WorkResult:
    killer, seconds = noticed
    line, changed = lines_of(item.mutations[0], text)
    outcome = TestOutcome.KILLED if killer else TestOutcome.SURVIVED
    about = json.dumps({"line": line, "changed": changed, "killer": killer, "seconds": round(seconds, 1)})
    return WorkResult(WorkerOutcome.NORMAL, about, outcome)


def session(db: WorkDB, items: Iterator[WorkItem], sample: int, coverage: Coverage, workers: int) -> list[WorkItem]:
    """Try mutants until ``sample`` of them could be imported; the order of ``items`` alone decides which these are."""
    had, mutants, running = dict(db.results), list[WorkItem](), dict[Future[Any], tuple[WorkItem, str]]()
    with ProcessPoolExecutor(workers, get_context("fork")) as pool:
        while True:
            while len(mutants) + len(running) < sample and len(running) < workers:
                if (item := next(items, None)) is None:
                    sample = len(mutants) + len(running)
                elif item.job_id in had:
                    mutants += [item] if had[item.job_id].worker_outcome == WorkerOutcome.NORMAL else []
                elif (text := changed(item.mutations[0])) is not None:
                    spec = item.mutations[0]
                    tests = coverage.closest(spec.module_path, spec.start_pos[0])
                    change = Change(spec.module_path, spec.start_pos[0], text)
                    running[pool.submit(judge, change, tests)] = item, text
            if not running:
                return mutants
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                item, text = running.pop(future)
                killer, seconds = future.result()
                db.add_work_item(item)
                if killer is None:
                    db.set_result(item.job_id, WorkResult(WorkerOutcome.SKIPPED, "cannot be imported"))
                    continue
                mutants.append(item)
                result = tried(item, text, (killer, seconds))
                db.set_result(item.job_id, result)
                print(f"{len(mutants)}/{sample} {_sentence(item.job_id, json.loads(result.output))}", flush=True)


def _sentence(place: str, about: dict[str, Any]) -> str:
    how = f"killed by {about['killer']}" if about["killer"] else "SURVIVED"
    return f"{place}\n    {about['line']}\n    {about['changed']}\n    {how}, {about['seconds']} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sample", type=int, default=300, help="number of mutants")
    parser.add_argument("--seed", type=int, default=0, help="which mutants are drawn")
    parser.add_argument("--only", default=",".join(AREAS), help=f"areas, of {', '.join(AREAS)}")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    os.chdir(ROOT)
    BUILD.mkdir(parents=True, exist_ok=True)
    start, state = time.monotonic(), code()
    coverage = Coverage(measured(BUILD / f"{state}.coverage", options.workers))
    items = list(drawn(options.only.split(","), options.seed))
    file = BUILD / f"{state}-{options.only.replace(',', '-')}-{options.seed}.sqlite"
    with tempfile.TemporaryDirectory() as folder, use_db(str(file)) as db:
        loaded(folder)
        mutants = session(db, iter(items), options.sample, coverage, options.workers)
        results = {item.job_id: json.loads(result.output or "{}") for item, result in db.completed_work_items}
        wrong = unsound({results[item.job_id]["killer"] for item in mutants if "::" in results[item.job_id]["killer"]})
    reasons = known()
    survivors = [about for item in mutants if not killed_by((about := results[item.job_id]), wrong)]
    for item in mutants:
        about = results[item.job_id]
        if about in survivors:
            why = reasons.get((about["line"], about["changed"]))
            print(f"{_sentence(item.job_id, about)}\n    {f'equivalent: {why}' if why else 'to be looked at'}")
    for test in sorted(wrong):
        print(f"{test} fails on unchanged code too; what it alone noticed counts as a survivor")
    killed, ended = (
        len(mutants) - len(survivors),
        sum(results[item.job_id]["killer"] in (RAN, "crash") for item in mutants),
    )
    print(
        f"{killed} of {len(mutants)} mutants killed ({killed / len(mutants):.1%}), {ended} of them by the time or by a "
        f"crash; seed {options.seed}; {(time.monotonic() - start) / 60:.0f} minutes"
    )
    return 0 if killed >= 0.9 * len(mutants) else 1


def killed_by(about: dict[str, Any], wrong: set[str]) -> bool:
    return bool(about["killer"]) and about["killer"] not in wrong


if __name__ == "__main__":
    sys.exit(main())
