"""Train a model on any machine, as a device would."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coreml_updatable.updating.assumptions import Assumptions
    from coreml_updatable.updating.task import UpdateContext, UpdateTask

__all__ = ["Assumptions", "UpdateContext", "UpdateTask"]


def __getattr__(name: str) -> Any:
    """``predict`` asks for assumptions, and pays for nothing that trains."""
    if name not in __all__:
        raise AttributeError(f"module 'coreml_updatable.updating' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{'assumptions' if name == 'Assumptions' else 'task'}"), name)
