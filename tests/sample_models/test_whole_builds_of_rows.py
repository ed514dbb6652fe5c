"""Samples whose rows are not pictures, built whole: models replay their golden vectors, pages show no photos."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from coreml_updatable.publishing.vectors.document import read_vectors
from coreml_updatable.publishing.vectors.replay import replay
from coreml_updatable.spec.io import read_model

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sample", "name", "noun"),
    [("hand_pose", "HandPose", "pose"), ("speaker_id", "SpeakerID", "clip"), ("sound_id", "SoundID", "clip")],
)
def test_built_whole(sample: str, name: str, noun: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from coreml_updatable.cli import main; main()", "build", sample]
    result = subprocess.run(
        [*command, "--out", str(tmp_path)], capture_output=True, text=True, check=False, cwd=ROOT, timeout=1800
    )
    assert result.returncode == 0, result.stderr
    folder = tmp_path / sample
    report = json.loads((folder / "report.json").read_text())
    assert report["noun"] == noun
    assert report["proof"]["labels_equal"] == report["proof"]["pictures"]
    page = (folder / "report.html").read_text()
    assert f"<p>{noun.capitalize()}s of " in page
    assert ("RANDOM WEIGHTS" in page) == (
        sample == "sound_id" and not (ROOT / "sample_models/sound_id/yamnet.h5").exists()
    )
    for file in (name, f"{name}KNN"):
        model = read_model(folder / f"{file}.mlmodel")
        stages = replay(read_vectors(folder / f"{file}.vectors.json"), folder, model)
        assert not [fault for stage in stages for fault in stage.faults]
