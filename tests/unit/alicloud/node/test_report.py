"""What a node tells of its work, and when it tells nothing."""

import http.server
import json
import threading
import time

import pytest

from components.alicloud.node.report import CLEAR_SECONDS, figures
from tests.unit.alicloud.boot import BOOT
from tests.unit.alicloud.node.shipped import Shipped


@pytest.fixture
def server():
    """A server's pages; `pages` may be changed. It insists on the key."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, text = pages.get(self.path, (404, ""))
            if self.path == "/metrics" and self.headers.get("Authorization") != "Bearer the-key":
                status = 401
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    pages = {"/readyz": (200, "{}")}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running.server_port, pages
        running.shutdown()
        thread.join()


@pytest.fixture
def node(tmp_path, cloud, server):
    made = Shipped(tmp_path, cloud.url, SERVER_PORT=str(server[0]))
    (made.run_dir / "keys/keys.json").write_text('{"studio": "the-key"}')
    return made


def page(spoken, waits, in_flight):
    return 200, (
        "# HELP speech_synthesis_seconds_total Seconds\n"
        f"speech_synthesis_seconds_total {spoken}\nspeech_lane_expected_wait_seconds {waits}\n"
        f"speech_http_requests_in_flight {in_flight}\n"
        'speech_http_requests_total{method="GET",route="/a b",status="200"} 7.0\n'
    )


def told(cloud):
    return {row["MetricName"]: row["Values"]["value"] for row in cloud.figures}


class TestFigures:
    def was(self, **values):
        return {"at": 0.0, "spoken": 100.0, "waits": 0.0, "calls": 0.0, **values}

    @pytest.mark.parametrize(
        ("now", "busy"),
        [
            ({"spoken": 130.0}, 0.5),
            ({"spoken": 300.0}, 1.0),
            ({"spoken": 100.0, "calls": 1.0}, 1.0),
            ({"spoken": 100.0}, 0.0),
            ({"spoken": 3.0}, 0.0),
        ],
    )
    def test_busy_is_the_part_of_the_minute_in_which_it_spoke(self, now, busy):
        assert figures(self.was(), self.was(at=60.0, **now))["BusyFraction"] == pytest.approx(busy)

    def test_demand_is_that_and_the_waiting_work(self):
        found = figures(self.was(), self.was(at=60.0, spoken=130.0, waits=CLEAR_SECONDS * 2))
        assert found["Demand"] == pytest.approx(2.5)
        assert found["WorkSeconds"] == CLEAR_SECONDS * 2

    def test_the_first_look_has_nothing_to_compare_with(self):
        assert figures(self.was(), self.was())["BusyFraction"] == 0


class TestReport:
    def test_it_tells_the_fleets_group_of_figures(self, node, cloud, server):
        server[1]["/metrics"] = page(spoken=130, waits=450, in_flight=1)
        state = {"at": time.monotonic() - 60, "spoken": 100, "waits": 0, "calls": 0}
        (node.run_dir / "report.json").write_text(json.dumps(state))
        node.run("report")
        found = told(cloud)
        assert set(found) == {"BusyFraction", "WorkSeconds", "Demand", "ColdStartSeconds", "Outdated"}
        assert found["BusyFraction"] == pytest.approx(0.5, abs=0.02)
        assert found["Demand"] == pytest.approx(1.0, abs=0.02)
        assert {row["GroupId"] for row in cloud.figures} == {BOOT.metric_group}
        assert {row["Dimensions"]["fleet"] for row in cloud.figures} == {BOOT.fleet}

    def test_the_cold_start_is_told_once(self, node, cloud, server):
        server[1]["/metrics"] = page(spoken=0, waits=0, in_flight=0)
        node.run("report")
        cloud.figures.clear()
        node.run("report")
        assert set(told(cloud)) == {"BusyFraction", "WorkSeconds", "Demand", "Outdated"}

    def test_an_outdated_node_says_so(self, node, cloud, server):
        server[1]["/metrics"] = page(spoken=0, waits=0, in_flight=0)
        (node.run_dir / "outdated").touch()
        node.run("report")
        assert told(cloud)["Outdated"] == 1

    def test_it_is_told_later_when_the_service_was_away(self, node, cloud, server):
        server[1]["/metrics"] = page(spoken=0, waits=0, in_flight=0)
        cloud.failing["PutCustomMetric"] = (503, "ServiceUnavailable")
        assert node.run("report", check=False).returncode == 1
        del cloud.failing["PutCustomMetric"]
        node.run("report")
        assert "ColdStartSeconds" in told(cloud)

    @pytest.mark.parametrize(
        "pages", [{"/readyz": (503, "{}")}, {"/metrics": (500, "")}, {"/metrics": (200, "nonsense")}]
    )
    def test_a_server_that_is_not_up_is_told_by_silence(self, node, cloud, server, pages):
        server[1]["/metrics"] = page(spoken=0, waits=0, in_flight=0)
        server[1].update(pages)
        assert node.run("report").returncode == 0
        assert not cloud.figures

    def test_keys_that_are_not_there_yet_are_no_failure(self, node, cloud, server):
        (node.run_dir / "keys/keys.json").unlink()
        assert node.run("report").returncode == 0
        assert not cloud.figures
