"""Train a model on any machine, as a device would."""

from coreml_updatable.updating.task import UpdateContext, UpdateTask
from coreml_updatable.updating.variants import Variants

__all__ = ["UpdateContext", "UpdateTask", "Variants"]
