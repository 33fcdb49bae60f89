"""Nodes of an older launch template give way to nodes of the present one, one after another.

The service's own instance refresh takes no group that mixes on-demand and spot instances ("supported only for ECS
scaling groups whose scale-out policy is set to Priority Policy"):
https://www.alibabacloud.com/help/en/auto-scaling/developer-reference/api-ess-2014-08-28-startinstancerefresh
"""

# What the oldest of the outdated nodes should do. Every other node stays.
STAY, ADD, LEAVE, REPLACE = "stay", "add one", "leave", "be replaced"


# A node that did not come up in this time is not coming: longer than the group waits for its first word, even of one
# that fills a bucket with weights.
PATIENCE_SECONDS = 3300


def outdated(members, group):
    """The instances in service that are not of the group's present template, the one whose turn it is first.

    `members` and `group` as the service describes them.
    """
    wanted = _template(group)
    # Without a number on both sides nothing can be compared, and a guess would replace nodes for ever.
    if not all(_template(one)[1].isdigit() for one in (group, *members)):
        return []
    return sorted(one["InstanceId"] for one in _serving(members) if _template(one) != wanted)


def decide(me, members, group, added, waited):
    """The next step of instance `me` on the way to a group of one template, and one that never goes below its size.

    `added`: how many were in service when this node asked for one more, None if it did not; `waited`: seconds since.
    """
    serving = _serving(members)
    if me not in outdated(members, group)[:1]:
        return STAY
    if added is not None and len(serving) > added and any(_template(one) == _template(group) for one in serving):
        return LEAVE
    # Somebody comes or goes, or should: a group whose new nodes do not come up tries again by itself.
    on_the_way = len(members) > len(serving) or int(group.get("DesiredCapacity", 0)) > len(serving)
    if on_the_way or (added is not None and waited < PATIENCE_SECONDS):
        return STAY
    # A group at its largest has no room for one more: one fewer serves while the next comes up.
    return ADD if int(group["TotalCapacity"]) < int(group["MaxSize"]) else REPLACE


def _serving(members):
    return [one for one in members if one["LifecycleState"] == "InService"]


def _template(described):
    return described.get("LaunchTemplateId"), str(described.get("LaunchTemplateVersion", ""))
