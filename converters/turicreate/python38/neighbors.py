"""Find the labels of a nearest-neighbors classifier's reference rows by querying it with each row.

Its reference data can be asked for only while it is brute force: of a ball tree that was saved and loaded, Turi Create
crashes. So the rows are read from the saved file, and what they are is proved here: each is at distance 0 from itself.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .frames import answered
from .loading import load

NEAR = 1e-6  # of a row's length: what rounding makes of a distance of 0
ELEMENT = re.compile(r"(.*)\[(\d+)\]")


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return distance, columns and labels; ``values`` is an .npy file of all the rows' numbers, float64.

    The columns are pairs of a name and a length, None for a single number; labels are in the order of the rows.
    """
    model = load(request["model"])
    facts = {"distance": [[list(part[0]), str(part[1]), part[2]] for part in model.distance]}
    inner = model._knn_model.__proxy__
    columns = _columns(list(model.features), _field(inner, "unpacked_features"))
    if columns is None:
        return {**facts, "columns": None, "labels": None}
    width = sum(length or 1 for _, length in columns)
    rows = np.load(request["values"]).reshape(-1, width)
    if len(rows) != model.num_examples:
        raise ValueError(f"its file holds {len(rows)} rows of {width} numbers, not {model.num_examples}")
    return {**facts, "columns": columns, "labels": _labels(model._knn_model, rows, columns)}


def _field(inner: Any, name: str) -> list[str]:
    import turicreate

    asked = {"model": inner, "model_name": "nearest_neighbors", "field": name}
    return list(turicreate.extensions._nearest_neighbors.get_value(asked)["value"])


def _columns(features: list[str], unpacked: list[str]) -> Any:
    """Return the columns; None if a feature is neither a number nor an array."""
    lengths: dict[str, Any] = {}
    for name in unpacked:
        match = ELEMENT.fullmatch(name)
        if name in features:
            lengths[name] = None
        elif match is not None and match.group(1) in features and int(match.group(2)) == lengths.get(match.group(1), 0):
            lengths[match.group(1)] = int(match.group(2)) + 1
        else:
            return None
    return [[name, length] for name, length in lengths.items()]


def _labels(model: Any, rows: Any, columns: Any) -> list[Any]:
    """Check that a row has as many neighbors at distance 0 as it has copies, with their labels."""
    alone, places, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    result: list[list[Any]] = [[] for _ in alone]
    for count in np.unique(counts):
        chosen = np.flatnonzero(counts == count)
        given = split(alone[chosen], columns)
        for item in _nearest(model, given, int(count)):
            row = chosen[item["query_label"]]
            if not item["distance"] <= NEAR * (1 + np.linalg.norm(alone[row])):
                raise ValueError("a row of its file is at a distance from itself")
            result[row].append(item["reference_label"])
    return [result[place].pop() for place in places]


def _nearest(model: Any, columns: dict[str, Any], count: int) -> Any:
    return answered(lambda frame: model.query(frame, k=count, verbose=False), columns)


def split(rows: Any, columns: Any) -> dict[str, Any]:
    """float64 [n, all numbers] -> each column's values."""
    given, start = {}, 0
    for name, length in columns:
        part = rows[:, start : start + (length or 1)]
        given[name] = (part[:, 0] if length is None else part).tolist()
        start += length or 1
    return given
