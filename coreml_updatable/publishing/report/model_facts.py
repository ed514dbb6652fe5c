"""What the report says of a model file, read off the model itself."""

import hashlib
from typing import Literal

from coreml_updatable.personalization.wording import counted
from coreml_updatable.publishing.report.values import ModelFacts
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.summary import Summary, summarize


def model_facts(file: str, kind: Literal["network", "k-NN"], model: Model) -> ModelFacts:
    """The facts of ``model``, to be written as ``file``."""
    content = model_bytes(model)
    summary = summarize(model)
    update = summary.update
    return ModelFacts(
        kind=kind,
        file=file,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        specification_version=summary.specification_version,
        layers=_layers(summary),
        updatable=update.layers if update else (),
        inputs=summary.inputs,
        outputs=summary.outputs,
        training_inputs=summary.training_inputs,
        parameters=update.parameters if update else (),
        weights=_weights(summary, trainable=False),
        trainable=_weights(summary, trainable=True),
        summary=learns(summary),
    )


def _layers(summary: Summary) -> int:
    own = len(summary.network.layers) if summary.network else 0
    return own + sum(_layers(member) for _, member in summary.members)


def _weights(summary: Summary, *, trainable: bool) -> int:
    network = summary.network
    own = 0 if network is None else network.updatable_parameters if trainable else network.parameters
    return own + sum(_weights(member, trainable=trainable) for _, member in summary.members)


def learns(summary: Summary) -> str:
    """How a model learns, in a few words."""
    neighbors = next((member.nearest_neighbors for _, member in summary.members if member.nearest_neighbors), None)
    if neighbors is not None:
        asked = counted(neighbors.neighbors.default, "neighbor")
        return f"{neighbors.samples} samples, {asked}, {neighbors.weighting}"
    if summary.update is None:
        return ""
    return f"{', '.join(summary.update.layers)}: {summary.update.optimizer}, {summary.update.loss}"
