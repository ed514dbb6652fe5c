"""Publishing into a folder: what is written, and what stays."""

import hashlib
import json
from pathlib import Path

import jsonschema
import pytest

from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.catalogue.check_site import check_site
from coreml_updatable.publishing.catalogue.publish import publish
from coreml_updatable.publishing.catalogue.site_files import read_latest
from tests.cli.conftest import Run
from tests.publishing.catalogue.sites import MakeBuild, index_of, report_with, state, versions


def test_every_file_is_listed_with_its_sum(make_build: MakeBuild, site: Path) -> None:
    build = make_build("Luncher")
    publish([build], site)
    (entry,) = json.loads((site / "index.json").read_text())["models"]
    (release,) = entry["versions"]
    listed = {file["file"]: file for file in (*release["models"], *release["files"])}
    assert set(listed) == {path.name for path in build.iterdir()}
    for name, file in listed.items():
        content = (site / file["url"]).read_bytes()
        assert content == (build / name).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert check_site(site).faults == ()


def test_the_facts_are_those_of_the_models(make_build: MakeBuild, site: Path) -> None:
    publish([make_build("Luncher")], site)
    network, knn = index_of(site).models[0].versions[0].models
    assert (network.role, network.layout, network.other_variant) == ("network", "single", "LuncherKNN.mlmodel")
    assert (knn.role, knn.layout, knn.other_variant) == ("k-NN", "pipeline", "Luncher.mlmodel")
    assert (network.labels, network.least_ios, network.specification_version) == (("fast-food", "healthy"), "iOS 13", 4)
    assert [value.name for value in network.inputs] == ["image"]
    assert [training_input.name for training_input in network.training_inputs] == ["image", "label"]
    assert network.update is not None
    assert network.update.layers == ("head",)
    epochs = next(parameter for parameter in network.update.parameters if parameter.name == "epochs")
    assert (epochs.default, epochs.allowed) == (3, (1, 2, 3, 10))
    assert knn.update is not None
    assert knn.update.parameters[0].range == (1.0, 15.0)
    assert network.accuracies[0].measured_on == "test pictures of the base model, before any update"


def test_the_index_follows_its_published_schema(make_build: MakeBuild, site: Path) -> None:
    publish([make_build("Luncher"), make_build("Digits")], site, base_url="https://example.org/m/")
    schema, index = (json.loads((site / name).read_text()) for name in ("index.schema.json", "index.json"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(index)
    index["models"][0]["versions"][0]["models"][0]["sha256"] = "no sum"
    index["models"][0]["surplus"] = 1
    assert {error.validator for error in validator.iter_errors(index)} == {"pattern", "additionalProperties"}


def test_the_same_bytes_again_change_nothing(make_build: MakeBuild, site: Path) -> None:
    build = make_build("Luncher")
    first = publish([build], site)
    before = state(site)
    again = publish([build], site)
    assert (first.new, again.new, again.unchanged) == ((("Luncher", "1.0"),), (), (("Luncher", "1.0"),))
    assert state(site) == before


def test_a_run_that_measured_other_times_changes_nothing(make_build: MakeBuild, site: Path) -> None:
    build = make_build("Luncher")
    publish([build], site)
    before = state(site)
    report = json.loads((build / "report.json").read_text())
    report["seconds"] = {"train": 99.0}
    report["comparison"]["entrants"][0]["cost"]["embedding_ms"] = 99.0
    (build / "report.json").write_text(json.dumps(report))
    assert publish([build], site).kept_reports == ()
    assert state(site) == before


def test_a_report_that_says_something_else_is_told(make_build: MakeBuild, site: Path, run: Run) -> None:
    build = make_build("Luncher")
    publish([build, make_build("Digits")], site)
    before = state(site)
    report_with(build, description="Another sentence.")
    done = publish([build], site)
    assert (done.unchanged, done.kept_reports) == ((("Luncher", "1.0"),), (("Luncher", "1.0"),))
    assert state(site) == before
    ran = run("publish", build, "--to", site)
    assert ran.status == 0
    assert "note: Luncher 1.0: the report or golden vectors of the build have changed" in ran.out
    output = json.loads(run("publish", build, "--to", site, "--json").out)
    assert output["kept_reports"] == [{"name": "Luncher", "version": "1.0"}]
    (build / "report.html").write_bytes(b"other")
    with pytest.raises(CatalogueError, match=r"report\.html: has changed since it was built; build the model again"):
        publish([build], site)


def test_other_bytes_under_an_old_version_are_refused(make_build: MakeBuild, site: Path) -> None:
    publish([make_build("Luncher")], site)
    before = state(site)
    with pytest.raises(
        CatalogueError, match=r"^Luncher 1\.0: is already published as 1\.0 with other bytes.*; raise metadata"
    ):
        publish([make_build("Digits"), make_build("Luncher", seed=2)], site)
    with pytest.raises(CatalogueError, match=r"^Luncher 1\.0\.0: is already published as 1\.0 "):
        publish([make_build("Luncher", "1.0.0")], site)
    assert state(site) == before


def test_latest_is_the_highest_version_not_the_last(make_build: MakeBuild, site: Path) -> None:
    for version in ("1.9", "1.10", "1.2"):
        publish([make_build("Luncher", version)], site)
    assert versions(site, "Luncher") == ["1.10", "1.9", "1.2"]
    assert read_latest(site).models == {"Luncher": "1.10"}
    assert read_latest(site).serial == 3


def test_keep_removes_the_oldest(make_build: MakeBuild, site: Path) -> None:
    for version in ("1.0", "1.1", "2.0"):
        publish([make_build("Luncher", version), make_build("Digits")], site)
    done = publish([make_build("Luncher", "3.0")], site, keep=2)
    assert done.removed == (("Luncher", "1.0"), ("Luncher", "1.1"))
    assert versions(site, "Luncher") == ["3.0", "2.0"]
    assert versions(site, "Digits") == ["1.0"]
    assert sorted(path.name for path in (site / "models/Luncher").iterdir() if path.is_dir()) == ["2.0", "3.0"]
    assert check_site(site).faults == ()


def test_urls_are_relative_until_a_base_is_given(make_build: MakeBuild, site: Path) -> None:
    build = make_build("Luncher")
    publish([build], site)
    assert index_of(site).models[0].versions[0].models[0].url == "models/Luncher/1.0/Luncher.mlmodel"
    publish([], site, base_url="https://example.org/m/")
    publish([build], site)  # the base stays
    url = "https://example.org/m/models/Luncher/1.0/Luncher.mlmodel"
    assert index_of(site).models[0].versions[0].models[0].url == url
    assert check_site(site).faults == ()
