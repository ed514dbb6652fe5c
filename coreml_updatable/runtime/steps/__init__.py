"""The models of a pipeline that are neither networks nor neighbors: kind in the format -> module here that builds it.

Each module has ``build(model) -> Run``, or ``build(model, assumptions)`` where something is open about its kind: a
function from rows of checked features (see runtime/features.py) to rows of outputs by name, many at once. NumPy only;
numbers are doubles, as the messages hold them.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeAlias

from coreml_updatable.runtime.assumptions import PredictionAssumptions
from coreml_updatable.spec.messages import Model

Run: TypeAlias = Callable[[Sequence[Mapping[str, Any]]], list[dict[str, Any]]]

KINDS = {
    "arrayFeatureExtractor": "array_feature_extractor",
    "categoricalMapping": "categorical_mapping",
    "dictVectorizer": "dict_vectorizer",
    "featureVectorizer": "feature_vectorizer",
    "glmClassifier": "glm_classifier",
    "glmRegressor": "glm_regressor",
    "identity": "identity",
    "imputer": "imputer",
    "nonMaximumSuppression": "suppression",
    "normalizer": "normalizer",
    "oneHotEncoder": "one_hot_encoder",
    "scaler": "scaler",
    "supportVectorClassifier": "support_vector_classifier",
    "supportVectorRegressor": "support_vector_regressor",
    "treeEnsembleClassifier": "tree_ensemble_classifier",
    "treeEnsembleRegressor": "tree_ensemble_regressor",
}
OPEN = ("supportVectorClassifier",)


def build_step(model: Model, assumptions: PredictionAssumptions) -> Run:
    """Return the function of one model of a kind in ``KINDS``; ModelError if its message is at fault."""
    kind = str(model.WhichOneof("Type"))
    build = import_module(f"{__name__}.{KINDS[kind]}").build
    run: Run = build(model, assumptions) if kind in OPEN else build(model)
    return run
