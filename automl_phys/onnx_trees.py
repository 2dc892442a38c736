"""Decision trees as ONNX nodes.

Takes the nodes of trees as arrays, or a LightGBM booster; gives the sum of the leaves that events fall into. Thresholds
and sums are in double precision, as LightGBM has them, so that an event falls to the same side of every cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from automl_phys.onnx_rows import OnnxRows
from automl_phys.values import Array

BELOW, LEAF = "BRANCH_LEQ", "LEAF"


@dataclass(frozen=True)
class Nodes:
    """The nodes of trees (m,), tree after tree, the root first. An event goes to node ``below`` when its ``feature`` is
    at most ``threshold``, else to ``above``; these count from the root of the tree, and are -1 for a leaf, which adds
    ``values`` (m, k) to ``outputs``, of which the first is ``first`` (m,)."""

    tree: Array
    feature: Array
    threshold: Array
    below: Array
    above: Array
    values: Array
    outputs: int
    first: Array


def total(rows: OnnxRows, matrix: str, nodes: Nodes) -> str:
    """The sum of the leaves, float32 (n, outputs); ``matrix`` is float32 (n, columns)."""
    from onnx import numpy_helper

    leaves = np.flatnonzero(nodes.below < 0)
    firsts = np.searchsorted(nodes.tree, nodes.tree, "left")
    own = np.arange(len(nodes.tree)) - firsts
    each = nodes.values.shape[1]
    inner = nodes.below >= 0

    def counted(values: Array) -> list[int]:
        return [int(value) for value in values]

    def real(values: Array, name: str) -> Any:
        return numpy_helper.from_array(np.ascontiguousarray(values, np.float64), name)

    return rows.graph.add(
        "TreeEnsembleRegressor", rows.graph.cast(matrix, np.float64), domain="ai.onnx.ml", n_targets=nodes.outputs,
        aggregate_function="SUM", post_transform="NONE", nodes_treeids=counted(nodes.tree), nodes_nodeids=counted(own),
        nodes_featureids=counted(np.where(inner, nodes.feature, 0)),
        nodes_modes=[BELOW if one else LEAF for one in inner],
        nodes_values_as_tensor=real(np.where(inner, nodes.threshold, 0.0), "nodes_values"),
        nodes_truenodeids=counted(np.where(inner, nodes.below, 0)),
        nodes_falsenodeids=counted(np.where(inner, nodes.above, 0)),
        target_treeids=counted(np.repeat(nodes.tree[leaves], each)),
        target_nodeids=counted(np.repeat(own[leaves], each)),
        target_ids=counted((nodes.first[leaves, None] + np.arange(each)).ravel()),
        target_weights_as_tensor=real(nodes.values[leaves].ravel(), "target_weights"))


# ---------------------------------------------------------------- LightGBM

@dataclass
class _Grown:
    """The nodes of a booster while they are read. ``sets`` are the sets of codes by which categories are told apart:
    each makes a column of its own, 0 for what is in it and 1 for what is not."""

    width: int
    rows: list[tuple[int, int, float, int, int, float]] = field(default_factory=list)
    sets: dict[tuple[int, tuple[int, ...]], int] = field(default_factory=dict)


def booster(rows: OnnxRows, matrix: str, width: int, model: Any, kept: int, first_category: int) -> str:
    """The raw sums of a LightGBM booster's first ``kept`` iterations, float32 (n, outputs).

    ``matrix`` is float32 (n, ``width``), in which the categories' codes begin with column ``first_category``.
    """
    dump = model.dump_model(num_iteration=kept)
    grown, outputs = _Grown(width), int(dump["num_tree_per_iteration"])
    for number, tree in enumerate(dump["tree_info"]):
        _read(tree["tree_structure"], number, grown)
    tree_ids, features, thresholds, below, above, leaf = (np.array(column) for column in zip(*grown.rows, strict=True))
    if grown.sets:
        matrix = rows.graph.concatenate([matrix, *_membership(rows, grown.sets, first_category)])
        order = {at: i for i, at in enumerate(_in_order(grown.sets))}
        position = np.array([order[at] for at in range(len(grown.sets))])
        sets = features >= width
        features = np.where(sets, width + position[np.where(sets, features - width, 0)], features)
    nodes = Nodes(tree_ids, features, thresholds, below, above, leaf[:, None], outputs, tree_ids % outputs)
    return total(rows, matrix, nodes)


def _read(root: Mapping[str, Any], tree: int, grown: _Grown) -> None:
    """The nodes of a tree, the root first, without recursion: trees may be deep."""
    todo: list[tuple[Mapping[str, Any], int, int]] = [(root, -1, 0)]
    start = len(grown.rows)
    while todo:
        node, parent, side = todo.pop()
        own = len(grown.rows) - start
        if parent >= 0:
            row = list(grown.rows[start + parent])
            row[3 + side] = own
            grown.rows[start + parent] = tuple(row)  # type: ignore[assignment]  # of the same types
        if "split_feature" not in node:
            grown.rows.append((tree, 0, 0.0, -1, -1, float(node["leaf_value"])))
            continue
        feature, threshold = int(node["split_feature"]), node["threshold"]
        if node["decision_type"] == "==":
            codes = tuple(sorted(int(code) for code in str(threshold).split("||")))
            feature = grown.width + grown.sets.setdefault((feature, codes), len(grown.sets))
            threshold = 0.5
        grown.rows.append((tree, feature, float(threshold), 0, 0, 0.0))
        todo += [(node["right_child"], own, 1), (node["left_child"], own, 0)]


def _in_order(sets: Mapping[tuple[int, tuple[int, ...]], int]) -> list[int]:
    """The numbers of the sets, those of one column together."""
    return [sets[key] for key in sorted(sets)]


def _membership(
    rows: OnnxRows, sets: Mapping[tuple[int, tuple[int, ...]], int], first_category: int
) -> Sequence[str]:
    """For each column of categories that is cut, whether its code is not in each of its sets, float32 (n, sets)."""
    graph, counts = rows.graph, [len(levels) for levels in rows.schema.levels.values()]
    found = []
    for column in sorted({column for column, _ in sets}):
        codes = [codes for own, codes in sorted(sets) if own == column]
        table = np.ones((counts[column - first_category] + 1, len(codes)), np.float32)
        for i, some in enumerate(codes):
            table[[code for code in some if code < len(table)], i] = 0
        of_column = graph.reshape(graph.columns(rows.categories, [column - first_category]), [-1])
        found.append(graph.add("Gather", graph.constant(table), of_column))
    return found
