"""The simulation of a dubbing day: its own arithmetic, and what it says of the signal that the product follows."""

import pytest

from components.aws.scaling import TARGET_DEMAND
from components.aws.timing import USUAL_COLD_START_SECONDS
from tools.bench.dubbing_day import Clip, clips
from tools.bench.scaling_day import MOST, compare, replay, table
from tools.bench.scaling_signals import Minute, QueriesPerSecond, TargetTracking, request_count, work_demand


def minute(**values):
    usual = {"busy": 0.5, "requests": 0, "waiting": 0, "clip_work": 10.0, "ready": 2, "wanted": 2}
    return Minute(**{**usual, **values})


def fixed(nodes):
    return lambda _minute: nodes


class TestReplay:
    def test_one_node_speaks_one_after_another(self):
        day = [Clip(0, 10, True)] * 20
        found = replay(day, fixed(1), factor=2)
        # 95 of 100 are nineteen of twenty, and the nineteenth waits for eighteen.
        assert found.jobs_wait == 18 * 20

    def test_whoever_waits_goes_before_jobs(self):
        day = [Clip(index * 0.1, 10, True) for index in range(50)] + [Clip(5 + index, 10, False) for index in range(2)]
        found = replay(sorted(day, key=lambda clip: clip.at), fixed(1), factor=1)
        assert found.lines_wait < 30 < found.jobs_wait

    def test_a_node_is_paid_for_from_its_launch_and_speaks_after_its_cold_start(self):
        day = [Clip(0, 3600, True), Clip(61, 60, False), Clip(62, 60, False)]
        found = replay(day, fixed(2), factor=1)
        assert found.lines_wait >= USUAL_COLD_START_SECONDS - 2
        # Two nodes from the first report on, until the long clip ends: the day itself is never shorter.
        assert found.node_hours == pytest.approx(2 * 12, rel=0.01)

    def test_a_node_that_is_let_go_finishes_its_clip(self):
        asked = []

        def two_for_ten_minutes(found):
            asked.append(found)
            return 2 if len(asked) < 10 else 1

        # The second node comes at 60 + 480 s, takes the second clip, and is let go at 600 s.
        day = [Clip(0, 2000, True), Clip(1, 1000, True)]
        found = replay(day, two_for_ten_minutes, factor=1)
        assert found.jobs_wait == 60 + USUAL_COLD_START_SECONDS - 1
        assert found.node_hours == pytest.approx(12 + (60 + USUAL_COLD_START_SECONDS + 1000 - 60) / 3600, abs=0.02)

    def test_the_same_day_is_the_same(self):
        assert clips(3) == clips(3) != clips(4)
        assert replay(clips(3), work_demand(0.7), 5) == replay(clips(3), work_demand(0.7), 5)


class TestSignals:
    def test_target_tracking_grows_after_three_minutes_and_shrinks_after_fifteen(self):
        signal = request_count(10)
        assert [signal(minute(requests=80)) for _ in range(3)] == [2, 2, 8]
        signal = request_count(10)
        assert [signal(minute(requests=8)) for _ in range(15)] == [2] * 14 + [1]

    def test_it_does_not_shrink_while_a_node_boots(self):
        signal = TargetTracking(lambda _minute: 0.0, 1)
        assert [signal(minute(ready=1, wanted=2)) for _ in range(20)] == [2] * 20

    def test_queries_per_second_wait_five_minutes_to_grow_and_twenty_to_shrink(self):
        signal = QueriesPerSecond(0.1)
        assert [signal(minute(requests=24)) for _ in range(5)] == [2, 2, 2, 2, 4]
        assert [signal(minute(requests=0)) for _ in range(20)][-1] == 0

    def test_a_burst_that_is_over_is_forgotten_by_requests_and_not_by_work(self):
        after = minute(busy=1, requests=0, waiting=400, clip_work=15)
        signals = {"requests": request_count(1), "work": work_demand(TARGET_DEMAND)}
        wanted = {name: [signal(after) for _ in range(20)][-1] for name, signal in signals.items()}
        assert wanted["requests"] < 2 < wanted["work"]


class TestComparison:
    @pytest.mark.parametrize("factor", [5.0, 0.65])
    def test_no_other_signal_is_better_in_every_way_at_any_target(self, factor):
        rows = compare([clips(seed) for seed in range(2)], factor)
        (chosen,) = [one for name, target, one in rows if "this product" in name and target == TARGET_DEMAND]
        better = [
            (name, target)
            for name, target, one in rows
            if "this product" not in name
            # Whoever knows the load beforehand needs no signal.
            and "no scaling" not in name
            and one.node_hours <= chosen.node_hours
            and one.lines_wait <= chosen.lines_wait
            and one.jobs_wait <= chosen.jobs_wait
        ]
        assert better == []
        assert all(0 < one.node_hours <= 24 * MOST for _, _, one in rows)
        assert table(rows).count("\n") == len(rows) + 1
