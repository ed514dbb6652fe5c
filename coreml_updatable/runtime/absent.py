"""A member of a pipeline that can not run here. Rows give its outputs in its place."""

from collections.abc import Sequence
from typing import Any

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.model import RunnableModel
from coreml_updatable.runtime.part import Part
from coreml_updatable.runtime.row import FrozenRow, Row
from coreml_updatable.spec.messages import Model

APPLES_OWN = (
    "audioFeaturePrint", "gazetteer", "soundAnalysisPreprocessing", "textClassifier", "visionFeaturePrint",
    "wordEmbedding", "wordTagger",
)  # fmt: skip


class AbsentModel(RunnableModel):
    """Knows its description and nothing else. ``error`` says what a row has to hold instead."""

    def __init__(self, message: Model) -> None:
        self._message = message
        self.description = message.description
        self.part = Part(lambda: [message])

    @property
    def message(self) -> Model:
        return self._message

    @property
    def base(self) -> Model:
        return self._message

    def error(self, number: int) -> ModelError:
        """Why member ``number`` of a pipeline does not run, and what to do."""
        outputs = ", ".join(f"'{feature.name}'" for feature in self.description.output) or "outputs"
        inputs = ", ".join(f"'{feature.name}'" for feature in self.description.input) or "its inputs"
        return ModelError(f"model{number}: {why(self.message)}; give {outputs} in the row instead of {inputs}")

    def predict(self, _rows: Row | Sequence[Row], _intermediate: bool = False) -> Any:
        raise ModelError(f"model: {why(self.message)}; predict with the models before it")

    def frozen(self, _rows: Sequence[Row], _numbers: Sequence[int] | None = None) -> list[FrozenRow]:
        raise ModelError(f"model: {why(self.message)}; predict with the models before it")


def why(message: Model) -> str:
    """In words why a model of this kind does not run."""
    kind = message.WhichOneof("Type")
    if kind == "customModel":
        return f"is a custom model ('{message.customModel.className}'), whose code is in an app"
    if kind in APPLES_OWN:
        return f"is a {kind}, whose weights are in Apple's systems and run there only"
    return f"is a {kind}, a kind that can not be run here"
