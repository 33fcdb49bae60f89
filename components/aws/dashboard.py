"""The stack's dashboard: what a person looks at first."""

from __future__ import annotations

import json
from typing import Any

from components.aws import metrics
from components.aws.alarms import Watched
from components.aws.metrics import Metric
from components.aws.scaling import TARGET_DEMAND, demand_queries

WIDTH, HEIGHT, COLUMNS = 8, 6, 3


def dashboard_url(region: str, name: str) -> str:
    """Where the console shows it."""
    return f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#dashboards/dashboard/{name}"


def dashboard_body(watched: Watched, region: str) -> str:
    """The dashboard's JSON. Every name in `watched` must be plain text by now."""
    fleet, balancer = watched.fleet, watched.load_balancer
    response = [metrics.balancer(balancer, "TargetResponseTime", stat) for stat in ("p50", "p95", "p99")]
    errors = [
        metrics.balancer(balancer, name)
        for name in ("HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count", "HTTPCode_Target_4XX_Count")
    ]
    nodes = [metrics.group(fleet, name) for name in ("GroupDesiredCapacity", "GroupInServiceInstances")]
    widgets = [
        _demand(watched, region),
        _widget(
            "Nodes wanted, in service, healthy",
            [*nodes, metrics.healthy_nodes(balancer, watched.target_group)],
            region,
        ),
        _widget("Busy part of a node's time (0-1)", [metrics.busy(fleet), metrics.busiest(fleet)], region),
        _widget("Waiting work of a node (s of synthesis)", [metrics.work(fleet)], region),
        _widget("Jobs: waiting, dead", [metrics.visible(watched.queue), metrics.visible(watched.dead_letters)], region),
        _widget("Age of the oldest job (s)", [metrics.oldest(watched.queue)], region),
        _widget("Requests", [metrics.balancer(balancer, "RequestCount")], region),
        _widget("Response time (s): median, 95 %, 99 %", response, region),
        _widget("Errors", errors, region),
        _widget("GPU utilisation (%)", [metrics.gpu(fleet, "utilization_gpu")], region),
        _widget("GPU memory (MiB)", [metrics.gpu(fleet, "memory_used"), metrics.gpu(fleet, "memory_total")], region),
        _widget("Cold start (s)", [metrics.cold_start(fleet)], region),
    ]
    placed = [
        {**widget, "x": place % COLUMNS * WIDTH, "y": place // COLUMNS * HEIGHT, "width": WIDTH, "height": HEIGHT}
        for place, widget in enumerate(widgets)
    ]
    return json.dumps({"widgets": placed}, sort_keys=True)


def _demand(watched: Watched, region: str) -> dict[str, Any]:
    """The figure that scaling follows, with its target."""
    queries = demand_queries(watched.fleet, watched.queue)
    rows: list[list[Any]] = [
        [*_row(query.metric), {"id": query.id, "stat": query.metric.stat, "visible": False}]
        if query.metric
        else [{"id": query.id, "expression": query.expression, "visible": query is queries[-1]}]
        for query in queries
    ]
    widget = _widget("Demand of a node (1: all that it can do)", [], region)
    widget["properties"]["metrics"] = rows
    widget["properties"]["annotations"] = {"horizontal": [{"label": "target", "value": TARGET_DEMAND}]}
    return widget


def _widget(title: str, shown: list[Metric], region: str) -> dict[str, Any]:
    properties = {
        "title": title,
        "region": region,
        "view": "timeSeries",
        "period": 60,
        "yAxis": {"left": {"min": 0}},
        "metrics": [[*_row(metric), {"stat": metric.stat}] for metric in shown],
    }
    return {"type": "metric", "properties": properties}


def _row(metric: Metric) -> list[Any]:
    """A metric as a dashboard names it: namespace, name, then each dimension and its value."""
    return [metric.namespace, metric.name, *(part for pair in metric.dimensions.items() for part in pair)]
