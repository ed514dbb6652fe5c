"""The state of an interrupted training: the next run of the same build goes on from there, to the same bytes."""

import io
import pickle
import warnings
from collections.abc import Mapping
from typing import Any

import torch

from coreml_updatable.converting.contract import Checkpoint
from coreml_updatable.files import write_atomically


def read(checkpoint: Checkpoint | None) -> Mapping[str, Any] | None:
    """Return the state that ``write`` kept for this key; None where there is none, or it is damaged."""
    if checkpoint is None or not checkpoint.file.is_file():
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a damaged file, which is not used
            state = torch.load(checkpoint.file, map_location="cpu", weights_only=True)
    except (
        OSError,
        RuntimeError,
        EOFError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        pickle.UnpicklingError,
    ):
        return None
    return state if isinstance(state, dict) and state.get("key") == checkpoint.key else None


def write(checkpoint: Checkpoint | None, state: Mapping[str, Any]) -> None:
    if checkpoint is None:
        return
    buffer = io.BytesIO()
    torch.save({**state, "key": checkpoint.key}, buffer)
    write_atomically(checkpoint.file, buffer.getvalue())
