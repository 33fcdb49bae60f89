"""Where the servers, the nodes and the load balancer write."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_alicloud import log

from components.alicloud.names import resource_name
from components.alicloud.provider import all_tags
from components.settings import AlicloudSettings

# A store whose name begins otherwise is not offered for a load balancer's log:
# https://www.alibabacloud.com/help/en/slb/application-load-balancer/user-guide/access-logs
ACCESS_LOG = "alb_access"

_BETWEEN_WORDS = " #$^*\r\n\t,;=()[]{}?@&<>/:'\""


@dataclass(frozen=True)
class Source:
    """Files of a node that the log agent takes to one store; `json`: a line is a JSON object."""

    store: str
    folder: str
    pattern: str
    json: bool


SOURCES = (
    Source("server", "/var/lib/docker/containers", "*-json.log", json=True),
    Source("node", "/var/log/indextts2", "node.log", json=False),
    Source("boot", "/var/log", "cloud-init-output.log", json=False),
)


def log_project(name: str, settings: AlicloudSettings, fleet: str, opts: pulumi.ResourceOptions) -> log.Project:
    """The project, with a searchable store for each source, which the agents of the `fleet`'s nodes write to.

    A node says that it belongs to the fleet in its own words (user-defined identity), so that its rights need not grow:
    the service takes the logs of the account's own instances.
    """
    project = log.Project(
        f"{name}-logs",
        project_name=resource_name(settings, pulumi.get_stack(), "logs"),
        description="Logs of the speech service",
        tags=all_tags(settings, pulumi.get_stack()),
        opts=opts,
    )
    machines = log.MachineGroup(
        f"{name}-nodes",
        project=project.project_name,
        name="nodes",
        identify_type="userdefined",
        identify_lists=[fleet],
        opts=opts,
    )
    for source in SOURCES:
        store = log_store(f"{name}-{source.store}-log", project, source.store, settings.storage.log_days, opts)
        taken = log.LogTailConfig(
            f"{name}-{source.store}-log",
            project=project.project_name,
            logstore=store.logstore_name,
            name=source.store,
            input_type="file",
            output_type="LogService",
            input_detail=json.dumps(input_detail(source), sort_keys=True),
            opts=opts,
        )
        log.LogTailAttachment(
            f"{name}-{source.store}-log",
            project=project.project_name,
            logtail_config_name=taken.name,
            machine_group_name=machines.name,
            opts=opts,
        )
    return project


def log_store(name: str, project: log.Project, store: str, days: int, opts: pulumi.ResourceOptions) -> log.Store:
    """A store that keeps its lines for `days` and finds words in them."""
    made = log.Store(
        name,
        project_name=project.project_name,
        logstore_name=store,
        retention_period=days,
        shard_count=1,
        auto_split=True,
        max_split_shard_count=16,
        append_meta=True,
        # The provider reads back what the service chose; of the first it would make another store, without the logs.
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(ignore_changes=["telemetryType", "hotTtl", "infrequentAccessTtl"])
        ),
    )
    log.StoreIndex(
        name,
        project=project.project_name,
        logstore=made.logstore_name,
        full_text=log.StoreIndexFullTextArgs(include_chinese=True, token=_BETWEEN_WORDS),
        # The service's own default, said aloud because it is read back.
        max_text_len=2048,
        opts=opts,
    )
    return made


def input_detail(source: Source) -> dict[str, Any]:
    """https://www.alibabacloud.com/help/en/sls/developer-reference/logtail-configuration-files"""
    one = {
        "logPath": source.folder,
        "filePattern": source.pattern,
        "topicFormat": "none",
        "fileEncoding": "utf8",
        "discardUnmatch": False,
        # What was written before the agent came up: a node's first minutes are what one looks for.
        "tailExisted": True,
        "maxDepth": 1 if source.json else 0,
    }
    if source.json:
        return {**one, "logType": "json_log", "timeFormat": "", "timeKey": ""}
    return {**one, "logType": "common_reg_log", "regex": "(.*)", "key": ["content"], "logBeginRegex": ".*"}
