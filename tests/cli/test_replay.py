"""`replay` at the command line."""

import json
from pathlib import Path

import numpy as np

from coreml_updatable.publishing.vectors.document import to_bytes
from coreml_updatable.publishing.vectors.record import record
from coreml_updatable.spec.io import read_model, write_model
from tests.cli.conftest import SIDE, Run


def test_replay(run: Run, picture_model: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    vectors, files = record(
        read_model(picture_model), picture_model.name, "image", "label", list(pixels), [(pixels[0], "red")]
    )
    (tmp_path / "vectors").mkdir()
    for name, content in {**files, "P.vectors.json": to_bytes(vectors)}.items():
        (tmp_path / name).write_bytes(content)
    ran = run("replay", tmp_path / "P.vectors.json", picture_model)
    assert ran.status == 0
    assert [line.split(",")[0] for line in ran.out.splitlines()] == [
        "before: 3 predictions",
        "after: 3 predictions",
        "one mini-batch an epoch: 1 predictions",
        "photos: 2 predictions",
    ]
    other = read_model(picture_model)
    other.neuralNetworkClassifier.layers[1].innerProduct.weights.floatValue[0] += 9
    write_model(other, tmp_path / "other.mlmodel")
    ran = run("replay", tmp_path / "P.vectors.json", tmp_path / "other.mlmodel", "--json")
    assert ran.status == 1
    output = json.loads(ran.out)
    assert not output["is_the_recorded_file"]
    assert output["stages"][0]["faults"]
    ran = run("replay", tmp_path / "P.vectors.json", tmp_path / "other.mlmodel")
    assert ran.out.startswith("note: ")
    ran = run("replay", picture_model, picture_model)
    assert ran.err.endswith(": is not valid JSON of golden vectors; fetch it again\n")
