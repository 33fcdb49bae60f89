"""How replicas get from what is configured to what is wanted."""

from hypothesis import given
from hypothesis import strategies as st

from components.local.resources.replicas import Change, plan

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
