"""For Python 3.8: `train_tables.py TABLE FOLDER` trains on a table, saves into FOLDER, and tells what is answered."""

import json
import sys
from pathlib import Path
from typing import Any

import turicreate

FEATURES = {
    "logistic": ["width", "count", "colour", "sides", "tags"],
    "numbers": ["width", "sides"],
    "neighbors": ["width", "count", "sides"],
    "single": ["sides"],
    "twice": ["count"],
    "wide": ["long"],
    "text": ["colour"],
    "cosine": ["sides"],
}


def main(table: str, folder: str) -> None:
    given = json.loads(Path(table).read_text())
    train, test = (turicreate.SFrame(given[part]) for part in ("train", "test"))
    for name, features in FEATURES.items():
        target = "number" if name in ("numbers", "single") else "label"
        if name in ("logistic", "numbers"):
            result = turicreate.logistic_classifier.create(
                train, target, features=features, validation_set=None, verbose=False
            )
            probabilities = [list(row) for row in result.predict(test, output_type="probability_vector")]
            output = {"classes": list(result.classes), "labels": list(result.predict(test)), "answers": probabilities}
        else:
            distance = "cosine" if name == "cosine" else None
            result = turicreate.nearest_neighbor_classifier.create(
                train, target, features=features, distance=distance, verbose=False
            )
            classes = sorted(set(train[target]))
            output = {"classes": classes, "answers": votes(result, test, classes), "method": result._knn_model.method}
        result.save(str(Path(folder) / f"{name}.model"))
        (Path(folder) / f"{name}.json").write_text(json.dumps(output))


def votes(model: Any, test: Any, classes: Any) -> Any:
    answers = [[0.0] * len(classes) for _ in range(len(test))]
    for item in model.predict_topk(test, max_neighbors=10, k=len(classes)):
        answers[item["row_id"]][classes.index(item["class"])] = item["probability"]
    return answers


if __name__ == "__main__":
    main(*sys.argv[1:])
