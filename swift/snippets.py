"""What people copy: each Swift block of the pages as a function, and the Swift that catalogues and reports have.

What stands before a block, as ``<!-- swift: name: Type, ... -->``, are the parameters of its function.
"""

import re
import shutil
from pathlib import Path

from swift.toolchain import CHECKOUT

BLOCK = re.compile(r"<!-- swift: (?P<given>[^>]*?)-->\n```swift\n(?P<code>.*?)```", re.DOTALL)
MODULES = ("CoreGraphics", "CoreML", "Foundation", "Personalization", "PersonalizationTesting", "PersonalizationUI")
MORE = {"Vision": "VNHuman", "onnxruntime_training_objc": "ORTTrainingSession("}  # where a page has the name
PAGES = ("README.md", "docs/*.md", "sample_models/*/README.md", "swift/**/*.md")
EXAMPLE = CHECKOUT / "swift/Example/HealthyLuncher"


def write_snippets(folder: Path) -> None:
    """Write one file a page, of one function a block."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for page in sorted({page for pattern in PAGES for page in CHECKOUT.glob(pattern)}):
        text = page.read_text(encoding="utf-8")
        result, blocks = text.count("```swift\n"), list(BLOCK.finditer(text))
        if result != len(blocks):
            raise AssertionError(f"{page}: {result - len(blocks)} blocks of Swift do not say what they are given")
        name = re.sub(r"\W", "_", str(page.relative_to(CHECKOUT).with_suffix("")))
        functions = [
            "@available(iOS 17, macOS 14, *)\n"
            f"func {name}{index}({block['given'].strip()}) async throws {{\n"
            f"{block['code']}{_used(block['code'])}}}\n"
            for index, block in enumerate(blocks, start=1)
        ]
        if functions:
            imports = [f"import {module}" for module in (*MODULES, *_more(text))]
            (folder / f"{name}.swift").write_text("\n".join([*imports, *functions]))


def _used(code: str) -> str:
    """A block may make a model for the blocks after it."""
    return "_ = model\n" if "let model = " in code else ""


def _more(text: str) -> list[str]:
    return [module for module, name in MORE.items() if name in text]


def write_generated(folder: Path, packages: Path, site: Path) -> None:
    """Write the Swift that the catalogue ``site`` and reports have for copying, and below ``packages`` as packages.

    Each model's file is written as the signed catalogue has it, and once more as an unsigned one does.
    """
    from coreml_updatable.publishing.catalogue.pages import store_swift, swift_package
    from coreml_updatable.publishing.catalogue.site_files import read_index
    from coreml_updatable.publishing.swift import update_snippet

    for place in (folder, packages):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    index, key = read_index(site), (site / "public-key.txt").read_text().strip()
    assert index is not None
    arrays = update_snippet("poses", "label", array=True).replace("func personalize(", "func personalizeArrays(")
    result = {"Photos": update_snippet("image", "label"), "Arrays": arrays}
    written = 0
    for entry in index.models:
        for model in entry.versions[0].models:
            name = model.file.removesuffix(".mlmodel")
            if code := store_swift(entry, model, index.base_url, key):
                result[name] = code
                unsigned = store_swift(entry, model, "", None)
                result[f"{name}Unsigned"] = unsigned.replace(f"enum {name} ", f"enum {name}Unsigned ")
                if name == EXAMPLE.name:
                    assert unsigned == (EXAMPLE / f"{name}.swift").read_text(), (
                        "the example's file is not the generated one"
                    )
                package = packages / name
                (package / "Sources" / name).mkdir(parents=True, exist_ok=True)
                (package / "Package.swift").write_text(swift_package(model))
                (package / "Sources" / name / f"{name}.swift").write_text(code)
                written += 1
    assert written >= 4, written
    for name, text in result.items():
        (folder / f"{name}.swift").write_text(text)
