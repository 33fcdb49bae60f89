"""The stack's dashboard: what a person looks at first, made from the load balancer's access log."""

from __future__ import annotations

from typing import Any

from components.alicloud.logs import ACCESS_LOG

DASHBOARD = "speech"
WIDTH, HEIGHT, COLUMNS = 10, 6, 2
# The fields of the access log: https://www.alibabacloud.com/help/en/slb/application-load-balancer/user-guide/access-logs
_MINUTE = "date_format(from_unixtime(__time__ - __time__ % 60), '%m-%d %H:%i') AS minute"
_QUERIES = (
    ("Requests a minute", f"* | SELECT {_MINUTE}, count(*) AS requests GROUP BY minute ORDER BY minute", ["requests"]),
    (
        "Answers a minute: turned away, errors of a client, errors of the server",
        f"* | SELECT {_MINUTE}, count_if(status = 429) AS busy, count_if(status BETWEEN 400 AND 499 AND status <> 429) "
        "AS client, count_if(status >= 500) AS server GROUP BY minute ORDER BY minute",
        ["busy", "client", "server"],
    ),
    (
        "Seconds to the answer: median, 95 %, 99 %",
        f"* | SELECT {_MINUTE}, approx_percentile(request_time, 0.5) AS median, approx_percentile(request_time, 0.95) "
        "AS p95, approx_percentile(request_time, 0.99) AS p99 GROUP BY minute ORDER BY minute",
        ["median", "p95", "p99"],
    ),
    (
        "Requests a node",
        "* | SELECT upstream_addr AS node, count(*) AS requests GROUP BY node ORDER BY requests DESC LIMIT 20",
        ["requests"],
    ),
)


def dashboard_url(project: str, name: str) -> str:
    """Where the console shows it."""
    return f"https://sls.console.aliyun.com/lognext/project/{project}/dashboard/{name}"


def charts() -> list[dict[str, Any]]:
    """https://www.alibabacloud.com/help/en/sls/developer-reference/api-sls-2020-12-30-createdashboard"""
    return [
        {
            "title": f"chart-{place}",
            "type": "line" if "minute" in query else "bar",
            "search": {
                "logstore": ACCESS_LOG,
                "topic": "",
                "query": query,
                "start": "-86400s",
                "end": "now",
            },
            "display": {
                "displayName": title,
                "xAxis": ["minute" if "minute" in query else "node"],
                "yAxis": figures,
                "xPos": place % COLUMNS * WIDTH,
                "yPos": place // COLUMNS * HEIGHT,
                "width": WIDTH,
                "height": HEIGHT,
            },
            "action": {},
        }
        for place, (title, query, figures) in enumerate(_QUERIES)
    ]
