"""Train a model on any machine, as a device would."""

from coreml_updatable.updating.assumptions import Variants
from coreml_updatable.updating.task import UpdateContext, UpdateTask

__all__ = ["UpdateContext", "UpdateTask", "Variants"]
