"""Why a skops file with types that skops does not trust is refused, told from its text: nothing of it is built."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from coreml_updatable.errors import with_article

from .sklearn_steps import KNOWN, NO_OTHER_METRIC

METRICS = "sklearn.metrics._dist_metrics."
PIPELINE, NEIGHBORS = "sklearn.pipeline.Pipeline", "sklearn.neighbors._classification.KNeighborsClassifier"
CONVERTED = (
    "KNeighborsClassifier", "LogisticRegression", "SGDClassifier", "MLPClassifier", "StandardScaler", "Pipeline",
)  # fmt: skip


def refusal_of(unknown: Sequence[str], path: Path) -> str:
    """What is wrong with the file at ``path``, which holds the types ``unknown``, sorted; one at least.

    scikit-learn's own are parts of estimators that are not converted, or of a metric that Core ML does not know; it is
    the estimator, or the metric, that a user knows by name.
    """
    foreign = [name for name in unknown if not name.startswith("sklearn.")]
    if foreign:
        return (
            f"holds {foreign[0]}, which is no type of scikit-learn or NumPy that skops trusts; "
            "save an estimator without parts of your own"
        )
    part = unknown[0]
    with zipfile.ZipFile(path) as archive:
        owner = _owner(json.loads(archive.read("schema.json")), part, "")
    if owner == NEIGHBORS and part.startswith(METRICS):
        return f"KNeighborsClassifier with the metric {_metric(part)!r}, {NO_OTHER_METRIC}"
    name = owner.rpartition(".")[2]
    if name and name not in CONVERTED:
        return f"is {with_article(name)}, expected a fitted {KNOWN}"
    return f"holds {part}, expected nothing but the parts of a fitted {KNOWN}; fit one of these and save it"


def _owner(node: Any, part: str, owner: str) -> str:
    """The outermost of scikit-learn's classes, Pipelines aside, around ``part``: "" where nothing is."""
    if isinstance(node, list):
        return next((found for inner in node if (found := _owner(inner, part, owner))), "")
    if not isinstance(node, dict):
        return ""
    name = f"{node.get('__module__')}.{node.get('__class__')}"
    owner = owner or (name if name.startswith("sklearn.") and name != PIPELINE else "")
    return owner if name == part else _owner(list(node.values()), part, owner)


def _metric(part: str) -> str:
    """ "manhattan" for sklearn.metrics._dist_metrics.ManhattanDistance64."""
    return part.removeprefix(METRICS).rstrip("0123456789").removesuffix("Distance").lower()
