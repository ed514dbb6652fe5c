"""A model of multi-arrays: its page has no pictures, and speaks of none."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from coreml_updatable.marking import knn_variant
from coreml_updatable.marking.settings import Int64Parameter, KNNSettings
from coreml_updatable.publishing.catalogue.check_site import check_site
from coreml_updatable.publishing.catalogue.publish import publish
from coreml_updatable.publishing.vectors.document import to_bytes
from coreml_updatable.publishing.vectors.record import record
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model
from tests.publishing.catalogue.conftest import MakeBuild, described, network
from tests.publishing.catalogue.test_pages import Page


def of_arrays() -> Model:
    """The same network on [3, 8, 8] numbers."""
    model = network(1)
    for feature in (*model.description.input, *model.description.trainingInput):
        if feature.name == "image":
            array = FeatureTypes_pb2.ArrayFeatureType(shape=[3, 8, 8], dataType="FLOAT32")
            feature.type.multiArrayType.CopyFrom(array)
    del model.neuralNetworkClassifier.preprocessing[:]
    return described(model, "1.0")


def replaced(models: dict[str, Model]) -> None:
    models["Luncher.mlmodel"] = of_arrays()
    neighbors = knn_variant(of_arrays(), KNNSettings(Int64Parameter(3, (1, 15)), default_label="unknown"))
    models["LuncherKNN.mlmodel"] = described(neighbors, "1.0")


@pytest.fixture
def page(make_build: MakeBuild, site: Path) -> str:
    random = np.random.default_rng(1)
    rows = [random.random((3, 8, 8), dtype=np.float32) for _ in range(3)]
    document, files = record(of_arrays(), "Luncher.mlmodel", "image", "label", rows, [(rows[0], "healthy")])
    build = make_build("Luncher", change=replaced, more={**files, "Luncher.vectors.json": to_bytes(document)})
    report = json.loads((build / "report.json").read_text())
    own = report["comparison"]
    for entrant in own["entrants"]:
        entrant["kinds"][0] |= {"kind": "picture-frame", "label": "photo"}
    data = {**report["data"], "origin": "loaded", "description": "Taken by the Photo Club."}
    (build / "report.json").write_text(json.dumps({**report, "noun": "pose", "comparison": own, "data": data}))
    publish([build], site)
    assert check_site(site).faults == ()
    return (site / "models/Luncher/index.html").read_text()


def test_it_has_no_pictures_and_speaks_of_none(page: str, site: Path) -> None:
    parsed = Page(page)
    assert parsed.faults == []
    assert not [tag for tag, _ in parsed.tags if tag == "img"]
    prose = " ".join(parsed.words)
    for theirs in ("labeled “photo”", "picture-frame", "the Photo Club"):
        assert theirs in prose
        prose = prose.replace(theirs, "")
    assert not re.findall(r"\b(?:photo|picture)s?\b", prose, re.IGNORECASE)
    assert "Pose 3" in prose
    assert "random orders of the poses" in " ".join(prose.split())
    assert "one update with 1 pose labeled “healthy”" in " ".join(prose.split())
    assert "img" not in [tag for tag, _ in Page((site / "index.html").read_text()).tags]


def test_its_swift_takes_multi_arrays(page: str) -> None:
    assert ".array(values, shape: [3, 8, 8])" in page
    assert "CGImage" not in page
