"""CloudWatch's metric math for one minute: a stand-in that knows what the program uses, and refuses the rest.

A metric that was not reported is None. As in CloudWatch, an expression on it gives nothing, unless FILL says what.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Mapping, Sequence

from components.aws.metrics import Query

_ARITHMETIC = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
_COMPARED = {ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Lt: operator.lt, ast.LtE: operator.le}


def figure(queries: Sequence[Query], reported: Mapping[str, float | None]) -> float | None:
    """The last query's value. `reported` holds each metric's by the id of its query.

    Raises AssertionError for an id that is not unique or not one, or a metric that `reported` leaves out.
    """
    values: dict[str, float | None] = {}
    for query in queries:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html
        assert query.id[0].islower() and query.id.isidentifier() and query.id not in values, query.id
        assert (query.metric is None) != (query.expression is None)
        if query.metric is not None:
            values[query.id] = reported[query.id]
        else:
            assert query.expression is not None
            values[query.id] = evaluate(query.expression, values)
    return values[queries[-1].id]


def evaluate(expression: str, values: Mapping[str, float | None]) -> float | None:
    """One expression on values by their ids."""
    tree = ast.parse(expression.replace(" AND ", " and ").replace("IF(", "If("), mode="eval")
    return _value(tree.body, values)


def _value(node: ast.expr, values: Mapping[str, float | None]) -> float | None:
    if isinstance(node, ast.Constant):
        assert isinstance(node.value, (int, float))
        return float(node.value)
    if isinstance(node, ast.Name):
        return values[node.id]
    if isinstance(node, ast.Call):
        return _call(node, values)
    if isinstance(node, ast.BoolOp):
        parts = [_value(part, values) for part in node.values]
        return None if None in parts else float(all(parts))
    if isinstance(node, ast.Compare):
        (compare,), (other,) = node.ops, node.comparators
        left, right = _value(node.left, values), _value(other, values)
        return None if left is None or right is None else float(_COMPARED[type(compare)](left, right))
    assert isinstance(node, ast.BinOp), ast.dump(node)
    left, right = _value(node.left, values), _value(node.right, values)
    return None if left is None or right is None else _ARITHMETIC[type(node.op)](left, right)


def _call(node: ast.Call, values: Mapping[str, float | None]) -> float | None:
    assert isinstance(node.func, ast.Name)
    arguments = [_value(argument, values) for argument in node.args]
    if node.func.id == "FILL":
        found, default = arguments
        return default if found is None else found
    assert node.func.id == "If", node.func.id
    condition, yes, no = arguments
    if condition is None:
        return None
    return yes if condition else no
