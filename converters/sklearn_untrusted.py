"""Why a skops file with types that skops does not trust is refused, told from its text: nothing of it is built."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from coreml_updatable.errors import SourceError, with_article
from coreml_updatable.trust import expect_trust

from .sklearn_steps import KNOWN, NO_OTHER_METRIC

LIBRARIES = ("numpy", "scipy", "sklearn")  # whose types are parts of scikit-learn's own estimators
METRICS = "sklearn.metrics._dist_metrics."
PIPELINE, NEIGHBORS = "sklearn.pipeline.Pipeline", "sklearn.neighbors._classification.KNeighborsClassifier"
CONVERTED = (
    "KNeighborsClassifier", "LogisticRegression", "SGDClassifier", "MLPClassifier", "StandardScaler", "Pipeline",
)  # fmt: skip


def refuse(unknown: Sequence[str], path: Path) -> NoReturn:
    """A SourceError for the file at ``path``, which holds the types ``unknown``, sorted; one at least.

    Those of scikit-learn and what it stands on are parts of estimators that are not converted, or of a metric that Core
    ML does not know; it is the estimator, or the metric, that a user knows by name. All others may be code.
    """
    foreign = [name for name in unknown if name.partition(".")[0] not in LIBRARIES]
    if foreign:
        safe = "save an estimator without parts of your own"
        expect_trust(False, f"{path}: holds {foreign[0]}, no type of scikit-learn or NumPy", safe)
    with zipfile.ZipFile(path) as archive:
        schema = json.loads(archive.read("schema.json"))
    raise SourceError(f"{path}: {_refusal(schema, unknown[0])}")


def _refusal(schema: Any, part: str) -> str:
    owner = _owner(schema, part, "")
    if owner == NEIGHBORS and part.startswith(METRICS):
        return f"KNeighborsClassifier with the metric {_metric(part)!r}, {NO_OTHER_METRIC}"
    name = owner.rpartition(".")[2]
    if name and name not in CONVERTED and not name.endswith("Classifier") and _is_pipeline(schema):
        return (
            f"its Pipeline has {with_article(name)}, expected nothing but StandardScaler before the classifier; do "
            "that step in the app, and fit a Pipeline of StandardScaler and the classifier"
        )
    if name and name not in CONVERTED:
        return f"is {with_article(name)}, expected a fitted {KNOWN}"
    return f"holds {part}, expected nothing but the parts of a fitted {KNOWN}; fit one of these and save it"


def _is_pipeline(schema: Any) -> bool:
    return isinstance(schema, dict) and f"{schema.get('__module__')}.{schema.get('__class__')}" == PIPELINE


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
