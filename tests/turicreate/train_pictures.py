"""For Python 3.8: `train_pictures.py KIND PICTURES MODEL ANSWERS` trains on pictures, saves, and tells what it answers.

KIND is `drawing`, grayscale pictures uint8 [n, 28, 28] for a drawing classifier, or `photo`, color pictures uint8
[n, 227, 227, 3] for an image classifier; the pictures' column is called so too.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import turicreate
from PIL import Image


def main(kind: str, pictures: str, model: str, answers: str) -> None:
    given = np.load(pictures)
    train, test = (frame(given[name], kind) for name in ("train", "test"))
    train["label"] = turicreate.SArray(given["labels"].tolist())
    result = {"drawing": drawing_classifier, "photo": image_classifier}[kind](train, kind)
    result.save(model)
    probabilities = [list(row) for row in result.predict(test, output_type="probability_vector")]
    output = {"classes": list(result.classes), "labels": list(result.predict(test)), "probabilities": probabilities}
    Path(answers).write_text(json.dumps(output))


def drawing_classifier(train: Any, feature: str) -> Any:
    return turicreate.drawing_classifier.create(
        train,
        "label",
        feature=feature,
        validation_set=None,
        warm_start=None,
        max_iterations=20,
        batch_size=32,
        random_seed=1,
        verbose=False,
    )


def image_classifier(train: Any, feature: str) -> Any:
    return turicreate.image_classifier.create(
        train, "label", feature=feature, model="squeezenet_v1.1", validation_set=None, verbose=False, seed=1
    )


def frame(pixels: Any, feature: str) -> Any:
    """Pictures, through a PNG file each, as a user's come."""
    folder = Path(tempfile.mkdtemp())
    for index, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{index:04}.png")
    read = turicreate.image_analysis.load_images(str(folder), with_path=True).sort("path")
    return turicreate.SFrame({feature: read["image"]})


if __name__ == "__main__":
    main(*sys.argv[1:])
