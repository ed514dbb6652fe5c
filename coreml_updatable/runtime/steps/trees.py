"""Tree ensembles. Both kinds use the same sums: the base prediction plus the value of the leaf that each tree leads to.
Each node compares one value of x with its own; a NaN goes to the true child if ``missingValueTracksTrueChild`` is set,
otherwise to the false child. All rows walk through all trees at once, level by level.

treeEnsembleClassifier: class probabilities from the sums v of the ensemble. NoTransform: v; Classification_SoftMax:
softmax(v); Regression_Logistic: 1 / (1 + e^-v); Classification_SoftMaxWithZeroClassReference: softmax of [0, v]. With
two classes and one dimension, it is the probability of the second class.

treeEnsembleRegressor: the sums of the ensemble, or their logistic function. x [D] is the concatenation of all inputs.
One dimension gives a number, several give an array.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime.steps import RunStep
from coreml_updatable.runtime.steps.classes import classified, labels_of, logistic, shares_of_two, softmax
from coreml_updatable.runtime.steps.interface import matrix
from coreml_updatable.spec.messages import Model

LEAF = 6
COMPARISONS: tuple[Callable[[Any, Any], Any], ...] = (
    np.less_equal, np.less, np.greater_equal, np.greater, np.equal, np.not_equal,
)  # fmt: skip
MAX_VALUES = 2**26  # in the leaves' matrix
BLOCK = 2**20  # rows x trees at a time


class Trees:
    """The ensemble as arrays over its nodes; ModelError unless each tree has one root and no cycle."""

    def __init__(self, parameters: Any) -> None:
        nodes = parameters.nodes
        self.dimensions = int(parameters.numPredictionDimensions)
        if not len(nodes) or self.dimensions < 1 or len(nodes) * self.dimensions > MAX_VALUES:
            raise ModelError(
                f"model: is a tree ensemble of {len(nodes)} nodes and {self.dimensions} dimensions; export it again"
            )
        self.base = np.zeros(self.dimensions)
        if len(parameters.basePredictionValue):
            if len(parameters.basePredictionValue) != self.dimensions:
                raise ModelError(
                    f"model: has {len(parameters.basePredictionValue)} base values, expected {self.dimensions}; "
                    "export the model again"
                )
            self.base[:] = parameters.basePredictionValue
        self.behavior = np.array([node.nodeBehavior for node in nodes])
        self.feature = np.array([node.branchFeatureIndex for node in nodes], np.uint64)
        self.threshold = np.array([node.branchFeatureValue for node in nodes])
        self.missing = np.array([node.missingValueTracksTrueChild for node in nodes])
        if not np.isin(self.behavior, range(LEAF + 1)).all():
            raise ModelError("model: has a tree node of a kind that the format does not define; export it again")
        self.leaf = self.behavior == LEAF
        self.occurring = [int(behavior) for behavior in np.unique(self.behavior[~self.leaf])]
        self.width = int(self.feature[~self.leaf].max(initial=0)) + 1
        self._link(nodes)
        self.values = np.zeros((len(nodes), self.dimensions))
        for index in np.flatnonzero(self.leaf):
            for info in nodes[int(index)].evaluationInfo:
                if info.evaluationIndex >= self.dimensions:
                    raise ModelError(
                        f"model: a leaf has a value for dimension {info.evaluationIndex} of {self.dimensions}; "
                        "export the model again"
                    )
                self.values[index, info.evaluationIndex] += info.evaluationValue

    def expect_width(self, x: NDArray[np.float64]) -> None:
        if len(x) and x.shape[1] < self.width:
            raise ModelError(
                f"model: its inputs have {x.shape[1]} values per row, but the trees read value {self.width - 1}; "
                "export the model again"
            )

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """[n, D] -> [n, dimensions]."""
        height = max(1, BLOCK // len(self.roots))
        return np.concatenate([self._sums(x[index : index + height]) for index in range(0, len(x), height)])

    def _sums(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        index = np.broadcast_to(self.roots, (len(x), len(self.roots))).copy()
        rows = np.arange(len(x))[:, None]
        while not self.leaf[index].all():
            value = x[rows, np.where(self.leaf[index], 0, self.feature[index]).astype(np.int64)]
            chosen = np.where(np.isnan(value), self.missing[index], self._compared(value, index))
            index = np.where(self.leaf[index], index, np.where(chosen, self.true[index], self.false[index]))
        sums: NDArray[np.float64] = self.base + self.values[index].sum(1)
        return sums

    def _compared(self, value: NDArray[np.float64], at: NDArray[np.int64]) -> NDArray[np.bool_]:
        chosen = np.zeros(value.shape, bool)
        for behavior in self.occurring:  # one, as a rule
            mine = self.behavior[at] == behavior
            chosen |= mine & COMPARISONS[behavior](value, self.threshold[at])
        return chosen

    def _link(self, nodes: Any) -> None:
        """Children by number. Each node but the root has one parent, so no walk from a root comes round again."""
        index = {(node.treeId, node.nodeId): at for at, node in enumerate(nodes)}
        self.true, self.false = np.zeros(len(nodes), np.int64), np.zeros(len(nodes), np.int64)
        parents = np.zeros(len(nodes), np.int64)
        for position, node in enumerate(nodes):
            if self.leaf[position]:
                continue
            for children, child in ((self.true, node.trueChildNodeId), (self.false, node.falseChildNodeId)):
                if (node.treeId, child) not in index:
                    raise ModelError(
                        f"model: tree {node.treeId}: node {node.nodeId} leads to node {child}, which does not exist; "
                        "export the model again"
                    )
                children[position] = index[node.treeId, child]
                parents[children[position]] += 1
        trees = [node.treeId for node in nodes]
        self.roots = np.flatnonzero(parents == 0)
        one_root_each = sorted(trees[root] for root in self.roots) == sorted(set(trees))
        if len(index) < len(nodes) or (parents > 1).any() or not one_root_each or self._reached() < len(nodes):
            raise ModelError("model: has a tree without a root, with several roots or with a cycle; export it again")

    def _reached(self) -> int:
        """Return how many nodes can be reached from the roots; each has at most one parent."""
        count, level = 0, self.roots
        while len(level):
            count += len(level)
            inner = level[~self.leaf[level]]
            level = np.concatenate([self.true[inner], self.false[inner]])
        return count


NO_TRANSFORM, SOFTMAX, LOGISTIC, ZERO_REFERENCE = range(4)


def tree_ensemble_classifier(model: Model) -> RunStep:
    trees = Trees(model.treeEnsembleClassifier.treeEnsemble)
    labels = labels_of(model)
    transform = model.treeEnsembleClassifier.postEvaluationTransform
    single = trees.dimensions == 1 and len(labels) == 2 and transform in (NO_TRANSFORM, LOGISTIC)
    expected = len(labels) - (transform == ZERO_REFERENCE)
    if transform not in range(4) or not (single or trees.dimensions == expected):
        raise ModelError(
            f"model: has {trees.dimensions} prediction dimensions for {len(labels)} classes, expected {expected}; "
            "export the model again"
        )

    def shares(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        if transform == ZERO_REFERENCE:
            return softmax(np.concatenate([np.zeros((len(sums), 1)), sums], 1))
        result = {NO_TRANSFORM: lambda v: v, SOFTMAX: softmax, LOGISTIC: logistic}[transform](sums)
        return shares_of_two(result) if single else result

    def run(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        x = matrix(model, rows)
        trees.expect_width(x)
        return classified(model, labels, shares(trees(x))) if len(x) else []

    return run


TRANSFORMS = {0: lambda sums: sums, 2: logistic}  # NoTransform, Regression_Logistic


def tree_ensemble_regressor(model: Model) -> RunStep:
    trees = Trees(model.treeEnsembleRegressor.treeEnsemble)
    name = str(model.description.predictedFeatureName)
    transform = TRANSFORMS.get(model.treeEnsembleRegressor.postEvaluationTransform)
    if not name or transform is None:
        raise ModelError("model: is a tree regressor without a predicted feature or with a softmax; export it again")

    def run(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        x = matrix(model, rows)
        trees.expect_width(x)
        return [{name: y if len(y) > 1 else float(y[0])} for y in transform(trees(x))] if len(x) else []

    return run
