"""A release never changes, so a catalogue holds reports and golden vectors of every schema that there was."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coreml_updatable.errors import CatalogueError, DataError
from coreml_updatable.publishing.catalogue.check_site import check_site
from coreml_updatable.publishing.catalogue.publish import publish
from coreml_updatable.publishing.vectors.document import Vectors
from tests.publishing.catalogue.sites import MakeBuild, index_of, state, versions
from tests.publishing.catalogue.test_pages import vectors
from tests.publishing.vectors.test_golden import of_schema_2


def rewritten(site: Path, file: str, change: Callable[[dict[str, Any]], object]) -> None:
    """As if ``file`` of Luncher 1.0 had been published so: its sum in the index and in the report with it."""
    path = site / "models/Luncher/1.0" / file
    before = path.read_bytes()
    value = json.loads(before)
    change(value)
    path.write_bytes(json.dumps(value, indent=1).encode())
    old, new = (hashlib.sha256(content).hexdigest() for content in (before, path.read_bytes()))
    index = json.loads((site / "index.json").read_text())
    for held in index["models"][0]["versions"][0]["files"]:
        if held["file"] == file:
            held.update(sha256=new, bytes=path.stat().st_size)
    (site / "index.json").write_text(json.dumps(index))
    report = path.with_name("report.json")
    if file != "report.json":
        rewritten(site, "report.json", lambda item: item["files"][file].update(sha256=new))
        assert old not in report.read_text()


def vectors_of_schema_1(value: dict[str, Any]) -> None:
    """One update, and assumptions that were called variants."""
    older = of_schema_2(Vectors.model_validate_json(json.dumps(value)))
    value.clear()
    value.update(older)
    of_schema_1(value)


def of_schema_1(value: dict[str, Any]) -> None:
    """What a report was before its second schema: assumptions were called variants."""
    value["schema"] = 1
    value["variants"] = value.pop("assumptions", {})


@pytest.fixture
def old(make_build: MakeBuild, site: Path) -> Path:
    publish([make_build("Luncher", more=vectors())], site)
    rewritten(site, "Luncher.vectors.json", vectors_of_schema_1)
    rewritten(site, "report.json", of_schema_1)
    assert json.loads((site / "models/Luncher/1.0/report.json").read_text())["schema"] == 1
    return site


def test_others_are_published_beside_a_release_of_the_old_schema(old: Path, make_build: MakeBuild) -> None:
    before = state(old / "models/Luncher/1.0")
    publish([make_build("Digits")], old)
    assert [entry.name for entry in index_of(old).models] == ["Digits", "Luncher"]
    assert state(old / "models/Luncher/1.0") == before
    page = (old / "models/Luncher/index.html").read_text()
    assert "fast-food" in page
    assert "data:image/png" in page  # the pictures of its golden vectors
    assert check_site(old).faults == ()


def test_the_same_models_built_again_are_no_other_version(old: Path, make_build: MakeBuild) -> None:
    """Their golden vectors are of the new schema, and were refused as other bytes."""
    before = state(old / "models/Luncher/1.0")
    done = publish([make_build("Luncher", more=vectors())], old)
    assert (done.new, done.unchanged, done.kept_reports) == ((), (("Luncher", "1.0"),), (("Luncher", "1.0"),))
    assert state(old / "models/Luncher/1.0") == before


def test_a_new_version_follows_one_of_the_old_schema(old: Path, make_build: MakeBuild) -> None:
    before = state(old / "models/Luncher/1.0")
    publish([make_build("Luncher", "2.0")], old)
    assert versions(old, "Luncher") == ["2.0", "1.0"]
    assert state(old / "models/Luncher/1.0") == before
    assert check_site(old).faults == ()


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        (lambda value: value.update(schema=99), ("schema 99", "use a newer coreml_updatable")),
        (lambda value: value.update(schema=0), ("schema 0", "restore it from a copy", "newer version of the model")),
        (lambda value: value.update(labels=3), ("labels", "restore it from a copy", "newer version of the model")),
        (lambda value: value.update(files=3), ("files", "restore it from a copy", "newer version of the model")),
    ],
)
def test_a_release_that_cannot_be_shown_stops_before_anything_is_written(
    old: Path, make_build: MakeBuild, change: Callable[[dict[str, Any]], object], facts: tuple[str, ...]
) -> None:
    rewritten(old, "report.json", change)
    before = state(old)
    with pytest.raises(CatalogueError) as refused:
        publish([make_build("Digits")], old)
    assert state(old) == before
    for fact in ("models/Luncher/1.0", *facts):
        assert fact in str(refused.value)
    if "newer version of the model" in facts:  # the advice, followed
        publish([make_build("Luncher", "2.0"), make_build("Digits")], old)
        assert versions(old, "Luncher") == ["2.0", "1.0"]


def test_golden_vectors_of_an_unknown_schema_stop_it_too(old: Path, make_build: MakeBuild) -> None:
    rewritten(old, "Luncher.vectors.json", lambda value: value.update(schema=99))
    before = state(old)
    with pytest.raises(DataError, match=r"Luncher\.vectors\.json.*schema 99.*newer coreml_updatable"):
        publish([make_build("Digits")], old)
    assert state(old) == before


def test_an_index_of_the_old_schema_is_read_and_the_next_one_has_the_new_names(old: Path) -> None:
    path, before = old / "index.json", index_of(old)
    text = path.read_text()
    for now, then in (('"schema": 2', '"schema": 1'), ('"other_variant"', '"twin"'), ('"license"', '"licence"')):
        assert now in text
        text = text.replace(now, then)
    path.write_text(text)
    assert index_of(old) == before
    publish([], old, base_url="")
    assert json.loads(path.read_text())["schema"] == 2
    assert index_of(old).serial > before.serial
    assert check_site(old).faults == ()
