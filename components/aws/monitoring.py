"""Alarms, the budget and the dashboard on AWS."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components import contracts
from components.aws.alarms import Alarm, Watched, alarms
from components.aws.dashboard import dashboard_body, dashboard_url
from components.aws.fleet import GpuFleet
from components.aws.iam import alarm_topic_policy, as_json
from components.aws.load_balancer import LoadBalancer
from components.aws.metrics import Query
from components.aws.queue import JobQueue
from components.contracts import MonitoringArgs
from components.settings import AwsSettings

# Shares of the budget, per cent, at which somebody is told: of what was spent, and of what the month is heading for.
BUDGET_SPENT = (80, 100)
BUDGET_FORECAST = 100


class Monitoring(contracts.Monitoring):
    """- A topic for alarms, and the e-mail address that hears it (AWS asks there first). Not encrypted by SNS's own
      key, which CloudWatch cannot use: alarms would be lost without a word.
    - The alarms; two of them start the first node and release idle ones.
    - The month's budget of the account, told by e-mail.
    - The dashboard.
    """

    def __init__(self, name: str, args: MonitoringArgs[AwsSettings], opts: pulumi.ResourceOptions) -> None:
        super().__init__("indextts2:aws:Monitoring", name, {}, opts)
        settings, fleet, balancer = args.settings, args.fleet, args.load_balancer
        assert isinstance(args.queue, JobQueue)
        assert isinstance(fleet, GpuFleet)
        assert isinstance(balancer, LoadBalancer)
        child = pulumi.ResourceOptions(parent=self)

        topic = aws.sns.Topic(f"{name}-alarms", display_name=f"Speech {pulumi.get_stack()}"[:100], opts=child)
        aws.sns.TopicPolicy(
            f"{name}-alarms",
            arn=topic.arn,
            policy=topic.arn.apply(lambda arn: as_json(alarm_topic_policy(arn))),
            opts=child,
        )
        if settings.alarms.email:
            aws.sns.TopicSubscription(
                f"{name}-alarms-email", topic=topic.arn, protocol="email", endpoint=settings.alarms.email, opts=child
            )
        if settings.alarms.monthly_budget_usd:
            _budget(name, settings, child)

        watched = Watched(
            fleet=fleet.fleet,
            queue=args.queue.queue_name,
            dead_letters=args.queue.dead_letter_name,
            load_balancer=balancer.arn_suffix,
            target_group=balancer.target_group_suffix,
        )
        actions: dict[str | None, list[pulumi.Input[str]]] = {
            None: [],
            "wake": [fleet.wake_arn],
            "release": [fleet.release_arn],
        }
        for alarm in alarms(watched, settings.alarms.idle_minutes):
            _make(name, alarm, [*actions[alarm.action], *([topic.arn] if alarm.tells else [])], child)

        dashboard = aws.cloudwatch.Dashboard(
            f"{name}-dashboard",
            dashboard_name=fleet.fleet.replace(".", "-"),
            dashboard_body=pulumi.Output.all(
                fleet=watched.fleet,
                queue=watched.queue,
                dead_letters=watched.dead_letters,
                load_balancer=watched.load_balancer,
                target_group=watched.target_group,
            ).apply(lambda names: dashboard_body(Watched(**names), settings.region)),
            opts=child,
        )
        self.dashboard_url = dashboard.dashboard_name.apply(lambda shown: dashboard_url(settings.region, shown))
        self.topic_arn = topic.arn
        self.register_outputs({"dashboardUrl": self.dashboard_url})


def _make(name: str, alarm: Alarm, actions: list[pulumi.Input[str]], opts: pulumi.ResourceOptions) -> None:
    aws.cloudwatch.MetricAlarm(
        f"{name}-{alarm.name}",
        alarm_description=alarm.text,
        metric_queries=[_query(query, query is alarm.queries[-1]) for query in alarm.queries],
        comparison_operator="GreaterThanOrEqualToThreshold",
        threshold=alarm.threshold,
        evaluation_periods=alarm.minutes,
        datapoints_to_alarm=alarm.minutes,
        treat_missing_data="notBreaching",
        alarm_actions=actions,
        opts=opts,
    )


def _query(query: Query, figure: bool) -> aws.cloudwatch.MetricAlarmMetricQueryArgs:
    metric = query.metric
    if metric is None:
        return aws.cloudwatch.MetricAlarmMetricQueryArgs(id=query.id, expression=query.expression, return_data=figure)
    return aws.cloudwatch.MetricAlarmMetricQueryArgs(
        id=query.id,
        return_data=figure,
        metric=aws.cloudwatch.MetricAlarmMetricQueryMetricArgs(
            namespace=metric.namespace,
            metric_name=metric.name,
            dimensions=dict(metric.dimensions),
            stat=metric.stat,
            period=60,
        ),
    )


def _budget(name: str, settings: AwsSettings, opts: pulumi.ResourceOptions) -> None:
    """Of the whole account: a budget of one tag sees nothing until somebody activates the tag for billing."""
    shares = [(share, "ACTUAL") for share in BUDGET_SPENT] + [(BUDGET_FORECAST, "FORECASTED")]
    aws.budgets.Budget(
        f"{name}-month",
        budget_type="COST",
        time_unit="MONTHLY",
        limit_amount=str(settings.alarms.monthly_budget_usd),
        limit_unit="USD",
        notifications=[
            aws.budgets.BudgetNotificationArgs(
                comparison_operator="GREATER_THAN",
                notification_type=kind,
                threshold=share,
                threshold_type="PERCENTAGE",
                subscriber_email_addresses=[settings.alarms.email or ""],
            )
            for share, kind in shares
        ],
        opts=opts,
    )
