"""Build and run the Swift package on Linux: `make test-swift`.

Takes a swiftc of 6.0 or newer from the path; otherwise a Debian with one, which it sets up once in the user's cache
folder and runs in a chroot. Then it builds the models that the tests need, starts the simulator once for each device,
and runs the tests in Swift 6 mode; everything is compiled in Swift 5 mode as well. A warning is an error.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
PYTHON = CHECKOUT / ".venv/bin/python"
COMMAND = CHECKOUT / ".venv/bin/coreml-updatable"
WORK = CHECKOUT / "build/swift"
FIXTURES = WORK / "fixtures"
PACKAGES = "swiftlang,libc6-dev,libstdc++-14-dev,libssl-dev,binutils,git,ca-certificates"
SUITE = "trixie"

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


STRICT = ["-Xswiftc", "-warnings-as-errors"]
# Observation's library lacks a symbol on Linux that it uses only to say why it stops.
LINK = ["-Xlinker", "--allow-shlib-undefined"]


class Toolchain:
    """Where swift runs: on this system, or in ``root``."""

    def __init__(self, root: Path | None) -> None:
        self.root = root

    def inside(self, path: Path) -> str:
        """``path`` as swift sees it."""
        return str(path) if self.root is None else f"/checkout/{path.relative_to(CHECKOUT)}"

    def run(self, command: Sequence[str], *, output: bool = False, **environment: str) -> str:
        """What it printed, if ``output`` says so; it ends this program if it fails."""
        stdout = subprocess.PIPE if output else None
        if self.root is None:
            ran = subprocess.run(
                command, cwd=CHECKOUT, env={**os.environ, **environment}, check=True, stdout=stdout, text=True
            )
            return ran.stdout or ""
        root = shlex.quote(str(self.root))
        words = shlex.join(["env", *(f"{name}={value}" for name, value in environment.items()), *command])
        # In a mount namespace of its own: nothing stays mounted, however this ends.
        script = (
            f"mount --make-rprivate / && mkdir -p {root}/checkout && mount -t proc proc {root}/proc && "
            f"mount --rbind /dev {root}/dev && mount --bind {shlex.quote(str(CHECKOUT))} {root}/checkout && "
            f"exec chroot {root} sh -c {shlex.quote(f'cd /checkout && HOME=/root exec {words}')}"
        )
        ran = subprocess.run(["unshare", "--mount", "sh", "-c", script], check=True, stdout=stdout, text=True)
        return ran.stdout or ""


def toolchain() -> Toolchain:
    found = shutil.which("swiftc")
    if found is not None:
        version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
        number = re.search(r"Swift version (\d+)\.(\d+)", version)
        if number is not None and int(number[1]) >= 6:
            return Toolchain(None)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = cache / "coreml-updatable" / f"swift-{SUITE}"
    if not (root / "usr/bin/swiftc").exists():
        if os.geteuid() != 0 or shutil.which("debootstrap") is None:
            sys.exit(
                "swift: no swiftc of 6.0 or newer is on the path; install Swift (Debian 13: apt-get install swiftlang "
                "libssl-dev), or run this as root with debootstrap installed, and it sets one up in the cache folder"
            )
        print(f"setting up Swift in {root} (once, 3 GB)", flush=True)
        partial = root.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.parent.mkdir(parents=True, exist_ok=True)
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(partial), *_mirror()]
        log = partial.with_suffix(".log")
        with log.open("w") as output:
            if subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode != 0:
                sys.exit(f"swift: debootstrap failed; see {log}")
        partial.rename(root)
    return Toolchain(root)


def _mirror() -> list[str]:
    """Where this machine's apt takes packages from; nothing where debootstrap's own default serves."""
    for file in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        if file.is_file():
            found = re.search(r"^(?:URIs:|deb)\s+(?:\[[^]]*\]\s+)?(http\S+/debian)\b", file.read_text(), re.MULTILINE)
            if found is not None:
                return [found[1]]
    return []


# --- What the tests need ---


def fixtures() -> None:
    """Two versions of healthy_luncher in both layouts, hand_pose, photos, and catalogues, below FIXTURES."""
    stamp = FIXTURES / "complete"
    if stamp.exists():
        return
    FIXTURES.mkdir(parents=True, exist_ok=True)
    # Smaller than the samples, for time; another seed gives another network, which is all that a newer base has to be.
    small = {"drawn_per_kind": "100", "seeds": "[0]", "shots": "[3]", "held_out": "20"}
    first = sample("healthy_luncher", "first", **small)
    second = sample("healthy_luncher", "second", seed="2", version='"1.1"', **small)
    pose = sample("hand_pose", "pose", seeds="[0]", shots="[3]")
    for recipe in (pose, first, second):
        run([str(COMMAND), "build", str(recipe), "--out", str(FIXTURES)])
    run([str(PYTHON), "tests/draw_meals.py", str(FIXTURES / "photos"), "25", "1000", "burger", "pancakes"])
    key = FIXTURES / "key"
    run([str(COMMAND), "keygen", str(key)])
    run([str(COMMAND), "keygen", str(FIXTURES / "stranger")])
    old, site = FIXTURES / "old", FIXTURES / "site"
    run(
        [str(COMMAND), "publish", str(FIXTURES / "first"), str(FIXTURES / "pose"), "--to", str(old), "--sign", str(key)]
    )
    shutil.copytree(old, site)
    run([str(COMMAND), "publish", str(FIXTURES / "second"), "--to", str(site), "--sign", str(key)])
    unknown = FIXTURES / "unknown"
    run([str(COMMAND), "publish", str(FIXTURES / "first"), "--to", str(unknown), "--sign", str(FIXTURES / "stranger")])
    run([str(COMMAND), "publish", str(FIXTURES / "first"), "--to", str(FIXTURES / "unsigned")])
    (FIXTURES / "public-key.txt").write_text((site / "public-key.txt").read_text().strip())
    stamp.touch()


def sample(name: str, to: str, **changes: str) -> Path:
    """A copy of a sample with the split layout, and with other values for fields of its recipe."""
    folder = WORK / "recipes" / to
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(CHECKOUT / "sample_models" / name, folder)
    recipe = folder / "recipe.toml"
    text = recipe.read_text()
    for field, value in changes.items():
        text, count = re.subn(rf"^{field} = .*$", f"{field} = {value}", text, count=1, flags=re.MULTILINE)
        assert count == 1, field
    recipe.write_text('layouts = ["split"]\n' + text)
    tomllib.loads(recipe.read_text())
    return recipe


def run(command: list[str]) -> None:
    subprocess.run(command, cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL)


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


# --- What people read: the blocks of the docs ---

BLOCK = re.compile(r"<!-- swift: (?P<given>[^>]*?)-->\n```swift\n(?P<code>.*?)```", re.DOTALL)
MODULES = ("CoreGraphics", "CoreML", "Foundation", "Personalization", "PersonalizationTesting", "PersonalizationUI")
OTHER_LIBRARIES = {"siblings.md"}  # pages whose Swift needs ONNX Runtime's own package
EXAMPLE = CHECKOUT / "swift/Example/HealthyLuncher"
MANIFEST = """// swift-tools-version: 6.0
import PackageDescription
let products = ["Personalization", "PersonalizationUI", "PersonalizationTesting"]
let package = Package(
    name: "Snippets", platforms: [.iOS(.v17), .macOS(.v14)],
    dependencies: [.package(name: "Personalization", path: "../../..")],
    targets: [
        .target(
            name: "Snippets", dependencies: products.map { .product(name: $0, package: "Personalization") },
            path: "Sources"),
        .target(
            name: "Example", dependencies: products.map { .product(name: $0, package: "Personalization") },
            path: "Example"),
    ], swiftLanguageModes: [.v6, .v5])
"""


def snippets() -> Path:
    """A package of one function for each Swift block of the docs; what stands before a block are its parameters."""
    package = WORK / "snippets"
    sources = package / "Sources"
    shutil.rmtree(sources, ignore_errors=True)
    sources.mkdir(parents=True)
    (package / "Package.swift").write_text(MANIFEST)
    example = package / "Example"
    shutil.rmtree(example, ignore_errors=True)
    example.mkdir()
    for file in EXAMPLE.glob("*.swift"):
        if "import SwiftUI" not in file.read_text():
            shutil.copy(file, example)
    pages = [*(CHECKOUT / "docs").glob("*.md"), *(CHECKOUT / "swift/Sources").rglob("*.docc/*.md")]
    for page in sorted(page for page in pages if page.name not in OTHER_LIBRARIES):
        found, blocks = page.read_text().count("```swift\n"), len(BLOCK.findall(page.read_text()))
        assert found == blocks, f"{page}: {found - blocks} blocks of Swift say nothing of what they are given"
        functions = [
            "@available(iOS 17, macOS 14, *)\n"
            f"func {page.stem}{number}({block['given'].strip()}) async throws {{\n"
            f"{block['code']}{_used(block['code'])}}}\n"
            for number, block in enumerate(BLOCK.finditer(page.read_text()), start=1)
        ]
        if functions:
            imports = [f"import {module}" for module in MODULES]
            (sources / f"{page.stem}.swift").write_text("\n".join([*imports, *functions]))
    for name, text in generated().items():
        (sources / name).write_text(text)
    return package


def _used(code: str) -> str:
    """A block may make a model for the blocks after it."""
    return "_ = model\n" if "let model = " in code else ""


def generated() -> dict[str, str]:
    """The Swift that a catalogue and a report have for copying, of each model of the fixtures."""
    from coreml_updatable.publishing.catalogue.pages import store_swift
    from coreml_updatable.publishing.catalogue.site_files import read_index
    from coreml_updatable.publishing.swift import update_snippet

    site = FIXTURES / "site"
    index, key = read_index(site), (site / "public-key.txt").read_text().strip()
    assert index is not None
    made = {"Photos.swift": update_snippet("image", "label")}
    arrays = update_snippet("poses", "label", array=True)
    made["Arrays.swift"] = arrays.replace("func personalize(", "func personalizeArrays(")
    for entry in index.models:
        for model in entry.versions[0].models:
            if code := store_swift(entry, model, index.base_url, key):
                made[f"{model.file.removesuffix('.mlmodel')}.swift"] = code
                unsigned = store_swift(entry, model, "", None)
                name = model.file.removesuffix(".mlmodel")
                made[f"{name}Unsigned.swift"] = unsigned.replace(f"enum {name} ", f"enum {name}Unsigned ")
    assert len(made) >= 10, sorted(made)
    return made


def probe(swift: "Toolchain", choices: Sequence[str], port: str) -> None:
    """coreml-probes on this device: what it prints must be read as this device's own choices."""
    from coreml_updatable.updating.probes.outcomes import choices as all_choices

    folder = WORK / "probes"
    run([str(COMMAND), "probes", str(folder)])
    program = ["swift", "run", "--skip-build", "--scratch-path", swift.inside(WORK / "products-6"), "coreml-probes"]
    results = WORK / "results.json"
    results.write_text(swift.run([*program, swift.inside(folder)], output=True, COREML_SIMULATOR=port))
    told = subprocess.run(
        [str(COMMAND), "probes", "--read", str(results), "-o", str(WORK / "device.json")],
        env={**os.environ, "XDG_CONFIG_HOME": str(WORK / "settings")},
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    )
    found = json.loads((WORK / "device.json").read_text())["choices"]
    chosen = dict(choice.split("=", 1) for choice in choices)
    expected = {name: chosen.get(name, known[0]) for name, known in all_choices().items()}
    wrong = {name: (found.get(name), choice) for name, choice in expected.items() if found.get(name) != choice}
    if wrong:
        sys.exit(f"swift: coreml-probes found other choices than this device has: {wrong}\n{told.stdout.decode()}")
    vectors, model = FIXTURES / "first/HealthyLuncher.vectors.json", FIXTURES / "first/HealthyLuncher.mlmodel"
    swift.run([*program, swift.inside(vectors), swift.inside(model)], COREML_SIMULATOR=port)


# --- What is run ---


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--filter", help="only the tests whose name matches")
    options = parser.parse_args()
    swift = toolchain()
    fixtures()
    root = str(swift.root or "/")
    # The chroot sees the checkout elsewhere; the simulator looks files up where this process does.
    if swift.root is not None:
        (swift.root / "checkout").mkdir(exist_ok=True)

    def scratch(name: str) -> list[str]:
        return ["--scratch-path", swift.inside(WORK / f"products-{name}")]

    with server("serving.py", str(FIXTURES)) as site:
        for device, choices in DEVICES.items():
            assume = [word for choice in choices for word in ("--assume", choice)]
            with server("StandIns/simulator.py", "--root", root, "--checkout", str(CHECKOUT), *assume) as port:
                print(f"device: {device}", flush=True)
                only = ["--filter", options.filter] if options.filter else []
                command = ["swift", "test", *scratch("6"), *STRICT, *LINK, *only]
                swift.run(
                    command,
                    COREML_SIMULATOR=port,
                    FIXTURES=swift.inside(FIXTURES),
                    CATALOGUE_SITE=f"http://127.0.0.1:{site}",
                    ASSUMED=",".join(choices),
                )
                probe(swift, choices, port)
    package = swift.inside(snippets())
    fifth = ["-Xswiftc", "-swift-version", "-Xswiftc", "5", "-Xswiftc", "-strict-concurrency=complete"]
    for mode, flags in {"6": [], "5": fifth}.items():
        print(f"the docs, Swift {mode} mode", flush=True)
        swift.run(["swift", "build", "--package-path", package, *scratch(f"docs-{mode}"), *flags, *STRICT])
    print("the example's screens, parsed", flush=True)
    swift.run(["swiftc", "-frontend", "-parse", *(swift.inside(file) for file in sorted(EXAMPLE.glob("*.swift")))])
    print("the package, Swift 5 mode", flush=True)
    swift.run(["swift", "build", "--build-tests", *scratch("5"), *fifth, *STRICT, *LINK])


if __name__ == "__main__":
    main()
