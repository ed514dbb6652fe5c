"""docs/probes.md names every option and variant, and what probes.json says an app has to do."""

import re
from pathlib import Path

from coreml_updatable.updating.probes import all_probes
from coreml_updatable.updating.probes.outcomes import choices

PAGE = (Path(__file__).parents[3] / "docs" / "probes.md").read_text(encoding="utf-8")


def test_the_table_lists_every_option_with_its_variants() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", PAGE, re.MULTILINE)
    assert {option: tuple(variants.strip().split(", ")) for option, variants in rows} == choices()


def test_every_option_says_how_sure_it_is() -> None:
    known = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", PAGE, re.MULTILINE))
    assert known.keys() == choices().keys()
    assert all(re.match(r"(settled by source|likely|open)", words) for words in known.values())


def test_the_page_explains_all_that_is_read() -> None:
    for what in {probe.read.what for probe in all_probes()}:
        assert f'"{what}"' in PAGE or f"`{what}`" in PAGE
    assert {key for probe in all_probes() for values in probe.then.values() for key in values} == {"learningRate"}


def test_the_exceptions_are_those_named() -> None:
    assert {probe.option for probe in all_probes() if probe.given} == {
        "epoch_loss",
        "adam_eps",
        "zero_distance",
        "generator",
    }
