"""Every command, with a hostile name in every place where a name may stand: what leaves cannot harm a terminal.

And `--json` gives a program the very strings that the file holds.
"""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from coreml_updatable.spec.io import write_model
from tests.cli.conftest import Ran, Run
from tests.cli.hostile_text import FILE_NAMES, FORGED, HOSTILE, expect_safe, hostile_model, strings

NAMES = pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
FILES = pytest.mark.parametrize("name", FILE_NAMES.values(), ids=FILE_NAMES)


def safe(ran: Ran) -> Ran:
    expect_safe(ran.out)
    expect_safe(ran.err)
    assert "Traceback" not in ran.err
    return ran


def told(ran: Ran) -> set[str]:
    """All strings of the JSON that was printed, each line a value or all of it one."""
    safe_json = ran.out.replace("\n", "")
    assert safe_json.isascii()
    assert safe_json.isprintable()
    expect_safe(ran.err)
    try:
        values = [json.loads(ran.out)]
    except ValueError:
        values = [json.loads(line) for line in ran.out.splitlines()]
    return {text for value in values for text in strings(value)}


def written(value: Any, path: Path) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


@NAMES
def test_names_in_a_model(run: Run, tmp_path: Path, name: str) -> None:
    model, other = tmp_path / "model.mlmodel", tmp_path / "other.mlmodel"
    write_model(hostile_model(name), model)
    broken = hostile_model(name)
    broken.neuralNetworkClassifier.layers[1].input[0] = f"{name}nowhere"
    write_model(broken, other)
    row = {f"{name}i": [1, 2, 3, 4]}
    rows = written([row, {f"{name}unknown": 1}], tmp_path / "rows.json")
    learned = written([{**row, f"{name}l": f"{name}1"}], tmp_path / "learned.json")
    wrong = written([{**row, f"{name}l": f"{name}3"}], tmp_path / "wrong.json")
    new = tmp_path / "new.mlmodel"

    assert safe(run("inspect", model)).status == 0
    assert {f"{name}{letter}" for letter in "iplhs1"} | {name} <= told(run("inspect", model, "--json"))
    safe(run("check", model, "--strict"))
    assert safe(run("check", other)).status == 1
    assert any(f"{name}nowhere" in text for text in told(run("check", other, "--json")))
    assert safe(run("diff", model, other)).status == 1
    told(run("diff", model, other, "--json"))
    ran = safe(run("predict", model, rows))
    assert ran.status == 1  # the second row
    assert ran.out
    assert {f"{name}l", f"{name}1", f"{name}2"} <= told(run("predict", model, rows, "--json"))
    safe(run("predict", other, rows))
    assert safe(run("update", model, learned, "-o", new, "--epochs", 1)).status == 0
    assert f"{name}h" in told(run("update", model, learned, "-o", new, "--epochs", 1, "--json"))
    assert safe(run("update", model, wrong, "-o", new)).status == 1
    assert safe(run("mark", model, "-o", new)).status == 0
    assert f"{name}h" in told(run("mark", model, "-o", new, "--json"))
    safe(run("mark", other, "-o", new))
    safe(run("mark", model, "-o", new, "--layers", name.replace("\0", "")))
    assert safe(run("knn", model, "--samples", learned, "-o", new)).status == 0
    assert f"{name}1" in told(run("knn", model, "--samples", learned, "-o", new, "--json"))
    safe(run("knn", other, "-o", new))
    assert safe(run("layout", model, "--to", "pipeline", "-o", new)).status == 0
    assert safe(run("convert", model, "-o", new)).status == 0
    assert f"{name}h" in told(run("convert", model, "-o", new, "--json"))


@FILES
def test_names_of_files(run: Run, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # so that the name is all of the path
    model = Path(f"{name}.mlmodel")
    write_model(hostile_model("x"), model)
    nothing = Path(f"{name}.nothing")
    rows = written([{"xi": [1, 2, 3, 4], "xl": "x1"}, {}], Path(f"{name}.json"))
    new = Path(f"{name}.new.mlmodel")
    for path in (model, nothing, rows):
        for command in ("inspect", "check", "predict", "diff"):
            more = {"predict": (rows,), "diff": (model,)}.get(command, ())
            safe(run(command, path, *more))
            if path is model:
                told(run(command, path, *more, "--json"))
        safe(run("update", model, path, "-o", new))
        safe(run("mark", path, "-o", new))
        safe(run("knn", path, "-o", new))
        safe(run("convert", path, "-o", new))
        safe(run("replay", path, model))
        safe(run("probes", "--read", path))
        safe(run("layout", path, "--to", "split", "-o", Path(f"{name}.split")))
    assert str(model) in told(run("check", model, "--json"))
    assert f"{rows}[0]" in told(run("predict", model, rows, "--json"))
    assert str(new) in told(run("mark", model, "-o", new, "--json"))
    key = Path(f"{name}.key")
    safe(run("keygen", key))
    safe(run("keygen", key))
    safe(run("probes", Path(f"{name}.probes")))
    safe(run("publish", Path(f"{name}.build"), "--to", Path(f"{name}.site")))
    safe(run("publish", "--to", Path(f"{name}.site"), "--base-url", "https://example.org/"))
    safe(run("publish", "--check", Path(f"{name}.site")))
    safe(run("serve", Path(f"{name}.nowhere")))
    safe(run("models", "--samples", Path(f"{name}.samples")))


@FILES
def test_folders_that_name_labels(run: Run, tmp_path: Path, name: str) -> None:
    model = tmp_path / "model.mlmodel"
    write_model(hostile_model(name if name.isascii() else "x"), model)
    folder = tmp_path / "rows" / f"{name}1"
    folder.mkdir(parents=True)
    (folder / f"{name}.npy").write_bytes(b"\x93NUMPY nothing")
    (folder / f"{name}.png").write_bytes(b"nothing")
    for command in (("update", model, tmp_path / "rows"), ("knn", model, "--samples", tmp_path / "rows")):
        safe(run(*command, "-o", tmp_path / "new.mlmodel"))
    safe(run("predict", model, folder))


@pytest.mark.parametrize(
    "arguments",
    [
        ("{}",),
        ("inspect", "a", "{}"),
        ("check", "--{}"),
        ("check", "a", "--json={}"),
        ("mark", "a", "-o", "b", "--learning-rate", "{}"),
        ("mark", "a", "-o", "b", "--optimizer", "{}"),
        ("mark", "a", "-o", "b", "--layout", "{}"),
        ("mark", "a", "-o", "b", "{}", "{}"),
        ("update", "a", "b", "-o", "c", "--parameter", "{}"),
        ("update", "a", "b", "-o", "c", "--epochs", "{}"),
        ("predict", "a", "b", "--assume", "{}=x"),
        ("predict", "a", "b", "--fit", "{}"),
        ("convert", "a", "-o", "b", "--converter", "{}"),
        ("convert", "a.pt", "-o", "b", "--input", "{}"),
        ("convert", "a.pt", "-o", "b", "--architecture", "{}", "--weights", "random"),
        ("convert", "timm:{}", "-o", "b"),
        ("knn", "a", "-o", "b", "--index", "{}"),
        ("layout", "a", "--to", "{}"),
        ("build", "{}"),
        ("build", "{}/recipe.toml", "--backbone", "{}"),
        ("publish", "{}", "--to", "site", "--base-url", "{}"),
        ("publish", "--check", "site", "--public-key", "{}"),
        ("serve", "site", "--host", "{}"),
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_names_on_the_command_line(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (*HOSTILE.values(), "\udcff\n" + FORGED):
        ran = safe(run(*(argument.replace("{}", name) for argument in arguments)))
        assert ran.status in (1, 2)
        assert ran.err


@NAMES
def test_fields_of_other_files(run: Run, tmp_path: Path, name: str) -> None:
    model = tmp_path / "model.mlmodel"
    write_model(hostile_model(name), model)
    results = written({"device": name, "results": {name: [1.0], "gradient": [0.5, -0.5]}}, tmp_path / "results.json")
    safe(run("probes", "--read", results))
    told(run("probes", "--read", results, "--json"))
    vectors = tmp_path / "v.vectors.json"
    for content in ({"schema": name}, {name: name}, [name], name):
        safe(run("replay", written(content, vectors), model))
    site = tmp_path / "site"
    run("publish", "--to", site, "--base-url", "https://example.org/")
    index = json.loads((site / "index.json").read_text())
    written({**index, "models": [{"name": name, "latest": name, "versions": [{"version": name}]}]}, site / "index.json")
    safe(run("publish", "--check", site))
    told(run("publish", "--check", site, "--json"))
    build = tmp_path / "build"
    build.mkdir()
    written({"schema": name, "name": name, "sample": name, "models": [{"file": name}]}, build / "report.json")
    safe(run("publish", build, "--to", site))
    recipe = tmp_path / "sample" / "recipe.toml"
    recipe.parent.mkdir()
    quoted = json.dumps(name.replace("\x7f", "\\x7f"))
    for text in (
        f"name = {quoted}\n",
        f"{quoted} = 1\n",
        f"[{quoted}]\na = 1\n",
        f"[source]\nconverter = {quoted}\n",
        name,
    ):
        recipe.write_text(text, encoding="utf-8", newline="")
        safe(run("build", recipe))
        safe(run("models", "--samples", tmp_path))
    for text in (f"{name}\n1\n", name):
        (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
        safe(run("predict", model, tmp_path / "rows.csv"))


ON_A_TERMINAL = """
import os, sys
sys.argv = ["coreml-updatable", *sys.argv[1:]]
from coreml_updatable.cli import main
main()
"""


def on_terminal(*arguments: object, columns: int) -> str:
    """What a real pseudo-terminal of so many columns is sent, the two styles of our own left out."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-c", ON_A_TERMINAL, *map(os.fspath, map(str, arguments))]
    with subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment):
        os.close(follower)
        sent = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not part:
                break
            sent += part
    os.close(leader)
    return re.sub(r"\x1b\[[013]?[0-9]?m", "", sent.decode().replace("\r\n", "\n"))


@pytest.mark.parametrize("columns", [40, 80])
def test_a_real_terminal(tmp_path: Path, columns: int) -> None:
    name = f"a\x1b[2J\x9b\n{FORGED} {FORGED} {'x' * 30} {FORGED}\r{FORGED}\u202e"
    model = tmp_path / "m.mlmodel"
    write_model(hostile_model(name), model)
    rows = written([{f"{name}i": [1, 2, 3, 4], f"{name}l": f"{name}1"}], tmp_path / f"{name}.json")
    for arguments in (
        ("inspect", model),
        ("check", "--strict", model),
        ("predict", model, rows),
        ("update", model, rows, "-o", tmp_path / f"{name}.mlmodel"),
        ("inspect", tmp_path / name),
        ("check", f"--{name}"),
    ):
        sent = re.sub(r"\x1b\[\?25[lh]|\x1b\[2K|\x1b\[1A|\r", "", on_terminal(*arguments, columns=columns))
        assert sent
        expect_safe(sent)


def test_what_libraries_say(tmp_path: Path) -> None:
    """Warnings, log records and a traceback, with a hostile name in each."""
    name = f"a\x1b[2J\x9b\n{FORGED}\u202e"
    program = f"""
import logging, warnings
from coreml_updatable.cli.output import guard
guard()
warnings.warn({name!r})
logging.getLogger("x").warning("%s", {name!r})
try:
    raise ValueError({name!r})
except ValueError:
    raise KeyError({name!r})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    expect_safe(done.stderr)
    assert done.stderr.count("a\\x1b[2J\\x9b\\n") >= 3
    assert "KeyError" in done.stderr
