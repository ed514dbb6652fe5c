"""Python takes what the commands take, and what it refuses it advises in its own words."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import coreml_updatable as cu
from coreml_updatable.cli.app import app
from coreml_updatable.spelling import RENAMED, in_python
from tests.cli.conftest import Run

ROOT = Path(__file__).parents[2]
# What only a command line needs: files to write, how to print. And what is a value of its own in Python.
OF_FILES = {"out", "json", "dry_run", "help", "max_memory", "threads"}
OTHERWISE = {
    "mark": {
        *("optimizer", "learning_rate", "mini_batch", "momentum", "beta1", "beta2", "eps"),  # SGD(...), Adam(...)
        "layout",  # cu.layout(cu.mark(...))
    },
    "knn": {"labels_kind"},  # the type of default_label
    "publish": {"check", "public_key", "yes"},  # check_catalogue(site, public_keys=...); Python asks nobody
}
NAMES = {
    **{name.replace("-", "_"): python for name, python in RENAMED.items()},
    "input_name": "input",
    "whole": "cut",
    "files": "model",
    "extractor": "model",
}


@pytest.mark.parametrize("command", ["convert", "mark", "knn", "layout", "publish", "replay"])
def test_a_function_takes_every_option_of_its_command(command: str) -> None:
    (registered,) = app([command]).registered_commands
    assert registered.callback is not None
    wanted = set(inspect.signature(registered.callback).parameters) - OF_FILES - OTHERWISE.get(command, set())
    wanted -= {"leaf_size"}
    taken = set(inspect.signature(getattr(cu, command)).parameters)
    renamed = {"inputs": "inputs", **NAMES} if command == "convert" else NAMES
    assert {renamed.get(name, name) for name in wanted} - taken == set()


def sentences() -> Iterator[tuple[str, str]]:
    """Every text of the library that names an option, less docstrings; NAME stands for what is put in."""
    for folder in ("converters", "coreml_updatable"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "cli" in path.parts:
                continue
            inside: set[int] = set()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                body = getattr(node, "body", None)
                if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
                    inside.add(id(body[0].value))
                if isinstance(node, ast.JoinedStr):
                    inside |= {id(part) for part in node.values}
                    text = "".join(
                        str(part.value) if isinstance(part, ast.Constant) else "NAME" for part in node.values
                    )
                elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
                    text = node.value
                else:
                    continue
                if re.search(r"(?<![\w(-])--[a-z]|coreml-updatable (check|convert|mark|knn|layout)", text):
                    yield f"{path.relative_to(ROOT)}", text


KNOWN = {
    name
    for function in (cu.convert, cu.mark, cu.knn, cu.layout, cu.publish, cu.check_catalogue, cu.compare, cu.tune)
    for name in inspect.signature(function).parameters
}
OF_COMMANDS_ONLY = {"out", "backbone", "host", "port", "epochs", "data", "owner"}  # build, serve, update, new


def test_every_sentence_of_the_library_has_a_python_spelling() -> None:
    result = list(sentences())
    assert len(result) > 60
    for place, text in result:
        written = in_python(text)
        left = set(re.findall(r"--[a-z-]+", written)) - {"--max-memory", "--no-deps", "--threads", "--read"}
        assert not left or "var(--" in text, (place, written)
        for name in re.findall(r"\b([a-z_]+)=(?![\"=])", written):
            assert name in KNOWN | OF_COMMANDS_ONLY | {"gradient"}, (place, written)


@pytest.mark.parametrize(
    ("sentence", "written"),
    [
        ("pass --labels a,b,...", "pass labels=['a', 'b', ...]"),
        ("such as --labels no,yes", "such as labels=['no', 'yes']"),
        (
            "--cut layer4.1: this module does not run; choose another",
            "cut='layer4.1': this module does not run; choose another",
        ),
        ("pass --input image:224x224, or NAME:LENGTH", "pass inputs=['image:224x224'], or NAME:LENGTH"),
        (
            "convert one label, such as --column 0 --labels no,yes ",
            "convert one label, such as column=0 labels=['no', 'yes'] ",
        ),
        ("omit --converter", "omit converter="),
        ("use --pixels if it expects something else", "use pixels= if it expects something else"),
        (
            "or say --trust-code --labels a,b if you trust it",
            "or say trust_code=True labels=['a', 'b'] if you trust it",
        ),
        ("say which, like --answer place", "say which, like answer='place'"),
        ("--head new --labels a,b adds one", "head='new', labels=['a', 'b'] adds one"),
        ("`coreml-updatable check` lists all", "cu.check lists all"),
        (
            "then: coreml-updatable mark MODEL --head new --labels a,b",
            "then: cu.mark(model, head='new', labels=['a', 'b'])",
        ),
        ("run: coreml-updatable convert SOURCE --converter x -o OUT.mlmodel", "run: cu.convert(source, converter='x')"),
        ("raise --max-memory (in Python: cu.max_memory)", "raise --max-memory (in Python: cu.max_memory)"),
        ("a file named my--labels and -- too", "a file named my--labels and -- too"),
    ],
)
def test_what_a_sentence_becomes(sentence: str, written: str) -> None:
    assert in_python(sentence) == written


class Two(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kind, self.place = torch.nn.Linear(4, 3), torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"kind": self.kind(x), "place": self.place(x)}


def asked(source: Any, **options: Any) -> str:
    with pytest.raises(cu.UserError) as refused:
        cu.convert(source, converter="torch", **options)
    return str(refused.value)


def test_advice_from_python_is_followed_as_it_stands() -> None:
    """Each refusal names an argument; with it, the next step is done, until the model is there."""
    torch.manual_seed(0)
    network = Two().eval()
    assert "inputs=[" in asked(network)
    assert "answer='kind'" in asked(network, inputs=["x:4"])
    model = cu.convert(network, converter="torch", inputs=["x:4"], answer="kind", labels=["a", "b", "c"])
    rows = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    expected = torch.softmax(network(torch.tensor(rows))["kind"], 1).detach().numpy()
    actual = [answer["labelProbability"] for answer in model.predict([{"x": row} for row in rows])]
    assert np.allclose([[item[label] for label in "abc"] for item in actual], expected, atol=1e-6)
    by_index = cu.convert(network, converter="torch", inputs=["x:4"], answer=1, labels=["in", "out"])
    assert by_index.labels == ("in", "out")


def test_a_label_of_several_becomes_a_model_of_its_own() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Sigmoid()).eval()
    assert "column=0" in asked(network, inputs=["x:4"], labels=["a", "b", "c"])
    model = cu.convert(network, converter="torch", inputs=["x:4"], column=1, labels=["no", "yes"])
    row = np.ones(4, np.float32)
    assert model.predict({"x": row})["labelProbability"]["yes"] == pytest.approx(
        float(network(torch.tensor(row[None]))[0, 1].detach()), abs=1e-6
    )


def test_labels_and_pixels_as_the_command_reads_them(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 2)).eval()
    (tmp_path / "labels.txt").write_text("in\nout\n")
    given = cu.convert(network, converter="torch", inputs=["image:8x8"], labels=tmp_path / "labels.txt", pixels="-1..1")
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    seen = torch.tensor(picture.transpose(2, 0, 1)[None] / 127.5 - 1, dtype=torch.float32)
    assert given.predict({"image": picture})["labelProbability"]["out"] == pytest.approx(
        float(torch.softmax(network(seen), 1)[0, 1].detach()), abs=1e-5
    )
    with pytest.raises(cu.UserError, match="pixels= cannot be combined with mean="):
        cu.convert(network, converter="torch", inputs=["image:8x8"], mean=[0.5], pixels="0..1")
    with pytest.raises(cu.UserError, match="image: the size is missing"):
        cu.convert(network, converter="torch", inputs=["image"])


def test_reserved_labels_get_the_settings_that_the_command_gives(tmp_path: Path, run: Run) -> None:
    network = torch.nn.Linear(4, 2)
    model = cu.convert(network, converter="torch", inputs=["x:4"], labels=["a", "b"])
    cu.save(model, tmp_path / "in.mlmodel")
    assert run("mark", tmp_path / "in.mlmodel", "-o", tmp_path / "out.mlmodel", "--reserved", 3).status == 0
    command = cu.load(tmp_path / "out.mlmodel").parameters
    python = cu.mark(model, reserved=3).parameters
    assert {name: item.default for name, item in python.items()} == {
        name: item.default for name, item in command.items()
    }
    again = cu.mark(cu.mark(model, reserved=3)).parameters  # they are there already
    assert again["learningRate"].default == command["learningRate"].default


def test_a_k_nn_of_files_is_that_of_the_command(tmp_path: Path, run: Run) -> None:
    model = cu.convert(torch.nn.Linear(4, 2), converter="torch", inputs=["x:4"], labels=["a", "b"])
    cu.save(model, tmp_path / "in.mlmodel")
    for label, row in (("one", [1, 0, 0, 0]), ("two", [0, 1, 0, 0])):
        (tmp_path / "rows" / label).mkdir(parents=True)
        np.save(tmp_path / "rows" / label / "0.npy", np.array(row, np.float32))
    assert (
        run("knn", tmp_path / "in.mlmodel", "--samples", tmp_path / "rows", "-o", tmp_path / "out.mlmodel").status == 0
    )
    assert cu.diff(cu.knn(model, tmp_path / "rows"), tmp_path / "out.mlmodel").same


def test_max_memory_allows_what_is_refused_without_it() -> None:
    model = cu.convert(torch.nn.Linear(4, 2), converter="torch", inputs=["x:4"], labels=["a", "b"])
    row = {"x": np.ones(4, np.float32)}
    with cu.max_memory(1), pytest.raises(cu.ModelError, match="max_memory"):
        cu.load(model.message).predict(row)
    assert cu.load(model.message).predict(row)
