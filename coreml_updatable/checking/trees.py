"""Tree ensembles: each tree has one root, each node one parent, and each leaf its values."""

from collections.abc import Iterator

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.messages import Model

_LEAF = 6  # TreeNodeBehavior.LeafNode; 0 to 5 are comparisons


def trees_grown(model: Model) -> Iterator[Finding]:
    """Each node of a tree is declared once and connected to its root; values fit the predicted dimensions."""
    kind = str(model.WhichOneof("Type"))
    params = getattr(model, kind)
    trees, dimensions = params.treeEnsemble, int(params.treeEnsemble.numPredictionDimensions)
    if not dimensions:
        yield Finding(kind, "predicts no dimension", "numPredictionDimensions of 1 or more")
        return
    if len(trees.basePredictionValue) not in (0, dimensions):
        result = f"has {len(trees.basePredictionValue)} base values"
        yield Finding(kind, result, f"{dimensions}, one for each dimension, or none")
    if kind == "treeEnsembleClassifier":
        labels = params.WhichOneof("ClassLabels")
        classes = len(getattr(params, labels).vector) if labels else 0
        if classes and (dimensions, classes) != (1, 2) and not 2 <= dimensions == classes:
            yield Finding(
                kind, f"has {classes} labels for {dimensions} dimensions", "equal numbers, or 2 labels for 1 dimension"
            )
    yield from _nodes(kind, trees, dimensions)


def _nodes(kind: str, trees: Model, dimensions: int) -> Iterator[Finding]:
    children: dict[tuple[int, int], tuple[tuple[int, int], ...]] = {}
    for node in trees.nodes:
        key = (int(node.treeId), int(node.nodeId))
        where = f"{kind}: tree {key[0]} node {key[1]}"
        if key in children:
            yield Finding(where, "is defined twice", "each node once")
            continue
        leaf = node.nodeBehavior == _LEAF
        children[key] = () if leaf else ((key[0], int(node.falseChildNodeId)), (key[0], int(node.trueChildNodeId)))
        if not leaf and not 0 <= node.nodeBehavior < _LEAF:
            yield Finding(where, f"has the behavior {node.nodeBehavior}", "a comparison or a leaf")
        if leaf:
            yield from _leaf(where, [int(value.evaluationIndex) for value in node.evaluationInfo], dimensions)
    yield from _family(kind, children)


def _leaf(where: str, indices: list[int], dimensions: int) -> Iterator[Finding]:
    if not indices:
        yield Finding(where, "is a leaf without a value", "at least one")
    elif max(indices) >= dimensions or len(set(indices)) != len(indices):
        yield Finding(
            where,
            "has values outside the dimensions, or two for one dimension",
            f"one value per dimension, with an index below {dimensions}",
        )


def _family(kind: str, children: dict[tuple[int, int], tuple[tuple[int, int], ...]]) -> Iterator[Finding]:
    parents: dict[tuple[int, int], tuple[int, int]] = {}
    for key, (*below,) in children.items():
        where = f"{kind}: tree {key[0]} node {key[1]}"
        for child in below:
            if child not in children or child == key:
                yield Finding(where, f"has the child {child[1]}", "another node of its tree")
            elif child in parents:
                yield Finding(where, f"has the child {child[1]}, like node {parents[child][1]}", "one parent per node")
            else:
                parents[child] = key
    roots = [key for key in children if key not in parents]
    for tree in sorted({key[0] for key in children}):
        count = sum(1 for key in roots if key[0] == tree)
        if count != 1:
            yield Finding(f"{kind}: tree {tree}", f"has {count} roots", "one")
    seen, waiting = set(roots), list(roots)
    while waiting:
        below = [child for child in children[waiting.pop()] if child in children and child not in seen]
        seen.update(below)
        waiting.extend(below)
    lost = sorted(children.keys() - seen)
    if lost:
        yield Finding(
            f"{kind}: tree {lost[0][0]} node {lost[0][1]}", "is not connected to a root", "a tree without cycles"
        )
