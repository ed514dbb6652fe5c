"""Rule -> functions that make a model which breaks it and nothing else."""

from collections.abc import Callable

from coreml_updatable.spec.messages import Model
from tests.broken_models import (
    graph,
    loss,
    machines,
    model,
    neighbors,
    parameters,
    training_inputs,
    updatable_layers,
    weights,
)

UPDATE: dict[str, list[Callable[[], Model]]] = {
    **updatable_layers.BREAKERS,
    **loss.BREAKERS,
    **parameters.BREAKERS,
    **training_inputs.BREAKERS,
}
BREAKERS: dict[str, list[Callable[[], Model]]] = {
    **model.BREAKERS,
    **graph.BREAKERS,
    **weights.BREAKERS,
    **UPDATE,
    **neighbors.BREAKERS,
    **machines.BREAKERS,
    "M12.1": [*model.BREAKERS["M12.1"], *machines.FEATURES],
    "M12.2": [*model.BREAKERS["M12.2"], *machines.PARAMETERS],
}
