"""Build and run the Swift package on Linux: `make test-swift`.

Builds the models that the tests need, compiles the package, its tests and everything that people copy in Swift 6 and in
Swift 5 mode, starts a simulator for each device, and runs the tests. A warning is an error. The models are built while
the compiler works, and the devices run while what people copy is compiled.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from swift.fixtures import COMMAND, FIXTURES, PYTHON, WORK, run
from swift.snippets import EXAMPLE, write_generated, write_snippets
from swift.toolchain import CHECKOUT, Toolchain, toolchain

TEMPORARY = WORK / "temporary"
PRODUCTS = WORK / "products"  # in Swift 6 mode
HEADERS = CHECKOUT / "swift/StandIns/Sources/COpenSSL/module.modulemap"
STRICT = ["-warnings-as-errors", "-strict-concurrency=complete"]
# No debug information, which nobody reads here. An index is needed even without XCTest: SwiftPM looks for tests in it.
FAST = ["--disable-xctest", "-debug-info-format", "none"]
# Observation's library lacks a symbol on Linux that it uses only to say why it stops.
LINK = ["-Xlinker", "--allow-shlib-undefined"]

# What a device may do otherwise than the simulator's defaults, as far as nothing settles it (docs/probes.md).
OTHER_CHOICES = ["epoch_loss=mean over batches", "first_epoch=in order", "generator=MT19937", "momentum=velocity"]
# The tests whose results depend on these choices: golden vectors, and what is said of a model that has learned.
DEPENDENT = (
    "golden|swiftMixes|pancakesBecomeHealthy|aSplitLearns|aReplaySetIsMixedIn|progressAndSchedule|aForgottenLesson"
)


def timed(name: str, work: Callable[..., object], *arguments: Any) -> None:
    """Tells how long it took."""
    started = time.monotonic()
    work(*arguments)
    print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)


# --- Servers ---


@contextmanager
def server(program: str, *arguments: str) -> Iterator[str]:
    """A server of this folder that prints its port first."""
    command = [str(PYTHON), str(Path(__file__).parent / program), *arguments]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def simulator(swift: Toolchain, choices: Sequence[str]) -> AbstractContextManager[str]:
    """Core ML as a device that makes these choices."""
    assume = [word for choice in choices for word in ("--assume", choice)]
    return server("StandIns/simulator.py", "--root", str(swift.root or "/"), "--checkout", str(CHECKOUT), *assume)


# --- What is compiled ---


def package(swift: Toolchain) -> None:
    """The package and its tests, in Swift 6 mode."""
    flags = [f"-Xswiftc={flag}" for flag in ("-swift-version", "6", *STRICT)]
    swift.run(["swift", "build", "--build-tests", "--scratch-path", swift.inside(PRODUCTS), *flags, *FAST, *LINK])


def compile_against(swift: Toolchain, folder: Path, module: str, mode: int, *more: str) -> None:
    """All Swift files of ``folder`` as a module, as far as SIL, where the last diagnostics come from."""
    swift.run(
        [
            *("swiftc", "-emit-sil", "-Onone", "-wmo", "-o", "/dev/null", "-module-name", module),
            *("-swift-version", str(mode), *STRICT, "-I", swift.inside(PRODUCTS / "debug/Modules")),
            *("-Xcc", f"-fmodule-map-file={swift.inside(HEADERS)}", *more),
            *(swift.inside(file) for file in sorted(folder.rglob("*.swift")) if file.name != "Package.swift"),
        ]
    )


def package_in_swift_5(swift: Toolchain) -> None:
    """Each module of the package and its tests in Swift 5 mode, against the others as they were built."""
    described = json.loads(
        swift.run(["swift", "package", "--scratch-path", swift.inside(PRODUCTS), "describe", "--type", "json"])
    )
    for target in described["targets"]:
        more = ["-parse-as-library", "-package-name", Path(swift.inside(CHECKOUT)).name.lower()]
        compile_against(swift, CHECKOUT / target["path"], target["c99name"], 5, *more)


def copied(swift: Toolchain) -> None:
    """Everything that people copy, in both modes; and what needs libraries that are not here, parsed."""
    sources, example = WORK / "snippets/Sources", WORK / "snippets/Example"
    write_snippets(sources)
    write_generated(sources / "generated", WORK / "packages", FIXTURES / "site")
    shutil.rmtree(example, ignore_errors=True)
    example.mkdir(parents=True)
    for file in EXAMPLE.glob("*.swift"):
        if "import SwiftUI" not in file.read_text():
            shutil.copy(file, example)
    for mode in (6, 5):
        compile_against(swift, sources, "Snippets", mode, "-parse-as-library")
        compile_against(swift, example, "Example", mode, "-parse-as-library")
    parsed = [*sorted(EXAMPLE.glob("*.swift")), *(CHECKOUT / "swift/Sources").rglob("*View.swift")]
    swift.run(["swiftc", "-frontend", "-parse", *(swift.inside(file) for file in parsed)])


def documentation(swift: Toolchain) -> None:
    """The pages of DocC, whose links must lead somewhere."""
    docc, extract = swift.tool("docc"), swift.tool("swift-symbolgraph-extract")
    if docc is None or extract is None:
        print("DocC is not here: its pages were not made", flush=True)
        return
    graphs = WORK / "graphs"
    shutil.rmtree(graphs, ignore_errors=True)
    graphs.mkdir(parents=True)
    # DocC copies its pages together with their owner, which only root may do: it gets pages of this user's.
    pages = WORK / "docc-pages"
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(swift.outside(docc).parents[1] / "share/docc/render", pages)
    target = json.loads(swift.run(["swiftc", "-print-target-info"]))["target"]["triple"]
    swift.run(
        [
            *(extract, "-module-name", "Personalization", "-target", target),
            *("-I", swift.inside(PRODUCTS / "debug/Modules"), "-minimum-access-level", "public"),
            *("-Xcc", f"-fmodule-map-file={swift.inside(HEADERS)}", "-output-dir", swift.inside(graphs)),
        ]
    )
    name = "Personalization"
    swift.run(
        [
            *(docc, "convert", swift.inside(CHECKOUT / f"swift/Sources/{name}/{name}.docc")),
            *("--additional-symbol-graph-dir", swift.inside(graphs), "--output-dir", swift.inside(WORK / "docc")),
            *("--fallback-display-name", name, "--fallback-bundle-identifier", name, "--warnings-as-errors"),
        ],
        DOCC_HTML_DIR=swift.inside(pages),
    )


# --- What is run ---


def tests(swift: Toolchain, site: str, port: str, choices: Sequence[str], only: str | None) -> None:
    """The suite on one device, or the tests whose name matches ``only``."""
    temporary = TEMPORARY / port
    temporary.mkdir(parents=True)
    # The program that `swift test` would run; two of those would wait for each other.
    program = swift.inside(PRODUCTS / "debug/PersonalizationPackageTests.xctest")
    result = swift.run(
        [program, "--testing-library", "swift-testing", *(("--filter", only) if only else ())],
        COREML_SIMULATOR=port,
        FIXTURES=swift.inside(FIXTURES),
        CATALOGUE_SITE=f"http://127.0.0.1:{site}",
        ASSUMED=",".join(choices),
        TMPDIR=swift.inside(temporary),
    )
    left = [path.name for path in temporary.iterdir() if re.search(r"\.mlmodelc$|\.partial$|^golden-", path.name)]
    if left:
        sys.exit(f"swift: the package left temporary files: {', '.join(sorted(left)[:5])} ...")
    ended = re.search(r"Test run with \d+ tests? passed", result)
    if ended is None:
        sys.exit(f"{result}\nswift: no test has run")
    print(ended[0], flush=True)


def probe(swift: Toolchain, choices: Sequence[str], port: str) -> None:
    """coreml-probes on this device: what it prints must be read as this device's own choices."""
    from coreml_updatable.updating.probes.outcomes import choices as all_choices

    work = WORK / f"probes-{port}"
    folder = work / "probes"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    run([str(COMMAND), "probes", str(folder)])
    program = swift.inside(PRODUCTS / "debug/coreml-probes")
    results = work / "results.json"
    results.write_text(swift.run([program, swift.inside(folder)], COREML_SIMULATOR=port))
    result = run(
        [str(COMMAND), "probes", "--read", str(results), "-o", str(work / "device.json")],
        XDG_CONFIG_HOME=str(work / "settings"),
    )
    actual = json.loads((work / "device.json").read_text())["choices"]
    chosen = dict(choice.split("=", 1) for choice in choices)
    expected = {name: chosen.get(name, known[0]) for name, known in all_choices().items()}
    wrong = {name: (actual.get(name), choice) for name, choice in expected.items() if actual.get(name) != choice}
    if wrong:
        sys.exit(f"swift: coreml-probes found other choices than this device has: {wrong}\n{result}")
    vectors, model = FIXTURES / "first/HealthyLuncher.vectors.json", FIXTURES / "first/HealthyLuncher.mlmodel"
    swift.run([program, swift.inside(vectors), swift.inside(model)], COREML_SIMULATOR=port)


def consumer(swift: Toolchain, site: str) -> None:
    """An app that depends on a package of the catalogue, and both on the git address of this one; it learns.

    On Apple's systems the package depends on nothing, so that an app may ask for a version; that is resolved, too.
    """
    work = WORK / "consumer"
    published, stand_ins = work / "coreml-updatable.git", work / "StandIns.git"
    shutil.rmtree(work, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CHECKOUT / "swift", published / "swift", ignore=ignored)
    shutil.copytree(CHECKOUT / "swift/StandIns", stand_ins, ignore=ignored)
    manifest, local = (CHECKOUT / "Package.swift").read_text(), '.package(path: "swift/StandIns")'
    assert local in manifest
    # A package that is fetched may not depend on a folder: the stand-ins, which only Linux needs, are fetched, too.
    fetched = manifest.replace(local, f'.package(url: "file://{swift.inside(stand_ins)}", branch: "main")')
    _commit(swift, stand_ins)
    (published / "Package.swift").write_text(manifest.replace("os(Linux)", "os(Windows)"))
    _commit(swift, published, "tag", "1.0.0")
    (published / "Package.swift").write_text(fetched)
    _commit(swift, published)
    address = f"file://{swift.inside(published)}"
    apps = {"branch": 'branch: "main"', "version": 'from: "1.0.0"'}
    for name, requirement in apps.items():
        for source in (CHECKOUT / "swift/Tests/App", WORK / "packages" / EXAMPLE.name):
            shutil.copytree(source, work / name / source.name)
            file = work / name / source.name / "Package.swift"
            text = file.read_text().replace("https://example.org/coreml-updatable.git", address)
            file.write_text(text.replace('branch: "main"', requirement))
    place = {name: ["--disable-dependency-cache", "--package-path", swift.inside(work / name / "App")] for name in apps}
    swift.run(["swift", "package", *place["version"], "resolve"])
    swift.run(["swift", "build", *place["branch"], "-Xswiftc=-warnings-as-errors", *FAST, *LINK])
    photo, key = min((FIXTURES / "photos/pancakes").iterdir()), (FIXTURES / "public-key.txt").read_text()
    program = swift.inside(work / "branch/App/.build/debug/app")
    with simulator(swift, []) as port:
        result = swift.run([program, f"http://127.0.0.1:{site}/site", key, swift.inside(photo)], COREML_SIMULATOR=port)
    if result.split() != ["fast-food", "healthy"]:
        sys.exit(f"{result}\nswift: the app did not learn that pancakes are healthy")


def _commit(swift: Toolchain, folder: Path, *then: str) -> None:
    """Everything in ``folder``, on the branch main."""
    git = ["git", "-C", swift.inside(folder), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    if not (folder / ".git").exists():
        swift.run(["git", "init", "--quiet", "--initial-branch=main", swift.inside(folder)])
    for command in (["add", "--all"], ["commit", "--quiet", "--message=x"], then or ["status", "-s"]):
        swift.run([*git, *command])


def device(swift: Toolchain, site: str, choices: Sequence[str], only: str | None, probes: bool = True) -> None:
    """Tests and probes against a simulator that makes these choices."""
    name = "defaults" if not choices else "the other choices"
    with simulator(swift, choices) as port:
        timed(f"the tests, device: {name}", tests, swift, site, port, choices, only)
        if probes:
            timed(f"coreml-probes, device: {name}", probe, swift, choices, port)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--filter", help="only the tests whose name matches, on one device, and nothing else")
    only = parser.parse_args().filter
    started = time.monotonic()
    shutil.rmtree(TEMPORARY, ignore_errors=True)
    swift = toolchain(TEMPORARY)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # two things run at a time
    with ThreadPoolExecutor() as pool, server("serving.py", str(FIXTURES)) as site:
        models = pool.submit(timed, "models and catalogues for the tests", run, [str(PYTHON), "-m", "swift.fixtures"])
        timed("the package and its tests, Swift 6 mode", package, swift)
        models.result()
        if only is not None:
            device(swift, site, [], only, probes=False)
            return
        devices = [
            pool.submit(device, swift, site, [], None),
            pool.submit(device, swift, site, OTHER_CHOICES, DEPENDENT),
        ]
        timed("the package and its tests, Swift 5 mode", package_in_swift_5, swift)
        timed("what people copy, both modes", copied, swift)
        timed("the pages of DocC", documentation, swift)
        timed("an app that depends on the package", consumer, swift, site)
        for running in devices:
            running.result()
    shutil.rmtree(TEMPORARY, ignore_errors=True)
    print(f"all: {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
