"""Turi Create, and a model that it saved."""

from typing import Any


def load(folder: str) -> Any:
    import turicreate

    turicreate.config.set_num_gpus(0)
    return turicreate.load_model(folder)
