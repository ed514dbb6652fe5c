"""Read an estimator from a skops file, which contains named types and arrays and runs no code."""

import json
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from coreml_updatable.errors import SourceError, with_article
from coreml_updatable.trust import expect_trust

from .linear import LINEAR
from .steps import KNOWN, NO_OTHER_METRIC

LIBRARIES = ("numpy", "scipy", "sklearn")  # whose types are parts of scikit-learn's own estimators
METRICS = "sklearn.metrics._dist_metrics."
PIPELINE, NEIGHBORS = "sklearn.pipeline.Pipeline", "sklearn.neighbors._classification.KNeighborsClassifier"
CONVERTED = (
    "KNeighborsClassifier", "LogisticRegression", "SGDClassifier", "MLPClassifier", "LinearDiscriminantAnalysis",
    "StandardScaler", "Pipeline",
)  # fmt: skip


def refuse(unknown: Sequence[str], path: Path) -> NoReturn:
    """Return a SourceError for the file at ``path`` with the types ``unknown``, sorted, at least one.

    Types of scikit-learn and its dependencies are parts of unsupported estimators, or of a metric that Core
    ML lacks; the message names the estimator or the metric, which users know. All other types may be code.
    """
    foreign = [name for name in unknown if name.partition(".")[0] not in LIBRARIES]
    if foreign:
        safe = "save an estimator without custom parts"
        expect_trust(False, f"{path}: contains {foreign[0]}, which is not a type of scikit-learn or NumPy", safe)
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
            f"its Pipeline has {with_article(name)}, expected only linear steps before the classifier ({LINEAR}); do "
            "that step in the app, and fit a Pipeline without it"
        )
    if name and name not in CONVERTED:
        return f"is {with_article(name)}, expected a fitted {KNOWN}"
    return f"contains {part}, expected only the parts of a fitted {KNOWN}; fit one of these and save it"


def _is_pipeline(schema: Any) -> bool:
    return isinstance(schema, dict) and f"{schema.get('__module__')}.{schema.get('__class__')}" == PIPELINE


def _owner(node: Any, part: str, owner: str) -> str:
    """Return the outermost class of scikit-learn, other than Pipeline, around ``part``; "" if there is none."""
    if isinstance(node, list):
        return next((result for inner in node if (result := _owner(inner, part, owner))), "")
    if not isinstance(node, dict):
        return ""
    name = f"{node.get('__module__')}.{node.get('__class__')}"
    owner = owner or (name if name.startswith("sklearn.") and name != PIPELINE else "")
    return owner if name == part else _owner(list(node.values()), part, owner)


def _metric(part: str) -> str:
    """Return "manhattan" for sklearn.metrics._dist_metrics.ManhattanDistance64."""
    return part.removeprefix(METRICS).rstrip("0123456789").removesuffix("Distance").lower()


MOST_BYTES = 2**31  # what the file may grow to in memory
PICKLES = (".pkl", ".pickle", ".joblib")
# Part of every fitted perceptron, k-NN and selection of features, and on no list of skops yet. Reading one fills in its
# numbers or finds a function that nothing calls; what a tree from a file says is never followed (see `_without_tree`).
TRUSTED = (
    *(f"sklearn.feature_selection._mutual_info.mutual_info_{kind}" for kind in ("classif", "regression")),
    *(
        f"sklearn.feature_selection._univariate_selection.{name}"
        for name in ("chi2", "f_classif", "f_oneway", "f_regression", "r_regression")
    ),
    "sklearn.metrics._dist_metrics.EuclideanDistance32",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
)


def read_estimator(source: Any, trusted: bool) -> Any:
    """Return the estimator in the file ``source``; anything that is not a Path must be the estimator itself."""
    if not isinstance(source, Path):
        return source
    if source.suffix.lower() in PICKLES:
        save = f"save the estimator where it was trained with skops.io.dump(estimator, '{source.stem}.skops')"
        expect_trust(trusted, f"{source}: is a pickle", save)
        return _without_tree(_unpickled(source))
    _refuse_other_files(source)
    from skops.io import get_untrusted_types, load
    from skops.io.exceptions import UnsupportedTypeException

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about other versions: the proof compares answers
            unknown = sorted(set(get_untrusted_types(file=source)) - set(TRUSTED))
            if unknown and not trusted:
                refuse(unknown, source)
            return _without_tree(load(source, trusted=[*TRUSTED, *unknown]))
    except SourceError:
        raise
    except (Exception, RecursionError) as error:  # a damaged file may fail anywhere in the reader
        reason = (
            ("contains a type that skops cannot read") if isinstance(error, UnsupportedTypeException) else "is damaged"
        )
        raise SourceError(
            f"{source}: {reason} ({type(error).__name__}); save the estimator again with skops.io.dump"
        ) from error


def _unpickled(path: Path) -> Any:
    from joblib import load

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about other versions: the proof compares answers
            return load(path)
    except Exception as error:  # whatever runs may raise anything
        raise SourceError(
            f"{path}: cannot be unpickled ({type(error).__name__}: {error}); unpickle it where it was made, and save "
            "it with skops.io.dump"
        ) from error


def _refuse_other_files(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names, size = archive.namelist(), sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise SourceError(f"{path}: is not a skops file ({error}); save the estimator with skops.io.dump") from error
    if "schema.json" not in names:
        raise SourceError(
            f"{path}: is an archive without a schema.json, expected a skops file; save it with skops.io.dump"
        )
    if size > MOST_BYTES:
        raise SourceError(f"{path}: unpacks to {size} bytes, expected at most {MOST_BYTES}; save a smaller estimator")


def _without_tree(estimator: Any) -> Any:
    """Compare with every sample, because a hostile tree could make compiled code read outside its arrays."""
    for _, step in getattr(estimator, "steps", [("", estimator)]):
        if hasattr(step, "_tree"):
            step._tree, step._fit_method = None, "brute"
        elif hasattr(step, "steps"):
            _without_tree(step)
    return estimator
