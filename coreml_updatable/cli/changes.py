"""What an update changed: two messages of one model, before and after."""

from collections import Counter
from dataclasses import dataclass

from coreml_updatable.spec.messages import Model, NeuralNetworkLayer
from coreml_updatable.spec.network import is_network, is_pipeline, network_of, pipeline_of
from coreml_updatable.spec.samples import sample_labels


@dataclass(frozen=True)
class Changes:
    """``layers``: those whose weights differ. ``samples``: how many a k-NN has, by label; ``added``: of them, new."""

    layers: tuple[str, ...] = ()
    samples: int | None = None
    added: tuple[tuple[str, int], ...] = ()


def changes(before: Model, after: Model) -> Changes:
    while is_pipeline(before):
        before, after = pipeline_of(before).models[-1], pipeline_of(after).models[-1]
    if is_network(before):
        pairs = zip(network_of(before).layers, network_of(after).layers, strict=True)
        return Changes(tuple(str(new.name) for old, new in pairs if new.isUpdatable and _differ(old, new)))
    old = sample_labels(before.kNearestNeighborsClassifier)
    new = sample_labels(after.kNearestNeighborsClassifier)
    counted = Counter(str(label) for label in new[len(old) :])
    return Changes(samples=len(new), added=tuple(counted.items()))


def _differ(old: NeuralNetworkLayer, new: NeuralNetworkLayer) -> bool:
    return bool(old.SerializeToString(deterministic=True) != new.SerializeToString(deterministic=True))
