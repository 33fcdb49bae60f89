"""What is learned of voices from what they spoke: quickly, for nobody else's harm, and within bounds."""

from __future__ import annotations

import random

import pytest

from speech_server.estimates.lengths import Expected, Lengths

TEXT = "今天天气很好,我们一起去公园散步吧。"  # 3.7 s
ENGLISH = "I have not finished this book, and tomorrow it must go back to the library."
_MOST_CLIENTS = _MOST_VOICES = 256


def expected(lengths: Lengths, client: str = "dubbing", voice: str = "host", text: str = TEXT) -> Expected:
    return lengths.expect(text, None, client, voice)


def spoke(lengths: Lengths, factor: float, clips: int = 1, **whose: str) -> None:
    """`clips` clips that were `factor` times as long as their characters say."""
    for _ in range(clips):
        clip = expected(lengths, **whose)
        lengths.learn(clip, factor * clip.prior.seconds)


def pace(lengths: Lengths, **whose: str) -> float:
    """What is expected, over what the characters say."""
    clip = expected(lengths, **whose)
    return clip.seconds / clip.prior.seconds


class TestVoice:
    def test_before_anything_was_heard_the_characters_decide(self) -> None:
        assert pace(Lengths()) == 1.0
        assert expected(Lengths()).error == 1.25

    @pytest.mark.parametrize("factor", [0.6, 1.6])
    def test_its_pace_is_known_after_four_clips(self, factor: float) -> None:
        lengths = Lengths()
        spoke(lengths, factor, 2)
        assert pace(lengths) == pytest.approx(factor, rel=0.1)
        spoke(lengths, factor, 2)
        assert pace(lengths) == pytest.approx(factor, rel=0.02)

    @pytest.mark.parametrize("factor", [0.6, 1.6])
    def test_clips_that_differ_are_averaged(self, factor: float) -> None:
        lengths, drawn = Lengths(), random.Random(7)
        for _ in range(30):
            spoke(lengths, factor * drawn.lognormvariate(0, 0.1))
        assert pace(lengths) == pytest.approx(factor, rel=0.07)

    def test_two_voices_of_a_client_do_not_share_a_pace(self) -> None:
        lengths = Lengths()
        for _ in range(8):
            spoke(lengths, 0.7, voice="quick")
            spoke(lengths, 1.4, voice="slow")
        assert pace(lengths, voice="quick") == pytest.approx(0.7, rel=0.06)
        assert pace(lengths, voice="slow") == pytest.approx(1.4, rel=0.06)

    def test_a_new_voice_of_a_client_begins_as_its_others(self) -> None:
        lengths = Lengths()
        for number in range(12):
            spoke(lengths, 1.3, voice=f"host {number}")
        assert pace(lengths, voice="another") == pytest.approx(1.3, rel=0.05)

    def test_languages_are_apart(self) -> None:
        lengths = Lengths()
        spoke(lengths, 1.5, 8)
        assert pace(lengths, text=ENGLISH) == 1.0

    def test_a_voice_that_changed_is_followed(self) -> None:
        lengths = Lengths()
        spoke(lengths, 0.8, 200)
        spoke(lengths, 1.3, 60)
        assert pace(lengths) == pytest.approx(1.3, rel=0.1)


class TestOutliers:
    @pytest.mark.parametrize("factor", [1e-6, 0.1, 10, 1e6])
    def test_one_does_no_harm_to_a_voice_that_is_known(self, factor: float) -> None:
        lengths = Lengths()
        spoke(lengths, 1.1, 12)
        spoke(lengths, factor)
        assert pace(lengths) == pytest.approx(1.1, rel=0.03)

    @pytest.mark.parametrize("factor", [1e-6, 1e6])
    def test_one_at_first_is_overcome(self, factor: float) -> None:
        lengths = Lengths()
        spoke(lengths, factor)
        assert 0.5 < pace(lengths) < 2
        spoke(lengths, 1.0, 6)
        assert pace(lengths) == pytest.approx(1.0, rel=0.12)

    def test_no_pace_is_beyond_four_times(self) -> None:
        lengths = Lengths()
        spoke(lengths, 1e9, 100)
        assert pace(lengths) <= 4.0001
        spoke(lengths, 1e-9, 400)
        assert pace(lengths) >= 0.2499

    def test_a_short_clip_says_less_than_a_long_one(self) -> None:
        short, long = Lengths(), Lengths()
        spoke(short, 1.5, text="好。")
        spoke(long, 1.5, text=TEXT)
        assert pace(short) < pace(long) - 0.1


class TestError:
    def test_it_shrinks_as_a_voice_proves_steady_and_stays_within_bounds(self) -> None:
        lengths = Lengths()
        spoke(lengths, 1.0, 2)
        assert expected(lengths).error == 1.25
        spoke(lengths, 1.0, 60)
        assert expected(lengths).error == 1.08

    def test_a_voice_that_is_not_steady_keeps_the_usual_one(self) -> None:
        lengths = Lengths()
        for factor in (0.7, 1.4) * 10:
            spoke(lengths, factor)
        assert expected(lengths).error == 1.25

    def test_unlearned_is_what_a_fresh_server_expects(self) -> None:
        lengths = Lengths()
        spoke(lengths, 1.6, 10)
        clip, fresh = expected(lengths).unlearned(), expected(Lengths())
        assert (clip.seconds, clip.error) == (fresh.seconds, fresh.error)


class TestOtherClients:
    def test_one_of_many_teaches_the_others_nothing(self) -> None:
        lengths = Lengths()
        for number in range(5):
            spoke(lengths, 1.1 + number / 100, 10, client=f"honest {number}")
        before = pace(lengths, client="new")
        spoke(lengths, 1e6, 1000, client="hostile")
        assert pace(lengths, client="new") == pytest.approx(before, rel=0.02)
        assert pace(lengths, client="honest 0", voice="host") == pytest.approx(1.1, rel=0.01)

    def test_a_single_one_moves_a_newcomer_by_no_more_than_its_vote(self) -> None:
        lengths = Lengths()
        spoke(lengths, 1e6, 1000, client="hostile")
        assert pace(lengths, client="new") <= 2.0001
        spoke(lengths, 1.0, 10, client="honest")
        assert pace(lengths, client="new") == pytest.approx(1.0, rel=0.01)

    def test_many_voices_of_a_client_are_one_vote(self) -> None:
        lengths = Lengths()
        for number in range(3):
            spoke(lengths, 1.2, 10, client=f"honest {number}")
        for number in range(300):
            spoke(lengths, 4.0, client="hostile", voice=f"voice {number}")
        assert pace(lengths, client="new") == pytest.approx(1.2, rel=0.02)

    def test_the_same_voice_of_two_clients_is_two(self) -> None:
        lengths = Lengths()
        spoke(lengths, 0.7, 8, client="one")
        spoke(lengths, 1.4, 8, client="two")
        assert pace(lengths, client="one") == pytest.approx(0.7, rel=0.03)
        assert pace(lengths, client="two") == pytest.approx(1.4, rel=0.03)

    def test_a_client_that_spoke_once_has_no_vote(self) -> None:
        lengths = Lengths()
        spoke(lengths, 2.0, client="once")
        assert pace(lengths, client="new") == 1.0


class TestMemory:
    def test_voices_that_were_not_heard_for_long_are_forgotten(self) -> None:
        lengths = Lengths()
        spoke(lengths, 1.5, 5, voice="old")
        known = expected(lengths, voice="old").error
        for number in range(_MOST_VOICES):
            spoke(lengths, 1.0, voice=f"voice {number}")
        assert (known, expected(lengths, voice="old").error) == (pytest.approx(1.25, abs=0.1), 1.25)
        assert pace(lengths, voice="old") == pytest.approx(1.0, rel=0.05)
        assert len(lengths._clients["dubbing"].voices) == _MOST_VOICES

    def test_a_client_that_sends_ever_new_voices_costs_the_others_none_of_theirs(self) -> None:
        lengths = Lengths()
        spoke(lengths, 1.5, 5)
        for number in range(3 * _MOST_VOICES):
            spoke(lengths, 1.0, client="other", voice=f"voice {number}")
        assert pace(lengths) == pytest.approx(1.5, rel=0.02)

    def test_clients_are_bounded_as_well(self) -> None:
        lengths = Lengths()
        for number in range(2 * _MOST_CLIENTS):
            spoke(lengths, 1.0, client=f"client {number}")
        assert len(lengths._clients) == _MOST_CLIENTS
