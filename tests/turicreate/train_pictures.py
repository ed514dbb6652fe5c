"""For Python 3.8: `train_pictures.py PICTURES MODEL ANSWERS` trains an image classifier, and tells what it answers."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import turicreate
from PIL import Image


def main(pictures: str, model: str, answers: str) -> None:
    given = np.load(pictures)
    train, test = (frame(given[name]) for name in ("train", "test"))
    train["label"] = turicreate.SArray(given["labels"].tolist())
    made = turicreate.image_classifier.create(
        train, "label", feature="photo", model="squeezenet_v1.1", validation_set=None, verbose=False, seed=1
    )
    made.save(model)
    probabilities = [list(row) for row in made.predict(test, output_type="probability_vector")]
    told = {"classes": list(made.classes), "labels": list(made.predict(test)), "probabilities": probabilities}
    Path(answers).write_text(json.dumps(told))


def frame(pixels: Any) -> Any:
    """Colour pictures uint8 [n, 227, 227, 3], through a PNG file each, as a user's come."""
    folder = Path(tempfile.mkdtemp())
    for number, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{number:04}.png")
    read = turicreate.image_analysis.load_images(str(folder), with_path=True).sort("path")
    return turicreate.SFrame({"photo": read["image"]})


if __name__ == "__main__":
    main(*sys.argv[1:])
