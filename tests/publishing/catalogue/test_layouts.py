"""A network in further layouts beside its single file: in the index, and on the page."""

import json
from pathlib import Path

import pytest

from coreml_updatable.building.models_stage import further_layouts
from coreml_updatable.publishing.catalogue.check_site import check_site
from coreml_updatable.publishing.catalogue.index import ModelFile
from coreml_updatable.publishing.catalogue.publish import publish
from coreml_updatable.spec.messages import Model
from tests.publishing.catalogue.conftest import MakeBuild
from tests.publishing.catalogue.test_pages import Page, vectors


def laid_out(models: dict[str, Model]) -> None:
    models |= further_layouts("Luncher", models["Luncher.mlmodel"], ("pipeline:16", "split"))


@pytest.fixture
def models(make_build: MakeBuild, site: Path) -> dict[str, ModelFile]:
    done = publish([make_build("Luncher", change=laid_out)], site)
    return {model.file: model for model in done.index.models[0].versions[0].models}


def test_the_index_tells_them_apart(models: dict[str, ModelFile]) -> None:
    assert {name: (model.role, model.layout, model.other_variant) for name, model in models.items()} == {
        "Luncher.mlmodel": ("network", "single", "LuncherKNN.mlmodel"),
        "LuncherExtractor.mlmodel": ("part", "split", None),
        "LuncherHead.mlmodel": ("part", "split", None),
        "LuncherKNN.mlmodel": ("k-NN", "pipeline", "Luncher.mlmodel"),
        "LuncherPipeline.mlmodel": ("network", "pipeline", "LuncherKNN.mlmodel"),
    }
    assert models["LuncherExtractor.mlmodel"].update is None
    head, whole = models["LuncherHead.mlmodel"], models["Luncher.mlmodel"]
    assert head.update == whole.update
    assert head.labels == whole.labels
    assert [value.name for value in head.inputs] == [
        output.name for output in models["LuncherExtractor.mlmodel"].outputs
    ]
    assert models["LuncherPipeline.mlmodel"].accuracies == ()  # rounded to 16 bits, and not measured so


def test_the_page_offers_all_of_them(models: dict[str, ModelFile], site: Path) -> None:
    assert len(models) == 5
    page = Page((site / "models/Luncher/index.html").read_text())
    assert page.faults == []
    words = " ".join(" ".join(page.words).split())
    buttons = [attributes["href"] for tag, attributes in page.tags if attributes.get("class") == "button"]
    assert buttons == [
        f"1.0/Luncher{part}.mlmodel" for part in ("", "KNN", "Pipeline", "Extractor", "Head")
    ]  # both variants first
    for title in ("Network as a pipeline", "Extractor of the split", "Head of the split"):
        assert title in words
    assert "Computes features from the input, once per example" in words
    assert check_site(site).faults == ()


def test_the_page_shows_the_answers_of_the_single_file(make_build: MakeBuild, site: Path) -> None:
    """A pipeline of 16 bits has golden vectors too, and is the same network to a reader."""
    files = vectors()
    document = json.loads(files["Luncher.vectors.json"])
    document["model"] = "LuncherPipeline.mlmodel"
    for exercise in document["exercises"]:
        for answer in exercise["outcomes"][0]["answers"]:
            answer["label"] = "of the pipeline"
    files["LuncherPipeline.vectors.json"] = json.dumps(document).encode()
    publish([make_build("Luncher", change=laid_out, more=files)], site)
    page = (site / "models/Luncher/index.html").read_text()
    assert "of the pipeline" not in page
    assert page.count('<span class="before">') == 3
