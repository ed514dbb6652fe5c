"""docs/probes.md names every assumption and choice, and what probes.json says an app has to do."""

import re
from pathlib import Path

import pytest

from coreml_updatable.updating.probes import all_probes, verdicts
from coreml_updatable.updating.probes.outcomes import choices
from coreml_updatable.updating.probes.results import read_results

PAGE = (Path(__file__).parents[3] / "docs" / "probes.md").read_text(encoding="utf-8")


def test_the_table_lists_every_assumption_with_its_choices() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", PAGE, re.MULTILINE)
    assert {assumption: tuple(listed.strip().split(", ")) for assumption, listed in rows} == choices()


def test_every_assumption_says_how_sure_it_is() -> None:
    known = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", PAGE, re.MULTILINE))
    assert known.keys() == choices().keys()
    assert all(re.match(r"(settled by source|likely|open)", words) for words in known.values())


def test_the_page_explains_all_that_is_read() -> None:
    for what in {probe.read.what for probe in all_probes()}:
        assert f'"{what}"' in PAGE or f"`{what}`" in PAGE
    assert {key for probe in all_probes() for values in probe.then.values() for key in values} == {"learningRate"}


def test_the_exceptions_are_those_named() -> None:
    assert {probe.assumption for probe in all_probes() if probe.given} == {
        "epoch_loss",
        "adam_eps",
        "zero_distance",
        "generator",
    }


def test_every_python_block_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "docs/probes.md", "exec"), {"__name__": "a_block"})  # each by itself


def test_what_python_prints_is_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(block, "docs/probes.md", "exec"), {})
    mean, total, squared, plain = capsys.readouterr().out.splitlines()
    numbers = r"-?\d+\.?\d*(?:e-\d+)?"
    assert [float(number) for number in re.findall(numbers, mean)] == pytest.approx([0.5, -0.5])
    assert [float(number) for number in re.findall(numbers, total)] == pytest.approx([1, -1])
    assert [float(number) for number in re.findall(r": (" + numbers + ")", squared)] == pytest.approx([0.8, 0.2])
    assert [float(number) for number in re.findall(r": (" + numbers + ")", plain)] == pytest.approx([2 / 3, 1 / 3])


def test_the_example_of_a_file_is_one(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "device.json").write_text(example)
    read = read_results(tmp_path / "device.json")
    assert (read.device, set(read.results)) == ("iPhone15,2", {"gradient", "momentum"})
    result = verdicts(all_probes(), read.results)
    output = {verdict.assumption: verdict.choice for verdict in result}
    assert {assumption: output[assumption] for assumption in read.choices} == read.choices
