"""Alarms and the dashboard on Alibaba Cloud."""

from __future__ import annotations

import json

import pulumi
from pulumi_alicloud import cms, log

from components import contracts
from components.alicloud.alarms import Alarm, Condition, Watched, alarms
from components.alicloud.dashboard import DASHBOARD, charts, dashboard_url
from components.alicloud.fleet import GpuFleet
from components.alicloud.load_balancer import LoadBalancer
from components.alicloud.names import resource_name
from components.alicloud.provider import all_tags
from components.alicloud.queue import JobQueue
from components.contracts import MonitoringArgs
from components.settings import AlicloudSettings

# An alarm that goes on is told again after a day; one that a rule of the group hangs on calls it again after five
# minutes, the shortest, and the rule's own cooldown says whether anything happens.
TOLD_AGAIN_SECONDS = 86_400
CALLED_AGAIN_SECONDS = 300


class Monitoring(contracts.Monitoring):
    """- A group of contacts, which every alarm must have, and in it the e-mail address that the settings name. It hears
      nothing before somebody has opened the link that CloudMonitor sends there.
    - The alarms; some of them start nodes.
    - The dashboard, in the log project.
    """

    def __init__(self, name: str, args: MonitoringArgs[AlicloudSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:alicloud:Monitoring", name, {}, opts)
        settings, fleet, balancer = args.settings, args.fleet, args.load_balancer
        assert isinstance(args.queue, JobQueue)
        assert isinstance(fleet, GpuFleet)
        assert isinstance(balancer, LoadBalancer)
        child = pulumi.ResourceOptions(parent=self)

        contacts = _contacts(name, settings, child)
        watched = Watched(
            region=settings.region,
            account=settings.account,
            fleet=fleet.fleet,
            metric_group=fleet.metric_group,
            queue=args.queue.queue_name,
            dead_letters=args.queue.dead_letter_name,
            load_balancer=balancer.balancer_id,
        )
        rules = {None: None, "wake": fleet.wake_arn, "grow": fleet.grow_arn}
        for alarm in alarms(watched, settings.alarms.idle_minutes):
            _make(f"{name}-{alarm.name}", settings, alarm, contacts, rules[alarm.rule], child)

        dashboard = log.Dashboard(
            f"{name}-dashboard",
            project_name=fleet.logs.project_name,
            dashboard_name=DASHBOARD,
            display_name="Speech",
            attribute=json.dumps({"type": "grid"}),
            char_list=json.dumps(charts(), sort_keys=True),
            # What it asks is in the access log, which must be there.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[balancer]),
        )
        self.dashboard_url = pulumi.Output.all(dashboard.project_name, dashboard.dashboard_name).apply(
            lambda names: dashboard_url(*names)
        )
        self.register_outputs({"dashboardUrl": self.dashboard_url})


def _contacts(name: str, settings: AlicloudSettings, opts: pulumi.ResourceOptions) -> cms.AlarmContactGroup:
    contacts = []
    if settings.alarms.email:
        contact = cms.AlarmContact(
            f"{name}-contact",
            # A contact's name has 40 characters at most; the digest at the end of the stack's own names tells it apart.
            alarm_contact_name=f"speech-{resource_name(settings, pulumi.get_stack(), 'contact').rpartition('-')[2]}",
            describe=f"Alarms of the speech service, stack {pulumi.get_stack()}",
            channels_mail=settings.alarms.email,
            lang="zh-cn" if settings.region.startswith("cn-") else "en",
            opts=opts,
        )
        contacts = [contact.alarm_contact_name]
    return cms.AlarmContactGroup(
        f"{name}-contacts",
        alarm_contact_group_name=resource_name(settings, pulumi.get_stack(), "alarms"),
        describe=f"Alarms of the speech service, stack {pulumi.get_stack()}",
        contacts=contacts,
        opts=opts,
    )


def _make(
    name: str,
    settings: AlicloudSettings,
    alarm: Alarm,
    contacts: cms.AlarmContactGroup,
    rule: pulumi.Input[str] | None,
    opts: pulumi.ResourceOptions,
) -> None:
    first = alarm.conditions[0]
    # An alarm that only calls the group is one for information; its group of contacts must be there all the same.
    level = "WARN" if alarm.tells else "INFO"
    one = len(alarm.conditions) == 1
    cms.Alarm(
        name,
        name=resource_name(settings, pulumi.get_stack(), alarm.name),
        project=first.metric.namespace,
        metric=first.metric.name,
        metric_dimensions=pulumi.Output.json_dumps([first.metric.dimensions], sort_keys=True),
        period=first.metric.period,
        contact_groups=[contacts.alarm_contact_group_name],
        silence_time=CALLED_AGAIN_SECONDS if alarm.rule else TOLD_AGAIN_SECONDS,
        escalations_warn=_warn(first, alarm.times) if one and alarm.tells else None,
        escalations_info=_info(first, alarm.times) if one and not alarm.tells else None,
        composite_expression=None if one else _all_of(alarm, level),
        targets=[cms.AlarmTargetArgs(target_id="1", arn=rule, level=level.capitalize())] if rule is not None else None,
        tags=all_tags(settings, pulumi.get_stack()),
        opts=opts,
    )


def _warn(condition: Condition, times: int) -> cms.AlarmEscalationsWarnArgs:
    return cms.AlarmEscalationsWarnArgs(
        statistics=condition.metric.statistic,
        comparison_operator=condition.comparison,
        threshold=f"{condition.threshold:g}",
        times=times,
    )


def _info(condition: Condition, times: int) -> cms.AlarmEscalationsInfoArgs:
    return cms.AlarmEscalationsInfoArgs(
        statistics=condition.metric.statistic,
        comparison_operator=condition.comparison,
        threshold=f"{condition.threshold:g}",
        times=times,
    )


def _all_of(alarm: Alarm, level: str) -> cms.AlarmCompositeExpressionArgs:
    return cms.AlarmCompositeExpressionArgs(
        level=level,
        times=alarm.times,
        expression_list_join="&&",
        expression_lists=[
            cms.AlarmCompositeExpressionExpressionListArgs(
                metric_name=condition.metric.name,
                comparison_operator=condition.comparison,
                statistics=condition.metric.statistic,
                threshold=f"{condition.threshold:g}",
                period=str(condition.metric.period),
            )
            for condition in alarm.conditions
        ],
    )
