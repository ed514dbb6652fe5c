"""docs/layers.md says what the code does, and the code runs all that coremltools' builder can write."""

import ast
import inspect
import textwrap
import warnings
from importlib import import_module
from pathlib import Path

from coreml_updatable.runtime.layers import KINDS
from coreml_updatable.spec.messages import NeuralNetwork_pb2
from docs.pages.layers import page

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from coremltools.models.neural_network import NeuralNetworkBuilder

FORMAT = [field.name for field in NeuralNetwork_pb2.NeuralNetworkLayer.DESCRIPTOR.oneofs_by_name["layer"].fields]
PAGE = Path(__file__).parents[2] / "docs" / "layers.md"


def written_by(method: ast.FunctionDef) -> set[str]:
    """The kinds that a method of the builder writes: what it touches of the layer's message."""
    touched = {
        node.attr
        for node in ast.walk(method)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and "layer" in node.value.id.split("_")
    }
    return touched & set(FORMAT)


def test_the_page_is_the_codes_own() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m docs.pages.layers > docs/layers.md"


def test_every_kind_of_the_format_has_a_line_with_its_state() -> None:
    rows = [line.split(" | ") for line in page().splitlines() if line.startswith("| ") and line[2:5] != "---"][1:]
    assert [row[0].removeprefix("| ") for row in rows] == FORMAT
    assert {row[0].removeprefix("| ") for row in rows if row[3] == "runs"} == set(KINDS)


def test_every_link_leads_to_a_file() -> None:
    links = [part.split(")")[0] for part in page().split("](")[1:]]
    assert len(links) == len(KINDS)
    assert all((PAGE.parent / link).is_file() for link in links)


def test_every_kind_has_a_module_with_build() -> None:
    for kind, name in KINDS.items():
        assert kind in FORMAT
        assert callable(import_module(f"coreml_updatable.runtime.layers.{name}").build), kind


def test_all_that_the_builder_writes_runs() -> None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(NeuralNetworkBuilder)))
    (builder,) = tree.body
    assert isinstance(builder, ast.ClassDef)
    methods = [node for node in builder.body if isinstance(node, ast.FunctionDef) and node.name.startswith("add_")]
    kinds = {method.name: written_by(method) for method in methods}
    assert [name for name, kind in kinds.items() if not kind] == ["add_optionals"]  # inputs, not a layer
    written = set[str]().union(*kinds.values())
    assert written == set(FORMAT)
    assert written - set(KINDS) == {"custom"}  # its code is in an app
