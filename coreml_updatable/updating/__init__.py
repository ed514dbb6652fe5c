"""Train a model on any machine, as a device would."""

from coreml_updatable.updating.assumptions import Assumptions
from coreml_updatable.updating.task import UpdateContext, UpdateTask

__all__ = ["Assumptions", "UpdateContext", "UpdateTask"]
