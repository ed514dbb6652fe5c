"""Swift judged by tree-sitter's grammar."""

import tree_sitter_swift
from tree_sitter import Language, Node, Parser


def faults(source: str) -> list[str]:
    """The places that the grammar cannot read, or where it had to invent something."""
    tree = Parser(Language(tree_sitter_swift.language())).parse(source.encode())
    return list(_faults(tree.root_node))


def _faults(node: Node) -> list[str]:
    result = []
    if node.type == "ERROR" or node.is_missing:
        result.append(f"line {node.start_point[0] + 1}: {(node.text or b'').decode()[:80]!r}")
    for child in node.children:
        result += _faults(child)
    return result
