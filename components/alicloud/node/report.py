"""Once a minute: how much this node has to do, for the group's scaling and alarms."""

import json
import os
import pathlib
import sys
import time
import urllib.error
import urllib.request

from . import cloud

# Waiting work is to be done within this time, seconds: what takes less than a new node takes to come needs none.
CLEAR_SECONDS = 900


def main():
    """0 unless the figures could not be told."""
    run = pathlib.Path(os.environ["RUN_DIR"])
    page = metrics_page(os.environ["SERVER_PORT"], pathlib.Path(os.environ["KEYS_FILE"]))
    if page is None:
        return 0  # the server is not up yet, or drains
    now = {
        "at": time.monotonic(),
        "spoken": page.get("speech_synthesis_seconds_total", 0.0),
        "waits": page.get("speech_lane_expected_wait_seconds", 0.0),
        "calls": page.get("speech_http_requests_in_flight", 0.0),
    }
    state = run / "report.json"
    was = json.loads(state.read_text(encoding="utf-8")) if state.exists() else now
    state.write_text(json.dumps(now), encoding="utf-8")
    told = {**figures(was, now), "Outdated": float((run / "outdated").exists())}
    # Not in memory: a restart of the instance is no cold start.
    warm = pathlib.Path(os.environ["LIB_DIR"]) / "indextts2-was-ready"
    if not warm.exists():
        uptime = float(pathlib.Path("/proc/uptime").read_text(encoding="ascii").split()[0])
        told["ColdStartSeconds"] = uptime
    try:
        cloud.call("cms", "PutCustomMetric", MetricList=rows(told, os.environ["METRIC_GROUP"], os.environ["FLEET"]))
    except cloud.CloudError as error:
        sys.stderr.write(f"report: {error}\n")
        return 1
    warm.touch()
    return 0


def figures(was, now):
    """What the last minute was like.

    BusyFraction: the part of it in which the engine spoke, 0 to 1. WorkSeconds: seconds of synthesis that wait.
    Demand: both in nodes, 1 being all that this one can do. A count of requests cannot tell a line from a page.
    """
    spoken, passed = now["spoken"] - was["spoken"], now["at"] - was["at"]
    # The counters move when a call ends; a call that lasts longer than a minute shows in the requests in flight.
    busy = min(1.0, spoken / passed) if passed > 0 and spoken > 0 else float(now["calls"] > 0)
    return {"BusyFraction": busy, "WorkSeconds": now["waits"], "Demand": busy + now["waits"] / CLEAR_SECONDS}


def rows(told, group, fleet):
    """What CloudMonitor takes: raw values, which it makes averages and largest values of over all nodes.

    https://www.alibabacloud.com/help/en/cms/cloudmonitor-1-0/developer-reference/api-cms-2019-01-01-putcustommetric
    """
    now = str(int(time.time() * 1000))
    return [
        {
            "GroupId": group,
            "MetricName": name,
            "Dimensions": json.dumps({"fleet": fleet}),
            "Type": "0",
            "Time": now,
            "Values": json.dumps({"value": round(value, 4)}),
        }
        for name, value in told.items()
    ]


def metrics_page(port, keys_file):
    """The server's figures by their names, None where it is not ready."""
    try:
        key = next(iter(json.loads(keys_file.read_text(encoding="utf-8")).values()))
        _get(port, "/readyz", {})
        text = _get(port, "/metrics", {"Authorization": f"Bearer {key if isinstance(key, str) else key['keys'][0]}"})
        pairs = [line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#"]
        return {name: float(value) for name, value in pairs}
    except (OSError, ValueError, LookupError, StopIteration):
        return None


def _get(port, path, headers):
    ask = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(ask, timeout=10) as answer:  # noqa: S310 - this node
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        error.close()
        raise


if __name__ == "__main__":
    sys.exit(main())
