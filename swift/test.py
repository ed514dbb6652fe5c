"""Build and run the Swift package on Linux: `make test-swift`.

Builds the models that the tests need, compiles the package, its tests and everything that people copy in Swift 6 and in
Swift 5 mode, starts the simulator once for each device, and runs the tests. A warning is an error.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from swift.fixtures import COMMAND, FIXTURES, PYTHON, WORK, fixtures, run
from swift.snippets import EXAMPLE, write_generated, write_snippets
from swift.toolchain import CHECKOUT, Toolchain, toolchain

TEMPORARY = WORK / "temporary"
PRODUCTS = WORK / "products"  # in Swift 6 mode
HEADERS = CHECKOUT / "swift/StandIns/Sources/COpenSSL/module.modulemap"
STRICT = ["-warnings-as-errors", "-strict-concurrency=complete"]
# Observation's library lacks a symbol on Linux that it uses only to say why it stops.
LINK = ["-Xlinker", "--allow-shlib-undefined"]

# What a device may do otherwise than the simulator's defaults, as far as nothing settles it (docs/probes.md).
DEVICES = {
    "defaults": [],
    "the other choices": [
        "epoch_loss=mean over batches",
        "first_epoch=in order",
        "generator=MT19937",
        "momentum=velocity",
    ],
}


@contextmanager
def part(name: str) -> Iterator[None]:
    """Tells how long it took."""
    started = time.monotonic()
    yield
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


# --- What is compiled ---


def package(swift: Toolchain, mode: int, products: Path) -> None:
    """The package and its tests."""
    flags = [f"-Xswiftc={flag}" for flag in ("-swift-version", str(mode), *STRICT)]
    swift.run(["swift", "build", "--build-tests", "--scratch-path", swift.inside(products), *flags, *LINK])


def compile_against(swift: Toolchain, folder: Path, module: str, mode: int) -> None:
    """All Swift files of ``folder`` as a module, as far as SIL, where the last diagnostics come from."""
    swift.run(
        [
            *("swiftc", "-emit-sil", "-wmo", "-o", "/dev/null", "-module-name", module, "-swift-version", str(mode)),
            *(*STRICT, "-parse-as-library", "-I", swift.inside(PRODUCTS / "debug/Modules")),
            *("-Xcc", f"-fmodule-map-file={swift.inside(HEADERS)}"),
            *(swift.inside(file) for file in sorted(folder.rglob("*.swift")) if file.name != "Package.swift"),
        ]
    )


def copied(swift: Toolchain) -> None:
    """Everything that people copy, in both modes; and what needs libraries that are not here, parsed."""
    sources, example = WORK / "snippets/Sources", WORK / "snippets/Example"
    write_snippets(sources)
    packages = write_generated(sources / "generated", WORK / "packages", FIXTURES / "site")
    shutil.rmtree(example, ignore_errors=True)
    example.mkdir(parents=True)
    for file in EXAMPLE.glob("*.swift"):
        if "import SwiftUI" not in file.read_text():
            shutil.copy(file, example)
    for mode in (6, 5):
        compile_against(swift, sources, "Snippets", mode)
        compile_against(swift, example, "Example", mode)
    for made in packages:
        swift.run(["swift", "package", "--package-path", swift.inside(made), "dump-package"])
        compile_against(swift, made, made.name, 6)
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
        ]
    )


# --- What is run ---


def tests(swift: Toolchain, site: str, port: str, choices: Sequence[str], only: str | None) -> str:
    """The suite on one device; its last line."""
    told = swift.run(
        [
            *("swift", "test", "--skip-build", "--disable-xctest", "--scratch-path", swift.inside(PRODUCTS)),
            *(("--filter", only) if only else ()),
        ],
        COREML_SIMULATOR=port,
        FIXTURES=swift.inside(FIXTURES),
        CATALOGUE_SITE=f"http://127.0.0.1:{site}",
        ASSUMED=",".join(choices),
    )
    left = [path.name for path in TEMPORARY.iterdir() if re.search(r"\.mlmodelc$|\.partial$|^golden-", path.name)]
    if left:
        sys.exit(f"swift: the package left temporary files: {', '.join(sorted(left)[:5])} ...")
    ended = re.search(r"Test run with \d+ tests? passed", told)
    if ended is None:
        sys.exit(f"{told}\nswift: no test has run")
    return ended[0]


def probe(swift: Toolchain, choices: Sequence[str], port: str) -> None:
    """coreml-probes on this device: what it prints must be read as this device's own choices."""
    from coreml_updatable.updating.probes.outcomes import choices as all_choices

    folder = WORK / "probes"
    run([str(COMMAND), "probes", str(folder)])
    program = swift.inside(PRODUCTS / "debug/coreml-probes")
    results = WORK / "results.json"
    results.write_text(swift.run([program, swift.inside(folder)], COREML_SIMULATOR=port))
    told = run(
        [str(COMMAND), "probes", "--read", str(results), "-o", str(WORK / "device.json")],
        XDG_CONFIG_HOME=str(WORK / "settings"),
    )
    found = json.loads((WORK / "device.json").read_text())["choices"]
    chosen = dict(choice.split("=", 1) for choice in choices)
    expected = {name: chosen.get(name, known[0]) for name, known in all_choices().items()}
    wrong = {name: (found.get(name), choice) for name, choice in expected.items() if found.get(name) != choice}
    if wrong:
        sys.exit(f"swift: coreml-probes found other choices than this device has: {wrong}\n{told}")
    vectors, model = FIXTURES / "first/HealthyLuncher.vectors.json", FIXTURES / "first/HealthyLuncher.mlmodel"
    swift.run([program, swift.inside(vectors), swift.inside(model)], COREML_SIMULATOR=port)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--filter", help="only the tests whose name matches, and nothing else after them")
    options = parser.parse_args()
    started = time.monotonic()
    shutil.rmtree(TEMPORARY, ignore_errors=True)
    with part("the toolchain"):
        swift = toolchain(TEMPORARY)
    with part("models and catalogues for the tests"):
        fixtures()
    with part("the package and its tests, Swift 6 mode"):
        package(swift, 6, PRODUCTS)
    with server("serving.py", str(FIXTURES)) as site:
        for device, choices in DEVICES.items():
            assume = [word for choice in choices for word in ("--assume", choice)]
            place = ["--root", str(swift.root or "/"), "--checkout", str(CHECKOUT)]
            with server("StandIns/simulator.py", *place, *assume) as port:
                with part(f"the tests, device: {device}"):
                    print(tests(swift, site, port, choices, options.filter), flush=True)
                if options.filter is None:
                    with part(f"coreml-probes, device: {device}"):
                        probe(swift, choices, port)
    if options.filter is None:
        with part("what people copy, both modes"):
            copied(swift)
        with part("the pages of DocC"):
            documentation(swift)
        with part("the package and its tests, Swift 5 mode"):
            package(swift, 5, WORK / "products-5")
    shutil.rmtree(TEMPORARY, ignore_errors=True)
    print(f"all: {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
