"""Models of a pipeline that are neither networks nor k-NNs: the kind in the format -> its module and function in this
package.

The function, imported on demand, is ``(model) -> Run``, or ``(model, assumptions)`` if something about its kind is
undocumented. A ``Run`` maps rows of checked features (see runtime/io/features.py) to rows of outputs by name, many at a
time. NumPy only; numbers are doubles, as in the messages.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeAlias

from coreml_updatable.runtime.assumptions import PredictionAssumptions
from coreml_updatable.spec.messages import Model

RunStep: TypeAlias = Callable[[Sequence[Mapping[str, Any]]], list[dict[str, Any]]]

KINDS = {
    "arrayFeatureExtractor": "features.array_feature_extractor",
    "categoricalMapping": "features.categorical_mapping",
    "dictVectorizer": "features.dict_vectorizer",
    "featureVectorizer": "features.feature_vectorizer",
    "glmClassifier": "generalized_linear.glm_classifier",
    "glmRegressor": "generalized_linear.glm_regressor",
    "identity": "features.identity",
    "imputer": "features.imputer",
    "nonMaximumSuppression": "suppression.build",
    "normalizer": "features.normalizer",
    "oneHotEncoder": "features.one_hot_encoder",
    "scaler": "features.scaler",
    "supportVectorClassifier": "support_vectors.support_vector_classifier",
    "supportVectorRegressor": "support_vectors.support_vector_regressor",
    "treeEnsembleClassifier": "trees.tree_ensemble_classifier",
    "treeEnsembleRegressor": "trees.tree_ensemble_regressor",
}
OPEN = ("supportVectorClassifier",)


def build_step(model: Model, assumptions: PredictionAssumptions) -> RunStep:
    """Return the function for one model of a kind in ``KINDS``; ModelError if its message is invalid."""
    kind = str(model.WhichOneof("Type"))
    module, _, function = KINDS[kind].partition(".")
    build = getattr(import_module(f"{__name__}.{module}"), function)
    run: RunStep = build(model, assumptions) if kind in OPEN else build(model)
    return run
