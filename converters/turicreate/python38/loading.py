"""Load Turi Create and a saved model."""

from __future__ import annotations

from typing import Any

from .pretrained import forbid_downloads

TARGETS = {"str": str, "int": int}


def begin() -> Any:
    """Import turicreate, without GPUs and without downloads."""
    import turicreate

    turicreate.config.set_num_gpus(0)
    forbid_downloads()
    return turicreate


def load(folder: str) -> Any:
    turicreate = begin()
    from turicreate.toolkits.classifier.nearest_neighbor_classifier import NearestNeighborClassifier

    NearestNeighborClassifier._load_version = classmethod(_neighbors)
    return turicreate.load_model(folder)


def _neighbors(kind: Any, state: dict[str, Any], version: int) -> Any:
    """Load like Turi Create, but do not run the type of the labels from the file as code."""
    import turicreate

    if version != kind._PYTHON_NN_CLASSIFIER_MODEL_VERSION:
        raise ValueError(f"the model has version {version}, expected {kind._PYTHON_NN_CLASSIFIER_MODEL_VERSION}")
    model = turicreate.nearest_neighbors.NearestNeighborsModel(state.pop("knn_model"))
    return kind(model, {**state, "_target_type": TARGETS[state["_target_type"]]})
