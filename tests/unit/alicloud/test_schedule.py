"""The hours of a stack in UTC, which is all that the group knows."""

import datetime
import zoneinfo

import pytest

from components.alicloud.schedule import changes, utc_crons
from tests.unit.alicloud.every_part import every_part
from tests.unit.alicloud.one_part import alicloud_settings

OFFICE = {"timeZone": "Asia/Shanghai", "up": "09:00", "down": "19:00", "days": "MON-FRI", "until": "2027-06-30"}
NODES = {"min": 0, "max": 4, "onDemandBase": 1, "spot": True}


def made(**values):
    settings = alicloud_settings(schedule={**OFFICE, **values}, nodes=NODES)
    assert settings.schedule
    return {change.name: change for change in changes(settings.nodes, settings.schedule)}


class TestUtc:
    @pytest.mark.parametrize(
        ("local", "zone", "crons"),
        [
            ("0 9 * * 1,2,3,4,5", "Asia/Shanghai", ["0 1 * * 1,2,3,4,5"]),
            ("30 6 * * 1,2,3,4,5", "Asia/Shanghai", ["30 22 * * 0,1,2,3,4"]),
            ("0 19 * * 6", "Asia/Kolkata", ["30 13 * * 6"]),
            ("0 20 * * 6", "Pacific/Honolulu", ["0 6 * * 0"]),
            ("0 6 * * *", "Asia/Shanghai", ["0 22 * * *"]),
            ("0 9 * * 1", "UTC", ["0 9 * * 1"]),
        ],
    )
    def test_the_day_moves_with_the_hour(self, local, zone, crons):
        assert utc_crons(local, zone, 2027) == crons

    def test_a_zone_with_daylight_saving_has_one_for_each_half(self):
        assert utc_crons("0 9 * * 1", "Europe/Berlin", 2027) == ["0 8 * 1,2,3,11,12 1", "0 7 * 4,5,6,7,8,9,10 1"]

    @pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin", "America/Los_Angeles", "Australia/Sydney"])
    def test_in_the_middle_of_every_month_it_is_the_hour_of_the_clocks(self, zone):
        for month in range(1, 13):
            local = datetime.datetime(2027, month, 15, 9, 30, tzinfo=zoneinfo.ZoneInfo(zone))
            at = local.astimezone(datetime.timezone.utc)
            firing = [
                cron
                for cron in utc_crons("30 9 * * *", zone, 2027)
                if cron.split()[3] == "*" or str(month) in cron.split()[3].split(",")
            ]
            assert [cron.split()[:2] for cron in firing] == [[str(at.minute), str(at.hour)]]


class TestChanges:
    def test_off_is_off_and_up_is_the_stacks_own_bounds(self):
        sizes = {name: (one.least, one.most, one.wanted) for name, one in made().items()}
        assert sizes == {"up": (0, 4, 1), "down": (0, 0, 0)}

    def test_a_night_shift_ends_on_the_next_morning(self):
        assert made(up="20:00", down="06:00")["down"].cron == "0 22 * * 1,2,3,4,5"

    def test_it_ends_on_the_day_of_the_settings_and_not_a_year_from_now(self):
        assert {one.until for one in made().values()} == {"2027-06-30T00:00Z"}

    def test_two_changes_have_two_names_in_a_zone_with_daylight_saving(self):
        assert set(made(timeZone="Europe/Berlin")) == {"up", "up1", "down", "down1"}


class TestTasks:
    def tasks(self, **values):
        recorder, _ = every_part(schedule={**OFFICE, **values}, nodes=NODES)
        return [one.values for one in recorder.all_of_type(":ScheduledTask")]

    def test_each_sets_the_groups_bounds_by_cron(self):
        up, down = sorted(self.tasks(), key=lambda one: -one["maxValue"])
        assert (up["recurrenceType"], up["recurrenceValue"]) == ("Cron", "0 1 * * 1,2,3,4,5")
        assert (down["minValue"], down["maxValue"], down["desiredCapacity"]) == (0, 0, 0)
        assert all(one["scalingGroupId"] for one in (up, down))
        assert all("scheduledAction" not in one and "launchTime" not in one for one in (up, down))

    def test_names_are_the_stacks_own_and_fit(self):
        names = [one["scheduledTaskName"] for one in self.tasks(timeZone="Europe/Berlin")]
        assert len(set(names)) == 4
        assert all(len(name) <= 40 and name.startswith("speech-") for name in names)

    def test_a_stack_without_hours_has_none(self):
        assert not every_part()[0].all_of_type(":ScheduledTask")
