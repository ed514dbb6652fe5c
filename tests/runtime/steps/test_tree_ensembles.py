"""Tree ensembles, written by coremltools' builder from scikit-learn's trees, against scikit-learn."""

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from coreml_updatable.errors import ModelError
from coreml_updatable.runtime import load

COMPARISONS = {
    "BranchOnValueLessThanEqual": operator.le, "BranchOnValueLessThan": operator.lt,
    "BranchOnValueGreaterThanEqual": operator.ge, "BranchOnValueGreaterThan": operator.gt,
    "BranchOnValueEqual": operator.eq, "BranchOnValueNotEqual": operator.ne,
}  # fmt: skip


@pytest.fixture
def x(random: Any) -> Any:
    return random.normal(size=(150, 5)).astype(np.float32).astype(np.float64)


def builder_of(labels: list[Any] | None) -> Any:
    from coremltools.models import datatypes
    from coremltools.models.tree_ensemble import TreeEnsembleClassifier, TreeEnsembleRegressor

    features = [("x", datatypes.Array(5))]
    return TreeEnsembleClassifier(features, labels, "label") if labels else TreeEnsembleRegressor(features, "y")


def add_tree(builder: Any, number: int, tree: Any, leaf: Callable[[Any], Any]) -> None:
    """``leaf(value)``: what a leaf of scikit-learn's holds in the file."""
    for node in range(tree.node_count):
        left, right = int(tree.children_left[node]), int(tree.children_right[node])
        if left < 0:
            builder.add_leaf_node(number, node, leaf(tree.value[node]))
        else:
            track = bool(tree.missing_go_to_left[node])
            builder.add_branch_node(
                number, node, int(tree.feature[node]), float(tree.threshold[node]), "BranchOnValueLessThanEqual",
                left, right, missing_value_tracks_true_child=track,
            )  # fmt: skip


def probabilities(spec: Any, x: Any, labels: list[Any]) -> Any:
    answers = load(spec).predict([{"x": row} for row in x])
    name = spec.description.predictedProbabilitiesName
    result = np.array([[answer[name][label] for label in labels] for answer in answers])
    assert [answer["label"] for answer in answers] == [labels[at] for at in result.argmax(1)]
    return result


def test_regressor_with_missing_values(x: Any, random: Any) -> None:
    x[random.random(x.shape) < 0.2] = np.nan
    fitted = DecisionTreeRegressor(max_depth=6, random_state=0).fit(x, np.nansum(x, 1))
    builder = builder_of(None)
    builder.set_default_prediction_value(0.0)
    add_tree(builder, 0, fitted.tree_, lambda value: float(value[0, 0]))
    result = [answer["y"] for answer in load(builder.spec).predict([{"x": row} for row in x])]
    np.testing.assert_allclose(result, fitted.predict(x), rtol=1e-12)


def test_boosted_regressor(x: Any) -> None:
    fitted = GradientBoostingRegressor(n_estimators=20, random_state=0).fit(x, x[:, 0] * x[:, 1])
    builder = builder_of(None)
    builder.set_default_prediction_value(float(fitted.init_.constant_[0, 0]))
    for index, (tree,) in enumerate(fitted.estimators_):
        add_tree(builder, index, tree.tree_, lambda value: 0.1 * float(value[0, 0]))
    result = [answer["y"] for answer in load(builder.spec).predict([{"x": row} for row in x])]
    np.testing.assert_allclose(result, fitted.predict(x), rtol=1e-9)


@pytest.mark.parametrize("labels", [["a", "b", "c"], [3, 1, 2]])
def test_forest(x: Any, labels: list[Any]) -> None:
    fitted = RandomForestClassifier(12, random_state=0).fit(x, np.digitize(x[:, 0] + x[:, 1], [-0.5, 0.5]))
    builder = builder_of(labels)
    builder.set_default_prediction_value([0.0] * 3)
    for index, tree in enumerate(fitted.estimators_):
        add_tree(builder, index, tree.tree_, lambda value: (value[0] / value[0].sum() / 12).tolist())
    np.testing.assert_allclose(probabilities(builder.spec, x, labels), fitted.predict_proba(x), rtol=1e-9, atol=1e-12)


def boosted(place: Any, value: Any) -> list[float]:
    scores: list[float] = (0.1 * value[0, 0] * place).tolist()
    return scores


@pytest.mark.parametrize(
    ("transform", "classes"),
    [
        ("Regression_Logistic", 2),
        ("Classification_SoftMaxWithZeroClassReference", 2),
        ("Classification_SoftMax", 3),
    ],
)
def test_boosted_classifiers(x: Any, transform: str, classes: int) -> None:
    y = np.digitize(x[:, 0] - x[:, 2], [-0.3, 0.8]) % classes
    fitted = GradientBoostingClassifier(n_estimators=8, random_state=0, init="zero").fit(x, y)
    labels = ["a", "b", "c"][:classes]
    builder = builder_of(labels)
    dimensions = fitted.estimators_.shape[1]
    builder.set_default_prediction_value([0.0] * dimensions)
    builder.set_post_evaluation_transform(transform)
    for index, tree in enumerate(fitted.estimators_.ravel()):
        place = np.eye(dimensions)[index % dimensions]
        add_tree(builder, index, tree.tree_, partial(boosted, place))
    np.testing.assert_allclose(probabilities(builder.spec, x, labels), fitted.predict_proba(x), rtol=1e-9, atol=1e-12)


def test_two_classes_with_the_share_of_the_second(x: Any) -> None:
    fitted = DecisionTreeClassifier(max_depth=3, random_state=0).fit(x, x[:, 3] > 0.2)
    builder = builder_of(["no", "yes"])
    builder.set_default_prediction_value([0.0])
    add_tree(builder, 0, fitted.tree_, lambda value: float(value[0, 1] / value[0].sum()))
    np.testing.assert_allclose(probabilities(builder.spec, x, ["no", "yes"]), fitted.predict_proba(x), atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(COMPARISONS)), st.sampled_from([-1.0, 0.0, 2.0]), st.sampled_from([-1.0, 0.0, 2.0, 3.0]))
def test_every_comparison(mode: str, threshold: float, value: float) -> None:
    builder = builder_of(None)
    builder.set_default_prediction_value(100.0)
    builder.add_branch_node(7, 5, 2, threshold, mode, 6, 9)
    builder.add_leaf_node(7, 6, 1.0)
    builder.add_leaf_node(7, 9, 2.0)
    result = load(builder.spec).predict({"x": [9, 9, value, 9, 9]})["y"]
    assert result == (101.0 if COMPARISONS[mode](value, threshold) else 102.0)


def test_trees_at_fault(x: Any) -> None:
    def stump() -> Any:
        builder = builder_of(None)
        builder.set_default_prediction_value(0.0)
        builder.add_branch_node(0, 0, 4, 0.5, "BranchOnValueLessThan", 1, 2)
        builder.add_leaf_node(0, 1, 1.0)
        builder.add_leaf_node(0, 2, 2.0)
        return builder.spec

    def changed(change: Callable[[Any], Any]) -> Any:
        spec = stump()
        change(spec.treeEnsembleRegressor.treeEnsemble)
        return spec

    for change, sentence in (
        (lambda trees: setattr(trees.nodes[0], "trueChildNodeId", 8), "tree 0: node 0 leads to node 8, which does not"),
        (lambda trees: setattr(trees.nodes[0], "trueChildNodeId", 0), "with several roots or with a cycle"),
        (lambda trees: setattr(trees.nodes[0], "trueChildNodeId", 2), "with several roots or with a cycle"),
        (lambda trees: setattr(trees.nodes[2], "nodeId", 1), "leads to node 2, which does not exist"),
        (
            lambda trees: setattr(trees, "numPredictionDimensions", 2**40),
            "a tree ensemble of 3 nodes and 1099511627776",
        ),
        (lambda trees: trees.basePredictionValue.append(1), "2 base values, expected 1"),
        (lambda trees: setattr(trees.nodes[1].evaluationInfo[0], "evaluationIndex", 4), "dimension 4 of 1"),
        (lambda trees: setattr(trees.nodes[1], "nodeBehavior", 12), "a tree node of a kind"),
    ):
        damaged = changed(change)
        with pytest.raises(ModelError, match=sentence):
            load(damaged)
    spec = changed(lambda trees: setattr(trees.nodes[0], "branchFeatureIndex", 5))
    with pytest.raises(ModelError, match="its inputs have 5 values per row, but the trees read value 5"):
        load(spec).predict({"x": x[0]})
    builder = builder_of(["a", "b", "c"])
    builder.set_default_prediction_value([0.0, 0.0])
    builder.add_leaf_node(0, 0, [1.0, 2.0])
    with pytest.raises(ModelError, match="2 prediction dimensions for 3 classes, expected 3"):
        load(builder.spec)
