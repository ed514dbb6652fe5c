"""Fitted transformers that are linear, each as y = W (x - center) + offset: one formula for every kind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreml_updatable.data.inputs import Float64Array
from coreml_updatable.errors import SourceError

LINEAR = "StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, PCA, TruncatedSVD, a selection of features"


@dataclass(frozen=True)
class Linear:
    """y = W (x - center) + offset, in this order: if the center were part of the offset, 32 bits would lose digits.

    ``weights`` [outputs, features], or its diagonal [features]; ``center`` [features] and ``offset`` [outputs], None
    where there is nothing to subtract or add.
    """

    weights: Float64Array
    center: Float64Array | None = None
    offset: Float64Array | None = None

    @property
    def features(self) -> int:
        return int(self.weights.shape[-1])

    @property
    def matrix(self) -> Float64Array:
        """W, [outputs, features]."""
        return np.diag(self.weights) if self.weights.ndim == 1 else self.weights

    def apply(self, x: Float64Array) -> Float64Array:
        """Return y [n, outputs] of x [n, features]."""
        return (x - _or_zeros(self.center, self.features)) @ self.matrix.T + _or_zeros(self.offset, len(self.matrix))

    def undo(self, y: Float64Array) -> Float64Array:
        """Return x [n, features] with ``apply(x)`` nearest to y [n, outputs], and itself nearest to the center."""
        moved = y - _or_zeros(self.offset, len(self.matrix))
        return moved @ np.linalg.pinv(self.matrix).T + _or_zeros(self.center, self.features)


def numbers(value: Any, shape: Sequence[int], where: str) -> Float64Array:
    """Return ``value`` as float64 of ``shape``; SourceError for another shape or numbers that are not finite."""
    result = np.asarray(value, np.float64)
    if result.shape != tuple(shape) or not np.isfinite(result).all():
        what = f"has the shape {list(result.shape)}" if result.shape != tuple(shape) else "holds NaN or infinity"
        raise SourceError(f"source: {where} {what}, expected finite numbers {list(shape)}; fit it again and save it")
    return result


def linear_of(step: Any, where: str) -> Linear:
    """Return what the fitted transformer ``step`` computes; SourceError, naming ``where``, if it is not linear."""
    from sklearn import compose, decomposition, discriminant_analysis, feature_selection, pipeline, preprocessing
    from sklearn import random_projection as projection

    readers: Sequence[tuple[Any, Callable[[Any, str], Linear]]] = (
        ((preprocessing.StandardScaler, preprocessing.RobustScaler), _centered),
        (preprocessing.MaxAbsScaler, lambda step, where: Linear(1 / _features(step, "scale_", where))),
        (preprocessing.MinMaxScaler, _to_a_range),
        ((decomposition.PCA, decomposition.IncrementalPCA), _principal_components),
        ((decomposition.TruncatedSVD, decomposition.FastICA, projection.BaseRandomProjection), _projected),
        (decomposition.FactorAnalysis, _factors),
        (discriminant_analysis.LinearDiscriminantAnalysis, _discriminants),
        (feature_selection.SelectorMixin, lambda step, _: Linear(np.eye(_count(step))[step.get_support()])),
        (preprocessing.FunctionTransformer, _unchanged),
        (pipeline.Pipeline, _one_after_another),
        (pipeline.FeatureUnion, _side_by_side),
        (compose.ColumnTransformer, _columns),
    )
    for kinds, read in readers:
        if isinstance(step, kinds):
            return read(step, where)
    raise _not_linear(where, "cannot be converted")


def _not_linear(where: str, what: str) -> SourceError:
    return SourceError(
        f"source: {where}: {what}, expected a linear step before the classifier ({LINEAR}, or several of these); do "
        "that step in the app, and fit a Pipeline without it"
    )


def _count(step: Any) -> int:
    return int(step.n_features_in_)


def _or_zeros(values: Float64Array | None, count: int) -> Float64Array:
    return np.zeros(count) if values is None else values


def _features(step: Any, name: str, where: str) -> Float64Array:
    return numbers(getattr(step, name), (_count(step),), f"{where}: {name}")


def _components(step: Any, where: str) -> Float64Array:
    """The matrix [outputs, features] by which ``step`` multiplies."""
    result = step.components_
    result = result.toarray() if hasattr(result, "toarray") else result
    return numbers(result, (len(result), _count(step)), f"{where}: components_")


def _centered(step: Any, where: str) -> Linear:
    """StandardScaler, with the names mean and std, and RobustScaler, with the names center and scale."""
    robust = hasattr(step, "with_centering")
    center = "center_" if robust else "mean_"
    centers, scales = (step.with_centering, step.with_scaling) if robust else (step.with_mean, step.with_std)
    return Linear(
        1 / _features(step, "scale_", where) if scales else np.ones(_count(step)),
        _features(step, center, where) if centers else None,
    )


def _to_a_range(step: Any, where: str) -> Linear:
    """x scale_ + min_, with the center that gives the lower end of the range."""
    if step.clip:
        raise _not_linear(where, "cuts values off with clip=True")
    scale, low = _features(step, "scale_", where), float(step.feature_range[0])
    return Linear(scale, (low - _features(step, "min_", where)) / scale, np.full(len(scale), low) if low else None)


def _principal_components(step: Any, where: str) -> Linear:
    weights, center = _components(step, where), _features(step, "mean_", where)
    if step.whiten:
        scale = np.sqrt(numbers(step.explained_variance_, (len(weights),), f"{where}: explained_variance_"))
        weights = weights / np.maximum(scale, np.finfo(np.asarray(step.explained_variance_).dtype).eps)[:, None]
    return Linear(weights, center)


def _projected(step: Any, where: str) -> Linear:
    centers = bool(getattr(step, "whiten", False))  # of FastICA; the others have no center
    return Linear(_components(step, where), _features(step, "mean_", where) if centers else None)


def _factors(step: Any, where: str) -> Linear:
    """E[z | x], Bishop, Pattern Recognition and Machine Learning, 12.66."""
    components = _components(step, where)
    weighted = components / _features(step, "noise_variance_", where)
    covariance = np.linalg.inv(np.eye(len(components)) + weighted @ components.T)
    return Linear(covariance.T @ weighted, _features(step, "mean_", where))


def _discriminants(step: Any, where: str) -> Linear:
    if step.solver == "lsqr":
        raise SourceError(f"source: {where}: cannot transform with solver='lsqr'; fit it with solver='svd'")
    scalings = np.asarray(step.scalings_)[:, : int(step._max_components)].T
    weights = numbers(scalings, (len(scalings), _count(step)), f"{where}: scalings_")
    return Linear(weights, _features(step, "xbar_", where) if step.solver == "svd" else None)


def _unchanged(step: Any, where: str) -> Linear:
    if step.func is not None:
        raise _not_linear(where, "applies a function")
    return Linear(np.ones(_count(step)))


def _one_after_another(step: Any, where: str) -> Linear:
    result = None
    for _, inner in step.steps:
        if inner is not None and not isinstance(inner, str):
            after = linear_of(inner, f"{where}, {type(inner).__name__}")
            result = after if result is None else _then(result, after)
    return result or Linear(np.ones(_count(step)))


def _then(first: Linear, second: Linear) -> Linear:
    moved = _or_zeros(first.offset, second.features) - _or_zeros(second.center, second.features)
    offset = second.matrix @ moved + _or_zeros(second.offset, len(second.matrix))
    return Linear(second.matrix @ first.matrix, first.center, offset)


def _side_by_side(step: Any, where: str) -> Linear:
    parts = [(name, inner, list(range(_count(step)))) for name, inner in step.transformer_list]
    return _joined(parts, step, where)


def _columns(step: Any, where: str) -> Linear:
    indices = step._transformer_to_input_indices
    parts = [(name, inner, [int(column) for column in indices[name]]) for name, inner, _ in step.transformers_]
    return _joined(parts, step, where)


def _joined(parts: Sequence[tuple[str, Any, list[int]]], step: Any, where: str) -> Linear:
    """The outputs of ``parts`` one after another, each (name, transformer, the features that it reads).

    A feature's center is that of its first reader.
    """
    count, weights = _count(step), step.transformer_weights or {}
    center, known, matrices, offsets = np.zeros(count), np.zeros(count, bool), [], []
    for name, inner, columns in parts:
        if (isinstance(inner, str) and inner == "drop") or not columns:
            continue
        identity = inner is None or isinstance(inner, str)
        result = Linear(np.ones(len(columns))) if identity else linear_of(inner, f"{where}, {type(inner).__name__}")
        own = _or_zeros(result.center, len(columns))
        center[columns] = np.where(known[columns], center[columns], own)
        known[columns] = True
        weight = weights.get(name)
        factor = 1.0 if weight is None else float(weight)
        matrices.append(factor * result.matrix @ np.eye(count)[columns])
        offsets.append(
            factor * (_or_zeros(result.offset, len(result.matrix)) + result.matrix @ (center[columns] - own))
        )
    if not matrices:
        raise _not_linear(where, "gives no features")
    return Linear(np.concatenate(matrices), center, np.concatenate(offsets))
