"""The job queue on Alibaba Cloud: tries, times, and the names by which nodes find it."""

import pulumi
import pytest

from components.alicloud.queue import JOB_RETENTION_SECONDS, RETENTION_SECONDS, JobQueue
from components.contracts import JobQueueArgs
from tests.unit.alicloud.one_part import ACCOUNT, alicloud_settings, register


def queue(**values):
    settings = alicloud_settings(**values)

    def make():
        made = JobQueue("speech", JobQueueArgs(settings), pulumi.ResourceOptions())
        return {
            name: getattr(made, name) for name in ("url", "topic_url", "queue_name", "dead_letter_name", "topic_name")
        }

    return register(make)


class TestQueue:
    def test_a_job_is_tried_three_times_and_then_put_aside(self):
        recorder, outputs = queue()
        assert recorder.named("speech-jobs").values["dlqPolicy"] == {
            "enabled": True,
            "deadLetterTargetQueue": outputs["dead_letter_name"],
            "maxReceiveCount": 3,
        }
        assert "dlqPolicy" not in recorder.named("speech-dead-jobs").values

    def test_a_dead_letter_is_kept_longer_than_a_job(self):
        recorder, _ = queue()
        assert recorder.named("speech-dead-jobs").values["messageRetentionPeriod"] == RETENTION_SECONDS
        assert recorder.named("speech-jobs").values["messageRetentionPeriod"] == JOB_RETENTION_SECONDS
        assert JOB_RETENTION_SECONDS < RETENTION_SECONDS

    def test_polls_are_as_long_as_they_can_be(self):
        assert queue()[0].named("speech-jobs").values["pollingWaitSeconds"] == 30

    @pytest.mark.parametrize("protect", [True, False])
    def test_production_keeps_the_queues(self, protect):
        recorder, _ = queue(protect=protect)
        assert [recorder.named(name).protect for name in ("speech-jobs", "speech-dead-jobs")] == [protect] * 2


class TestUrls:
    def test_they_name_region_account_and_name(self):
        _, outputs = queue()
        jobs, dead = outputs["queue_name"], outputs["dead_letter_name"]
        assert outputs["url"] == f"smq://cn-hangzhou/{ACCOUNT}/{jobs}?internal=true&dead={dead}"
        assert outputs["topic_url"] == f"smq-topic://cn-hangzhou/{ACCOUNT}/{outputs['topic_name']}?internal=true"
        assert len({outputs["queue_name"], outputs["dead_letter_name"], outputs["topic_name"]}) == 3
