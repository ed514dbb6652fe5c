"""Run a model on any machine, as Core ML would."""

from coreml_updatable.runtime.io.row import FrozenRow, Row
from coreml_updatable.runtime.loading import load
from coreml_updatable.runtime.model import Prediction, RunnableModel
from coreml_updatable.runtime.reference import reference

__all__ = ["FrozenRow", "Prediction", "Row", "RunnableModel", "load", "reference"]
