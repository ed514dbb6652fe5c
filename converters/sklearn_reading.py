"""Reading an estimator from a skops file, which runs nothing; from a pickle, or with other types, where trusted."""

import warnings
import zipfile
from pathlib import Path
from typing import Any

from coreml_updatable.errors import SourceError
from coreml_updatable.trust import expect_trust

from .sklearn_untrusted import refuse

MOST_BYTES = 2**31  # what the file may grow to in memory
PICKLES = (".pkl", ".pickle", ".joblib")
# Part of every fitted perceptron and k-NN, and on no list of skops yet. Reading one fills in its numbers, no more; what
# a tree from a file says is never followed (see `_without_tree`).
TRUSTED = (
    "sklearn.metrics._dist_metrics.EuclideanDistance32",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
)


def read_estimator(source: Any, trusted: bool) -> Any:
    """The estimator in the file at the Path ``source``; anything but a Path is taken for the estimator itself."""
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
        reason = "holds a type that skops can not read" if isinstance(error, UnsupportedTypeException) else "is damaged"
        raise SourceError(
            f"{source}: {reason} ({type(error).__name__}); save the estimator anew with skops.io.dump"
        ) from error


def _unpickled(path: Path) -> Any:
    from joblib import load

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about other versions: the proof compares answers
            return load(path)
    except Exception as error:  # whatever runs may raise anything
        raise SourceError(
            f"{path}: can not be unpickled ({type(error).__name__}: {error}); unpickle it where it was made, and save "
            "it with skops.io.dump"
        ) from error


def _refuse_other_files(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names, size = archive.namelist(), sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise SourceError(f"{path}: no skops file ({error}); save the estimator with skops.io.dump") from error
    if "schema.json" not in names:
        raise SourceError(
            f"{path}: an archive without a schema.json, expected a skops file; save it with skops.io.dump"
        )
    if size > MOST_BYTES:
        raise SourceError(f"{path}: unpacks to {size} bytes, expected at most {MOST_BYTES}; save a smaller estimator")


def _without_tree(estimator: Any) -> Any:
    """A k-NN compares with every sample: a hostile tree would send compiled code outside its arrays."""
    for _, step in getattr(estimator, "steps", [("", estimator)]):
        if hasattr(step, "_tree"):
            step._tree, step._fit_method = None, "brute"
        elif hasattr(step, "steps"):
            _without_tree(step)
    return estimator
