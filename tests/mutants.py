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
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import parso
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
MARKERS = "not slow and not vision and not onnx_route and not turi and not browser"
# Not what changes nothing but speed (a cache) or how CPython keeps small numbers (`is` for `==`).
NOT_USED = re.compile(r"RemoveDecorator|_(Is|IsNot)_(?!Is)|_(Eq|NotEq|Lt|LtE|Gt|GtE)_Is")
ORDER = re.compile(r"_(Lt|LtE|Gt|GtE)$")  # no meaning for names
LIBRARIES = (
    "coremltools",
    "hypothesis",
    "matplotlib",
    "pydantic",
    "pytest",
    "scipy.stats",
    "sklearn.neighbors",
    "torch",
)
SLOW = (
    "device_evidence",
    "hostile*",
    "kills",
    "mutated_models",
    "probes",
    "publish_broken_off",
    "strided_convolutions",
)
CLOSEST = 40  # tests a mutant
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
    nodes = list(ast_nodes(parso.parse(path.read_text())))
    found: dict[tuple[Any, Any], list[MutationSpec]] = defaultdict(list)
    for name in operator_names():
        operator = get_operator(name)
        if NOT_USED.search(name) or operator.arguments():
            continue
        at = [(node, *place) for node in nodes for place in operator().mutation_positions(node)]
        for occurrence, (node, start, end) in enumerate(at):
            words = node.type == "comparison" and any(_is_string(side) for side in node.children[::2])
            if not is_text_or_type(node) and not (words and ORDER.search(name)):
                found[start, end].append(MutationSpec(path.relative_to(ROOT), name, occurrence, start, end))
    return found


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
    text = mutate_code((ROOT / spec.module_path).read_text(), get_operator(spec.operator_name)(), spec.occurrence)
    try:
        compile(text or "", str(spec.module_path), "exec")
    except SyntaxError:
        return None
    return str(text)


def lines_of(spec: MutationSpec, text: str) -> tuple[str, str]:
    """What stands in the changed line, and what stood there."""
    before = (ROOT / spec.module_path).read_text().splitlines()
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


def run(copy: Path, tests: Sequence[str], module: str = "") -> str | None:
    """The test that failed, "" where none did, RAN where the time was up; None where ``module`` cannot be imported."""
    note = copy / "failed.txt"
    note.unlink(missing_ok=True)
    if not (child := os.fork()):
        status = 9
        try:
            status = _test(copy, tests, module, note)
        except BaseException as error:  # noqa: BLE001
            (copy / "log.txt").write_text(repr(error))
        os._exit(status)  # what the parent would clean up stays
    end = time.monotonic() + 20 * SECONDS  # for what waits
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.02)
    else:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return RAN
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL):
        return RAN
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == NOT_IMPORTED:
        return None
    return "" if status == 0 else note.read_text() if note.exists() else "crash"


def _test(copy: Path, tests: Sequence[str], module: str, note: Path) -> int:
    os.setsid()
    log = os.open(copy / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    spent = int(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (spent + SECONDS, spent + SECONDS + 5))
    os.chdir(copy)
    sys.path[:] = [str(copy), *(path for path in sys.path if path not in ("", str(ROOT)))]
    for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
        del sys.modules[name]
    os.environ["PYTHONPATH"] = str(copy)
    if module:
        try:
            importlib.import_module(module)
        except Exception:  # noqa: BLE001
            return NOT_IMPORTED
    import pytest

    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-profile=ci", "-m", MARKERS]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main([*options, *tests], plugins=[Failed(note)]))


COPY: Path
SOUND: dict[str, bool] = {}


def prepare(folder: str) -> None:
    """A copy of the tree for this worker."""
    global COPY
    COPY = Path(tempfile.mkdtemp(dir=folder))
    for name in subprocess.check_output(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, text=True).split(
        "\0"
    ):
        if name and (ROOT / name).is_file():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, COPY / name)


def judge(path: Path, text: str, tests: list[str]) -> tuple[str | None, float]:
    """Who noticed the change of ``path`` to ``text``, as ``run`` tells it, and the seconds it took."""
    start = time.monotonic()
    module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    tests = list(tests)
    while True:
        killer = _with(path, text, tests, module)
        if not killer:
            return killer, time.monotonic() - start
        of = tests if killer in (RAN, "crash") else [killer]
        if killer not in SOUND or len(of) > 1:
            SOUND[killer] = run(COPY, of) == ""
        if SOUND[killer]:
            return killer, time.monotonic() - start
        if len(of) > 1 or killer not in tests:  # unchanged code fails as well
            return "", time.monotonic() - start
        tests.remove(killer)
        if not tests:
            return "", time.monotonic() - start


def _with(path: Path, text: str, tests: list[str], module: str) -> str | None:
    original = (COPY / path).read_text()
    # Bytecode is trusted by a file's size and second, which a mutant shares with another.
    compiled = COPY / path.parent / "__pycache__"
    try:
        (COPY / path).write_text(text)
        for file in compiled.glob(f"{path.stem}.*"):
            file.unlink()
        return run(COPY, tests, module)
    finally:
        (COPY / path).write_text(original)
        for file in compiled.glob(f"{path.stem}.*"):
            file.unlink()


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
    context = get_context("fork")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(workers, context, initializer=prepare, initargs=(folder,)) as pool,
    ):
        while True:
            while len(mutants) + len(running) < sample and len(running) < workers:
                if (item := next(items, None)) is None:
                    sample = len(mutants) + len(running)
                elif item.job_id in had:
                    mutants += [item] if had[item.job_id].worker_outcome == WorkerOutcome.NORMAL else []
                elif (text := changed(item.mutations[0])) is not None:
                    spec = item.mutations[0]
                    tests = coverage.closest(spec.module_path, spec.start_pos[0])
                    running[pool.submit(judge, spec.module_path, text, tests)] = item, text
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
                print(f"{len(mutants)}/{sample} {_sentence(item, result)}", flush=True)


def _sentence(item: WorkItem, result: WorkResult) -> str:
    about = json.loads(result.output or "{}")
    how = f"killed by {about['killer']}" if about["killer"] else "SURVIVED"
    return f"{item.job_id}\n    {about['line']}\n    {about['changed']}\n    {how}, {about['seconds']} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sample", type=int, default=300, help="number of mutants")
    parser.add_argument("--seed", type=int, default=0, help="which mutants are drawn")
    parser.add_argument("--only", default=",".join(AREAS), help=f"areas, of {', '.join(AREAS)}")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    start, state = time.monotonic(), code()
    coverage = Coverage(measured(BUILD / f"{state}.coverage", options.workers))
    for library in LIBRARIES:
        importlib.import_module(library)
    areas = options.only.split(",")
    with use_db(str(BUILD / f"{state}-{'-'.join(areas)}-{options.seed}.sqlite")) as db:
        mutants = session(db, drawn(areas, options.seed), options.sample, coverage, options.workers)
        results = {item.job_id: result for item, result in db.completed_work_items}
    reasons, survived, killers = known(), 0, list[str]()
    for item in mutants:
        result = results[item.job_id]
        about = json.loads(result.output or "{}")
        killers.append(about["killer"])
        if not about["killer"]:
            survived += 1
            why = reasons.get((about["line"], about["changed"]))
            print(f"{_sentence(item, result)}\n    {f'equivalent: {why}' if why else 'to be looked at'}")
    killed, ended = len(mutants) - survived, sum(killer in (RAN, "crash") for killer in killers)
    print(
        f"{killed} of {len(mutants)} mutants killed ({killed / len(mutants):.1%}), {ended} of them by the time or by a "
        f"crash; seed {options.seed}; {(time.monotonic() - start) / 60:.0f} minutes"
    )
    return 0 if killed >= 0.9 * len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main())
