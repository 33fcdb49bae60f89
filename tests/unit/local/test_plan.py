"""How replicas get from what is configured to what is wanted, and when one is given up."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.local.machine.errors import MachineError
from components.local.machine.layout import Layout
from components.local.machine.supervisor import State
from components.local.resources import replicas
from components.local.resources.replicas import FAILING_STARTS, Change, plan, wait_until_ready

texts = st.dictionaries(st.sampled_from([f"server-{index}" for index in range(5)]), st.sampled_from("ab"))


class TestPlan:
    def test_nothing_to_do_when_all_are_well(self):
        programs = {"server-0": "a", "server-1": "a"}
        assert plan(programs, programs, frozenset(programs)) == Change((), (), ())

    def test_a_sick_replica_is_started_again_though_its_settings_are_the_same(self):
        programs = {"server-0": "a", "server-1": "a"}
        assert plan(programs, programs, frozenset({"server-0"})) == Change((), ("server-1",), ())

    def test_more_and_fewer(self):
        one, two = {"server-0": "a"}, {"server-0": "a", "server-1": "a"}
        assert plan(one, two, frozenset(one)) == Change(("server-1",), (), ())
        assert plan(two, one, frozenset(two)) == Change((), (), ("server-1",))

    @given(configured=texts, wanted=texts, healthy=st.frozensets(st.sampled_from([f"server-{i}" for i in range(5)])))
    def test_it_ends_at_what_is_wanted_and_leaves_the_well_alone(self, configured, wanted, healthy):
        change = plan(configured, wanted, healthy)
        result = {name: text for name, text in configured.items() if name not in change.removed}
        for name in (*change.added, *change.changed):
            result[name] = wanted[name]
        assert result == wanted
        untouched = set(wanted) - set(change.added) - set(change.changed)
        assert all(configured[name] == wanted[name] and name in healthy for name in untouched)
        assert not set(change.added) & set(configured)


class TestGivingUp:
    def test_a_server_that_ends_after_more_than_a_second_is_given_up_as_well(self, tmp_path, monkeypatch):
        """The supervisor says RUNNING of it each time, and never that it fails."""

        class Restarting:
            pids = itertools.count(100)

            def states(self):
                return {"server-0": State("server-0", True, False, "RUNNING", next(self.pids))}

            def tail(self, name):
                return f"the end of {name}"

        monkeypatch.setattr(replicas, "POLL_SECONDS", 0)
        supervisor = Restarting()
        with pytest.raises(MachineError, match=r"server-0 fails again and again .* the end of server-0"):
            wait_until_ready(supervisor, Layout(tmp_path), "server-0")
        assert next(supervisor.pids) == 100 + FAILING_STARTS
