"""What the scaling group knows of this instance, and what this instance tells it."""

from . import cloud


class Group:
    """The group that started the instance. Every method raises CloudError."""

    def __init__(self, instance):
        self.instance = instance
        self.id = ""

    def members(self):
        """All instances of the group as the service describes them; this one is among them. None before it is known."""
        if not self.id:
            own = _list(cloud.call("ess", "DescribeScalingInstances", InstanceId=[self.instance]), "ScalingInstance")
            if not own:
                return None
            self.id = own[0]["ScalingGroupId"]
        found, page = [], 1
        while True:
            answer = cloud.call("ess", "DescribeScalingInstances", ScalingGroupId=self.id, PageNumber=page, PageSize=50)
            found += _list(answer, "ScalingInstance")
            if len(found) >= int(answer["TotalCount"]) or not _list(answer, "ScalingInstance"):
                return found
            page += 1

    def described(self):
        """The group itself: LaunchTemplateId, LaunchTemplateVersion, TotalCapacity, MaxSize, ..."""
        (found,) = _list(cloud.call("ess", "DescribeScalingGroups", ScalingGroupId=[self.id]), "ScalingGroup")
        return found

    def proceed(self):
        """Ends the group's wait for this instance; whether there was one."""
        activities = cloud.call("ess", "DescribeScalingActivities", ScalingGroupId=self.id, StatusCode="InProgress")
        for activity in _list(activities, "ScalingActivity"):
            actions = cloud.call(
                "ess",
                "DescribeLifecycleActions",
                ScalingActivityId=activity["ScalingActivityId"],
                LifecycleActionStatus="Pending",
                MaxResults=50,
            )
            for action in _list(actions, "LifecycleAction"):
                if self.instance in _ids(action):
                    cloud.call(
                        "ess",
                        "CompleteLifecycleAction",
                        LifecycleHookId=action["LifecycleHookId"],
                        LifecycleActionToken=action["LifecycleActionToken"],
                        LifecycleActionResult="CONTINUE",
                    )
                    return True
        return False

    def add_one(self):
        """One instance more, of the group's present template."""
        cloud.call(
            "ess",
            "ScaleWithAdjustment",
            ScalingGroupId=self.id,
            AdjustmentType="QuantityChangeInCapacity",
            AdjustmentValue=1,
        )

    def remove_me(self):
        """This instance goes and none comes in its place."""
        cloud.call(
            "ess", "RemoveInstances", ScalingGroupId=self.id, InstanceId=[self.instance], DecreaseDesiredCapacity=True
        )

    def replace_me(self):
        """This instance goes and another one comes in its place."""
        cloud.call("ess", "SetInstanceHealth", InstanceId=self.instance, HealthStatus="Unhealthy")


def _list(answer, kind):
    """`{"ScalingInstances": {"ScalingInstance": [...]}}` as a list."""
    return answer.get(f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s", {}).get(kind, [])


def _ids(action):
    """The instances of a lifecycle action, which come as a list in one wrapping or in none."""
    ids = action.get("InstanceIds", [])
    return ids.get("InstanceId", []) if isinstance(ids, dict) else ids
