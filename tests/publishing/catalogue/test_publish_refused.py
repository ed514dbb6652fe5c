"""What is not published: one sentence, and the catalogue as it was."""

from pathlib import Path
from typing import Any

import pytest

from coreml_updatable.errors import CatalogueError
from coreml_updatable.files import alone
from coreml_updatable.publishing.catalogue.check_site import check_site
from coreml_updatable.publishing.catalogue.publish import publish
from coreml_updatable.spec.messages import Model
from tests.publishing.catalogue.sites import MakeBuild, report_with, state


def no_version(models: dict[str, Model]) -> None:
    for model in models.values():
        model.description.metadata.versionString = "one"


def two_versions(models: dict[str, Model]) -> None:
    models["LuncherKNN.mlmodel"].description.metadata.versionString = "1.1"


def broken(models: dict[str, Model]) -> None:
    del models["Luncher.mlmodel"].description.trainingInput[:]


def of_the_future(models: dict[str, Model]) -> None:
    models["Luncher.mlmodel"].specificationVersion = 99


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (no_version, r"Luncher\.mlmodel: its version is 'one', expected numbers with dots such as 1\.0; set metadata"),
        (two_versions, r"LuncherKNN\.mlmodel: its version is 1\.1, .*Luncher\.mlmodel is 1\.0; build both again$"),
        (broken, r"Luncher\.mlmodel: is not published: .* \(error "),
        (of_the_future, r"Luncher\.mlmodel: (is not published: .*version|specification version 99)"),
    ],
)
def test_a_model_that_is_not_fit_is_refused(make_build: MakeBuild, site: Path, change: Any, sentence: str) -> None:
    publish([make_build("Digits")], site)
    before = state(site)
    with pytest.raises(CatalogueError, match=sentence):
        publish([make_build("Salads"), make_build("Luncher", change=change)], site)
    assert state(site) == before


def test_what_is_no_build_is_refused(make_build: MakeBuild, site: Path, tmp_path: Path) -> None:
    def refused(build: Path, sentence: str) -> None:
        with pytest.raises(CatalogueError, match=sentence):
            publish([build], site)
        assert state(site) == {}

    refused(tmp_path / "nowhere", r"nowhere: does not exist, expected .*; run `coreml-updatable build`")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", r"empty: has no report\.json, expected what a build wrote")
    (tmp_path / "empty/report.json").write_text("[1]")
    refused(tmp_path / "empty", r"report\.json: is not the report of a build; build the model again")
    refused(
        report_with(make_build("A1"), schema=1), r"report\.json: has the schema 1, expected 4; build the model again"
    )
    refused(report_with(make_build("A2"), labels=3), r"report\.json: labels: Input should be .*; build the model again")
    refused(report_with(make_build("A3"), files={}), r"its report lists no \.mlmodel files")
    outside = {"../escaped.mlmodel": {"sha256": "0" * 64}}
    refused(
        report_with(make_build("A4"), files=outside), r"lists a file '\.\./escaped\.mlmodel', expected a plain name"
    )
    gone = make_build("A5")
    (gone / "A5.mlmodel").unlink()
    refused(gone, r"A5\.mlmodel: is missing, but report\.json lists it; build the model again")
    changed = make_build("A6")
    (changed / "A6.mlmodel").write_bytes(b"other")
    refused(changed, r"A6\.mlmodel: has changed since it was built; build the model again")
    for name in ("../../up", "a/b", "..", "", "Å", "x" * 65):
        refused(report_with(make_build("A7"), name=name), r"report\.json: name: ")


def test_two_models_of_one_name_are_refused(make_build: MakeBuild, site: Path) -> None:
    with pytest.raises(
        CatalogueError, match=r"Luncher-2\.0-1: its model is named Luncher, like that of .*; rename one"
    ):
        publish([make_build("Luncher"), make_build("Luncher", "2.0")], site)
    assert state(site) == {}
    publish([make_build("Luncher")], site)
    with pytest.raises(CatalogueError, match=r"^LUNCHER: differs only in case from Luncher"):
        publish([make_build("LUNCHER")], site)


def test_an_index_of_a_newer_schema_is_left_alone(make_build: MakeBuild, site: Path) -> None:
    build = make_build("Luncher")
    publish([build], site)
    path = site / "index.json"
    path.write_text(path.read_text().replace('"schema": 2', '"schema": 3'))
    before = state(site)
    with pytest.raises(
        CatalogueError, match=r"index\.json: has the schema 3, expected 2; use a newer coreml_updatable"
    ):
        publish([build], site)
    assert state(site) == before


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"name": "Luncher"', '"name": "../up"', r"models\.0\.name: String should match"),
        ('"version": "1.0"', '"version": "../.."', r"models\.0\.versions\.0\.version: String should match"),
        ('"file": "Luncher.mlmodel"', '"file": "../../../x.y"', r"file: String should match"),
        ('"schema": 2', '"schema": "x"', "has the schema 'x', expected 2; restore it from a copy"),
        ("{", "", "is not the JSON of a catalogue; restore it from a copy"),
    ],
)
def test_an_index_that_leads_out_is_refused(
    make_build: MakeBuild, site: Path, old: str, new: str, sentence: str
) -> None:
    build = make_build("Luncher")
    publish([build], site)
    path = site / "index.json"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(CatalogueError, match=sentence):
        publish([build], site, keep=1)
    with pytest.raises(CatalogueError, match=sentence):
        check_site(site)


def test_a_link_that_leads_out_is_not_followed(make_build: MakeBuild, site: Path, tmp_path: Path) -> None:
    publish([make_build("Luncher")], site)
    outside = tmp_path / "outside"
    (outside / "2.0").mkdir(parents=True)
    (outside / "2.0/precious").write_text("precious")
    (site / "models/Digits").symlink_to(outside)
    with pytest.raises(CatalogueError, match=r"is a link to a place outside the catalogue.*; remove the link$"):
        publish([make_build("Digits", "2.0")], site)
    assert (outside / "2.0/precious").read_text() == "precious"
    assert any("is a link, expected only files and folders" in fault for fault in check_site(site).faults)


def test_a_second_publisher_is_told(make_build: MakeBuild, site: Path) -> None:
    with (
        alone(site, "another publisher", error=CatalogueError, option="--to"),
        pytest.raises(CatalogueError, match="another publisher is running"),
    ):
        publish([make_build("Luncher")], site)
    site.with_name("file").write_text("")
    with pytest.raises(CatalogueError, match=r"file: is a file, expected a folder; .* --to"):
        publish([make_build("Luncher")], site.with_name("file"))
